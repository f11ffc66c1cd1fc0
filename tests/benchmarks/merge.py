"""How long it takes to merge many records: `python -m tests.benchmarks.merge [RECORDS]`, 100,000 by default.

Two stores of so many records each, of which half are the same, become one. The line is 60 s.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CurvePoint, Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.store.store import Store, open_store
from coordbench.harness.store.travel.merge import merge

_AT_A_TIME = 2_000
_SEEDS = 20


def fill(store: Store, first: int, count: int) -> None:
    """A run of `count` trials from the number `first` on: two scores and a curve of 100 points each."""
    run = store.start_run("p", "coordbench run", {"processor": "a"}, {"tasks": {}, "preset": {}, "variants": {}})
    curve = [CurvePoint(step, step / 10, "train/loss", 1 / step) for step in range(1, 101)]
    for start in range(first, first + count, _AT_A_TIME):
        numbers = range(start, min(start + _AT_A_TIME, first + count))
        jobs = [Trial(Cell.of(f"toy[noise={number // _SEEDS}]", "net", "conv"), number % _SEEDS) for number in numbers]
        known = [Identity(f"toy {number}", {"source x": str(number // 1000)}) for number in numbers]
        places = store.add_items(run, [(job, identity, {}) for job, identity in zip(jobs, known, strict=True)])
        records = [
            Record("ok", scores={"test": {"mse": number, "psnr": 1.0}}, curves=curve, environment={"processor": "a"})
            for number in numbers
        ]
        store.add_many(run, list(zip(places, known, records, strict=True)))
    store.finish_run(run)


def main() -> None:
    """Fill, merge, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        stores = [open_store(None, Path(folder) / name) for name in ("a", "b")]
        for store, first in zip(stores, (0, count // 2), strict=True):
            fill(store, first, count)
        start, cpu = time.perf_counter(), time.process_time()
        merged = merge(stores[1], stores[0])
        seconds, busy = time.perf_counter() - start, time.process_time() - cpu
    print(f"{count} records: {merged.records} new, {merged.equal} there, {seconds:.1f} s ({busy:.1f} s of processor)")


if __name__ == "__main__":
    main()
