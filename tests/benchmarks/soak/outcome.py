"""What is wrong in a store after a run under fire."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import sqlalchemy as sql

from coordbench.harness.core import registry
from coordbench.harness.run.verify.check import verify
from coordbench.harness.store.schema import items, records
from coordbench.harness.store.store import Store
from tests.benchmarks.soak import short_trials

LEFT = ("*.part", "*.records", "strike*")
"""Files that are there while a run goes on, and not after it."""


def faults(home: Path, url: str, trials: int, reported: set[int]) -> list[str]:
    """Each fault in one line; none if all is well."""
    with Store(url) as store:
        run = store.resolve_run(None)
        joined = sql.select(items.c.job, records.c.status, records.c.error).join_from(
            items, records, items.c.record == records.c.id, isouter=True
        )
        rows = store.read(joined.where(items.c.run == run))
        stored = store.read(sql.select(records.c.identity).where(records.c.status == "ok"))
        wrong = _wrong(store, home, trials)
    doubled = [identity for identity, count in Counter(row.identity for row in stored).items() if count > 1]
    failed = [row.error for row in rows if row.status != "ok"]
    lost = reported - {row.job["seed"] for row in rows if row.status == "ok"}
    files = [path.name for pattern in LEFT for path in home.rglob(pattern)]
    listed = {
        f"{len(rows)} rows instead of {trials}": len(rows) != trials,
        f"{len(failed)} trials not ok: {sorted(set(map(str, failed)))[:3]}": bool(failed),
        f"{len(lost)} reported records lost": bool(lost),
        f"{len(doubled)} records made twice": bool(doubled),
        f"{len(wrong)} records wrong: {wrong[:3]}": bool(wrong),
        f"files left behind: {files}": bool(files),
    }
    return [text for text, is_so in listed.items() if is_so]


def _wrong(store: Store, home: Path, trials: int) -> list[str]:
    """The records that do not come out the same when they are trained again, in peace."""
    registry.load()
    registry.load_plugin(str(short_trials.plugin(home)))
    checks = verify(store, trials, 0, [str(short_trials.plugin(home))])
    return [f"{check.label}: {check.answer} {check.detail}" for check in checks if check.answer != "verified"]
