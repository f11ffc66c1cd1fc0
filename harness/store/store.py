"""Runs and records in a database: SQLite by default, PostgreSQL by URL.

A record is committed as it arrives. A run lists its items (trials and costs) when it starts, so that each planned one
has exactly one row whatever happens, and points each to the record that answers it, its own or an earlier one with the
same identity.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import sqlalchemy as sql

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.core.trial import Job
from coordbench.harness.store import answers, encoding, rows, shared
from coordbench.harness.store.address import FILE as FILE
from coordbench.harness.store.address import StoreError as StoreError
from coordbench.harness.store.address import file_of, mask, of_folder, parse
from coordbench.harness.store.answers import Answer
from coordbench.harness.store.bulk import insert_all
from coordbench.harness.store.database import Database
from coordbench.harness.store.encoding import unpack as unpack
from coordbench.harness.store.encoding import unpack_sample as unpack_sample
from coordbench.harness.store.schema import environments, items, records, runs, samples, scores, series, sources
from coordbench.harness.store.shared import Facts


class Store(Database):
    """A database of runs and records; use it as a context manager."""

    def start_run(self, preset: str, command: str, environment: Facts, facts: Facts) -> str:
        """Open a run and return its name, which sorts by time."""
        now = encoding.now()
        name = f"{now[:19].replace(':', '').replace('-', '')}-{_plain(preset)}-{uuid.uuid4().hex[:4]}"
        with self.writing() as connection:
            [key], named = shared.keys_of_environments([environment])
            shared.note(connection, environments, named)
            revision = environment.get("revision")
            commit = revision.get("commit") if isinstance(revision, Mapping) else None
            number = (connection.scalar(sql.select(sql.func.max(runs.c.number))) or 0) + 1
            row = {
                "id": name,
                "number": number,
                "preset": preset,
                "command": encoding.text(mask(command)),
                "started": now,
                "commit": commit,
            }
            connection.execute(runs.insert().values(**row, environment=key, facts=dict(facts)))
        return name

    def finish_run(self, run: str) -> None:
        """Note that a run came to its end."""
        with self.writing() as connection:
            connection.execute(runs.update().where(runs.c.id == run).values(finished=encoding.now()))

    def note(self, run: str, facts: Facts) -> None:
        """Note facts about a run in place of those of the same names."""
        with self.writing() as connection:
            known = connection.scalar(sql.select(runs.c.facts).where(runs.c.id == run)) or {}
            connection.execute(runs.update().where(runs.c.id == run).values(facts={**known, **facts}))

    def add_items(self, run: str, jobs: Sequence[tuple[Job, Identity, Mapping[str, object]]]) -> list[int]:
        """List jobs as items of a run, each with facts for its row; return their positions."""
        with self.writing() as connection:
            count = connection.scalar(sql.select(sql.func.count()).select_from(items).where(items.c.run == run)) or 0
            numbered = enumerate(jobs, start=count)
            listed = [rows.item_row(run, place, job, known.key, facts) for place, (job, known, facts) in numbered]
            insert_all(connection, items, listed)
        return list(range(count, count + len(jobs)))

    def find(self, identity: Identity) -> int | None:
        """The newest record of this identity that may be used again."""
        with self.reading() as connection:
            known = answers.newest(connection, [identity])
        return known[identity.digest][0] if known else None

    def earlier_parts(self, identity: Identity) -> dict[str, str] | None:
        """What the newest record of the same trial, whatever its sources, depended on."""
        query = sql.select(sources.c.parts).join(records, records.c.sources == sources.c.id)
        query = query.where(records.c.key == identity.key).order_by(records.c.id.desc()).limit(1)
        with self.reading() as connection:
            parts: dict[str, str] | None = connection.scalar(query)
        return parts

    def reuse(self, run: str, wanted: Sequence[tuple[int, Identity]]) -> dict[int, tuple[int, str]]:
        """Answer items of a run by the newest records of their identities; return position -> (record, status).

        Found and noted in one transaction, so that nobody deletes a record in between.
        """
        with self.writing() as connection:
            known = answers.newest(connection, [identity for _, identity in wanted])
            again = {place: known[identity.digest] for place, identity in wanted if identity.digest in known}
            answers.point(connection, run, [(place, record) for place, (record, _) in again.items()], reused=True)
        return again

    def add(self, run: str, position: int, identity: Identity, record: Record | CostRecord) -> int:
        """Commit a record as the answer to an item; return its number."""
        return self.add_many(run, [(position, identity, record)])[0]

    def add_many(self, run: str, listed: Sequence[Answer]) -> list[int]:
        """Commit records, all of them or none, as the answers to items of a run; return their numbers."""
        if not listed:
            return []
        with self.writing() as connection:
            numbers = answers.append(connection, listed)
            places = (position for position, _, _ in listed)
            answers.point(connection, run, list(zip(places, numbers, strict=True)), reused=False)
        return numbers

    def score(self, record: int, split: str, metric: str) -> float | None:
        """One score of a stored record, or None where it has none."""
        wanted = (scores.c.record == record) & (scores.c.split == split) & (scores.c.metric == metric)
        with self.reading() as connection:
            value: float | None = connection.scalar(sql.select(scores.c.value).where(wanted))
        return value

    def latest_run(self, preset: str | None = None) -> str | None:
        """The newest run, or the newest of one preset."""
        query = sql.select(runs.c.id).order_by(runs.c.number.desc(), runs.c.started.desc()).limit(1)
        if preset:
            query = query.where(runs.c.preset == preset)
        with self.reading() as connection:
            return connection.scalar(query)

    def resolve_run(self, wanted: str | None) -> str:
        """A run by its name or an unambiguous beginning of it, the latest by default; raise UsageError otherwise."""
        if wanted is None:
            latest = self.latest_run()
            if latest is None:
                raise UsageError(f"the store {self.name} holds no run yet; start one by `coordbench run`")
            return latest
        names = [row.id for row in self.read(sql.select(runs.c.id).order_by(runs.c.number))]
        matches = [name for name in names if name == wanted] or [name for name in names if name.startswith(wanted)]
        if len(matches) != 1:
            known = ", ".join(names[-5:]) or "none"
            raise UsageError(f"{'no' if not matches else 'more than one'} run named {wanted!r}; newest runs: {known}")
        return str(matches[0])

    def delete_run(self, run: str) -> int:
        """Delete a run and the records that no other run points to; return how many records went."""
        with self.writing() as connection:
            connection.execute(items.delete().where(items.c.run == run))
            connection.execute(runs.delete().where(runs.c.id == run))
            used = sql.select(items.c.record).where(items.c.record.is_not(None))
            unused = [row.id for row in connection.execute(sql.select(records.c.id).where(records.c.id.not_in(used)))]
            for table, column in ((scores, "record"), (series, "record"), (samples, "record"), (records, "id")):
                connection.execute(table.delete().where(table.c[column].not_in(used)))
        return len(unused)


def _plain(preset: str) -> str:
    """The name of a preset as part of the name of a run, which is that of a file and of a link, too."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", preset)[:60]


def open_store(url: str | None, out: Path, *, existing: bool = False) -> Store:
    """Open the store at a URL, by default the SQLite file FILE in the folder `out`.

    With `existing` it must be there already: a command that only reads or deletes makes no empty store.
    """
    address = of_folder(out) if url is None else parse(url)
    file = file_of(address)
    if existing and file is not None and not file.is_file():
        raise StoreError(
            f"there is no store {str(file)!r}, which so holds no run yet; `coordbench run` makes one, "
            "--store or --out names another"
        )
    if url is None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"output folder {str(out)!r} cannot be made: {error.strerror}") from error
    return Store(address)
