"""What `coordbench merge`, `verify` and `export --records` do: records that travel between stores and machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import sqlalchemy as sql

from coordbench.harness.api.records import opened
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.store.altered import altered_records
from coordbench.harness.store.schema import records
from coordbench.harness.store.store import Store
from coordbench.harness.store.travel import submission, verified
from coordbench.harness.store.travel.archive import open_archive, write_archive
from coordbench.harness.store.travel.manifest import is_archive
from coordbench.harness.store.travel.merge import Merged, merge


def merge_sources(sources: Sequence[str], store: Store, *, as_json: bool) -> int:
    """Merge each source into the store and say what came of it; conflicts are kept, and told."""
    merged = {}
    for source in sources:
        with opened(source) as other:
            if other.url == store.url:
                raise UsageError(f"{source!r} is the store itself")
            merged[other.name if "archive.sqlite" not in other.name else source] = merge(other, store)
    if as_json:
        print(json.dumps({name: asdict(item) for name, item in merged.items()}, indent=1))
    else:
        for name, item in merged.items():
            print(_line(name, item))
            for job in item.altered:
                print(f"  altered, its numbers are no longer what was stored: {job}")
            for conflict in item.conflicts:
                print(f"  conflict, both kept: {conflict.job}\n    here:  {conflict.here}\n    there: {conflict.there}")
    return ExitCode.INCONCLUSIVE if any(item.conflicts for item in merged.values()) else ExitCode.OK


def _line(name: str, item: Merged) -> str:
    conflicts = f", {len(item.conflicts)} conflicts" if item.conflicts else ""
    return f"{name}: {item.records} records and {item.runs} runs are new, {item.equal} records were there{conflicts}"


def export_records(store: Store, runs: Sequence[str], folder: Path, *, with_samples: bool, note: str) -> int:
    """Write the records of runs as a folder, and print it with its size."""
    path = write_archive(store, runs, folder, with_samples=with_samples, note=note)
    size = sum(file.stat().st_size for file in path.iterdir())
    print(f"{path}: {size / 2**20:.2f} MiB")
    return ExitCode.OK


def check_data(source: str) -> int:
    """Say that a folder of records, or a submission, is sound, out of its files alone; raise UsageError otherwise."""
    path = Path(source)
    if submission.is_submission(path):
        sent, count = submission.check_submission(path)
        print(f"{source}: {count} records of {', '.join(sent.variants)} are sound")
        return ExitCode.OK
    with open_archive(path) as store, store.reading() as connection:
        numbers = list(connection.scalars(sql.select(records.c.id)))
        altered = altered_records(connection, numbers)
    print(f"{source}: {len(numbers)} records, {len(altered)} of them altered")
    return ExitCode.REGRESSED if altered else ExitCode.OK


def verify_source(
    source: str, sample: int, seed: int, plugins: Sequence[str], *, as_json: bool, with_note: bool
) -> int:
    """Train a sample of a source's rows again; 0 all verified, 1 some differ, 3 what is left is stale or undecided."""
    from coordbench.harness.run.verify.check import verify

    folder = Path(source) / submission.RECORDS if submission.is_submission(Path(source)) else Path(source)
    if with_note and not is_archive(folder):
        raise UsageError(f"--note writes into a folder of records, which {source!r} is not")
    with opened(source) as store:
        checks = verify(
            store, sample, seed, plugins,
            say=lambda check: None if as_json else print(f"{check.answer:<16} {check.label}  {check.detail}".rstrip()),
        )  # fmt: skip
    if with_note:
        verified.add(folder, [(check.identity, check.answer) for check in checks])
    counts = Counter(check.answer for check in checks)
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=1))
    else:
        print(", ".join(f"{count} {answer}" for answer, count in sorted(counts.items())))
    if counts["differs"] or counts["altered"] or counts["failed"]:
        return ExitCode.REGRESSED
    return ExitCode.INCONCLUSIVE if counts["stale"] or counts["undecided"] else ExitCode.OK
