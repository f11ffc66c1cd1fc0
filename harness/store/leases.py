"""Leases: which driver works on which trial, so that several drivers of one plan share it and none is done twice.

A driver tells that it lives by counting on. Whoever has not counted for a while, or is a process of this machine that
is gone, loses its leases. No clock is compared with another's: each driver watches the others' counts by its own.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.identity import Identity
from coordbench.harness.store import answers
from coordbench.harness.store.address import StoreError
from coordbench.harness.store.answers import Answer
from coordbench.harness.store.store import Store

BEAT_SECONDS = 10.0
"""How often a driver counts on."""
SILENT_SECONDS = 60.0
"""After so long without a count a driver has lost its leases."""

_LOCK = 0x6C65617365  # any number that is the same for all of us
_BATCH = 500

_metadata = sql.MetaData()  # not the store's: leases are no results, and no copy of a store needs them
_holders = sql.Table(
    "holders",
    _metadata,
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("machine", sql.String),
    sql.Column("process", sql.String),
    sql.Column("beat", sql.Integer),
)
_leases = sql.Table(
    "leases",
    _metadata,
    sql.Column("identity", sql.String, primary_key=True),
    sql.Column("holder", sql.String, index=True),
)

Wanted = tuple[int, Identity]
"""The position of an item in its run, and what its record depends on."""


@dataclass
class Share:
    """What became of wanted items, by position: ours to do, answered meanwhile by another driver, or in its hands."""

    ours: list[int] = field(default_factory=list)
    answered: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Position -> number and status of the record."""
    others: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Sight:
    """When a count was seen first, and when last."""

    beat: int
    first: float
    last: float


class Leases:
    """The leases of one driver in a store; use it as a context manager, which counts on meanwhile."""

    def __init__(self, store: Store, run: str) -> None:
        self.store, self.run = store, run
        self.name = uuid.uuid4().hex
        with self._alone() as connection:
            _metadata.create_all(connection, checkfirst=True)
            self._sign_up(connection)
            self.since = answers.last_number(connection)
        self._seen: dict[str, _Sight] = {}
        self._over = threading.Event()
        self._counter = threading.Thread(target=self._count_on, name="leases", daemon=True)

    def __enter__(self) -> Self:
        self._counter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        _ended.add(self.name)
        if not isinstance(error, UsageError):  # else it may be the store that failed, and would be waited for again
            with contextlib.suppress(StoreError), self._alone() as connection:
                _sign_off(connection, [self.name])
        self._counter.join(1.0)  # it may wait for the store, and ends with us at the latest

    def take(self, wanted: Sequence[Wanted], most: int) -> Share:
        """Lease what is neither answered nor leased, so many items at most; taken twice, it is still ours."""
        share = Share()
        with self._alone() as connection:
            self._end_silent(connection)
            known = answers.newest(connection, [identity for _, identity in wanted], self.since)
            holders = _holders_of(connection, [identity.digest for _, identity in wanted])
            free: set[str] = set()
            for place, identity in wanted:
                digest = identity.digest
                if digest in known:
                    share.answered[place] = known[digest]
                elif holders.get(digest, self.name) != self.name:
                    share.others.append(place)
                elif len(share.ours) < most:
                    share.ours.append(place)
                    free |= {digest} - holders.keys()
            if free:
                rows = [{"identity": identity, "holder": self.name} for identity in sorted(free)]
                connection.execute(_leases.insert(), rows)
            pairs = [(place, number) for place, (number, _) in share.answered.items()]
            answers.point(connection, self.run, pairs, reused=True)
        return share

    def add_many(self, listed: Sequence[Answer]) -> list[int]:
        """Commit records as the store does, and give their leases back; return the number of each item's record.

        Where another driver took us for dead and has done our work, its record stays and ours goes.
        """
        identities = [identity for _, identity, _ in listed]
        with self._alone() as connection:
            stored = answers.newest(connection, identities, self.since)
            theirs = {name: number for name, (number, status) in stored.items() if status in answers.REUSED}
            ours = [answer for answer in listed if answer[1].digest not in theirs]
            numbers = dict(zip((place for place, _, _ in ours), answers.append(connection, ours), strict=True))
            again = {place: theirs[known.digest] for place, known, _ in listed if place not in numbers}
            answers.point(connection, self.run, list(numbers.items()), reused=False)
            answers.point(connection, self.run, list(again.items()), reused=True)
            self._give_back(connection, identities)
        return [(numbers | again)[place] for place, _, _ in listed]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[Connection]:
        """A transaction beside which no other driver takes or gives leases."""
        with self.store.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    def _give_back(self, connection: Connection, identities: Sequence[Identity]) -> None:
        for batch in _batches([identity.digest for identity in identities]):
            mine = _leases.c.holder == self.name
            connection.execute(_leases.delete().where(_leases.c.identity.in_(batch) & mine))

    def _sign_up(self, connection: Connection) -> None:
        row = {"id": self.name, "machine": _machine(), "process": _process(os.getpid()), "beat": 0}
        connection.execute(_holders.insert().values(row))

    def count(self) -> None:
        """Tell that we live; where another driver took us for dead, sign up anew."""
        with self._alone() as connection:
            mine = _holders.update().where(_holders.c.id == self.name)
            if not connection.execute(mine.values(beat=_holders.c.beat + 1)).rowcount:
                self._sign_up(connection)

    def _count_on(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            with contextlib.suppress(StoreError):  # it may be away; who watches us cannot read it then, either
                self.count()

    def _end_silent(self, connection: Connection) -> None:
        """Take their leases from the drivers that are gone."""
        rows = connection.execute(sql.select(_holders).where(_holders.c.id != self.name)).all()
        here, now = _machine(), monotonic()
        gone = [row.id for row in rows if row.id in _ended or (row.machine == here != "" and not _runs(row.process))]
        self._seen = {row.id: self._sight(row.id, row.beat, now) for row in rows}
        silent = [name for name, sight in self._seen.items() if now - sight.first > SILENT_SECONDS]
        _sign_off(connection, sorted({*gone, *silent}))

    def _sight(self, name: str, beat: int, now: float) -> _Sight:
        """What is known of a count; where we did not look for a while, it may have been the store that was away."""
        before = self._seen.get(name)
        if before is None or before.beat != beat or now - before.last > SILENT_SECONDS / 2:
            return _Sight(beat, now, now)
        return _Sight(beat, before.first, now)


_ended: set[str] = set()
"""Drivers of this very process that have come to their end; the store may not have heard of it."""


def _sign_off(connection: Connection, names: Sequence[str]) -> None:
    if names:
        connection.execute(_leases.delete().where(_leases.c.holder.in_(names)))
        connection.execute(_holders.delete().where(_holders.c.id.in_(names)))


def _holders_of(connection: Connection, identities: Sequence[str]) -> dict[str, str]:
    """Identity -> who holds its lease."""
    holders: dict[str, str] = {}
    for batch in _batches(identities):
        rows = connection.execute(sql.select(_leases).where(_leases.c.identity.in_(batch)))
        holders |= {row.identity: row.holder for row in rows}
    return holders


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[i : i + _BATCH] for i in range(0, len(names), _BATCH))


def _machine() -> str:
    """This machine since its last start, and who numbers our processes; empty where the system does not tell."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _process(pid: int) -> str:
    """A process and when it was started, since its number may be another's one day; empty for one that has ended."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else f"{pid} {fields[18]}"


def _runs(process: str) -> bool:
    return _process(int(process.partition(" ")[0] or 0)) == process
