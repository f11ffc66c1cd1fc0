"""What `coordbench results` does: write documents from the runs of record, and count the rows that are stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.run.verify.stored import stored_jobs
from coordbench.harness.store.travel.archive import open_archive
from coordbench.reports.records import exact, tables
from coordbench.reports.records.blocks import blocks, filled
from coordbench.reports.records.records import Records, folders, opened_records

Stale = Mapping[str, Mapping[str, Sequence[str]]]
"""Run -> identity of a row -> what it depends on that changed since."""


def write_documents(folder: Path, documents: Sequence[Path], *, with_counts: bool) -> int:
    """Write every marked part of the documents anew from a folder of records."""
    if with_counts:
        exact.write_counts(folder, exact.counts())
    with opened_records(folder, stale_rows(folder)) as records:
        for path in documents:
            before = path.read_text(encoding="utf-8")
            after = filled(before, lambda block: tables.write(records, block))
            if after != before:
                path.write_text(after, encoding="utf-8")
                print(f"written: {path}")
        print(_staleness(records))
    return ExitCode.OK


def check_documents(folder: Path, documents: Sequence[Path], *, release: bool) -> int:
    """Compare the documents with the records: 1 where they differ, 3 where a release would hold stale rows."""
    with opened_records(folder, stale_rows(folder)) as records:
        wrong = [line for path in documents for line in differences(path, records)]
        print("\n".join([*wrong, _staleness(records)]))
        if wrong:
            return ExitCode.REGRESSED
        return ExitCode.INCONCLUSIVE if release and records.stale else ExitCode.OK


def differences(document: Path, records: Records) -> list[str]:
    """The marked parts of a document that do not say what the records say, in words."""
    return [
        f"{document}: `{block.words}` is not what the records say; write it by `coordbench results`"
        for block in blocks(document.read_text(encoding="utf-8"))
        if block.name not in tables.LIVE and block.content != tables.write(records, block).strip()
    ]


def documents_of(folder: Path) -> list[Path]:
    """The Markdown files around a folder of records that hold marked parts; raise UsageError where there are none."""
    root = folder.resolve().parent
    files = [*root.glob("*.md"), *(root / "docs").glob("*.md"), *folder.resolve().glob("*.md")]
    chosen = [path for path in sorted(files) if any(blocks(path.read_text(encoding="utf-8")))]
    if not chosen:
        raise UsageError(f"no document around {str(folder)!r} has a mark `<!-- results: .. -->`")
    return chosen


def stale_rows(folder: Path) -> Stale:
    """The rows of each run of record whose sources, libraries or settings changed since."""
    stale: dict[str, dict[str, Sequence[str]]] = {}
    for path in folders(folder):
        with open_archive(path) as store:
            stale[path.name] = {row.identity: changes for row in stored_jobs(store) if (changes := row.changes)}
    return stale


def _staleness(records: Records) -> str:
    counted = ", ".join(f"{name} {len(run.stale)} of {run.rows}" for name, run in records.runs.items())
    return f"stale rows: {records.stale} ({counted or 'no runs of record'})"
