"""A project's own benchmarks on this machine: how often equal ones regress, and how often 10 % more work is noticed.

python -m tests.benchmarks.suites --gates 10     of each gate's benchmarks half are equal, half do 10 % more
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

from coordbench.harness.gate.output import change
from coordbench.harness.gate.pairs import Timer
from coordbench.harness.gate.rows import GateRow
from coordbench.harness.gate.settings import Settings
from coordbench.harness.gate.sides import Tree
from coordbench.harness.gate.stages.speed import compare
from coordbench.harness.gate.suites import listing
from coordbench.harness.gate.suites.stage import wide_enough
from coordbench.harness.gate.suites.work import SuiteWork

KINDS = {
    "add": "total = 0\n    for i in range(n): total += i",
    "append": "items = []\n    for i in range(n): items.append(i)",
    "table": "table = {}\n    for i in range(n): table[str(i)] = i",
    "join": "text = ''\n    for i in range(n): text = text[-8:] + chr(65 + i % 26)",
    "sort": "for i in range(n): sorted((3, i, 1))",
    "call": "for i in range(n): len(str(i))",
    "float": "x = 1.0\n    for i in range(n): x = x * 1.0001 + 0.5",
    "format": "for i in range(n): f'{i:04d}'",
    "split": "for i in range(n): 'a b c'.split()",
    "distinct": "s = set()\n    for i in range(n): s.add(i % 7)",
}
"""Cheap work of many kinds, `n` times."""
SIZE = 400


def main() -> None:
    """Run gates and print one line for each, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gates", type=int, default=10)
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=sorted(KINDS))
    chosen = parser.parse_args()
    totals: dict[str, Counter[str]] = {"equal": Counter(), "slower": Counter()}
    for number in range(chosen.gates):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            counts = gate(Path(folder).resolve(), chosen.kinds)
        for name, outcomes in counts.items():
            totals[name] += outcomes
        line = ", ".join(f"{name} {dict(outcomes)}" for name, outcomes in counts.items())
        seconds, load = time.perf_counter() - start, os.getloadavg()[0]
        print(f"[{number + 1}/{chosen.gates}] {line} ({seconds:.0f} s, load {load:.1f})", flush=True)
    print(f"in all: { {name: dict(outcomes) for name, outcomes in totals.items()} }")


def gate(folder: Path, kinds: list[str]) -> dict[str, Counter[str]]:
    """One gate over both kinds of benchmarks: the outcomes of each."""
    base, candidate = (make_tree(folder, name, kinds) for name in ("base", "candidate"))
    settings = Settings(deadline_seconds=600)
    files = ["bench_work.py"]
    labels = listing.compare(base, candidate, files, settings.deadline_seconds).labels
    work = SuiteWork(labels, files, settings.deadline_seconds)
    rows = compare(Timer(base, candidate, work, wide_enough(settings, len(labels))))
    for row in rows:
        if row.outcome != ("regressed" if "_slower" in row.layer else "pass"):
            print(f"  {row.outcome}: {row.layer} {change(row)}, {row.note}", flush=True)
    return {name: outcomes(rows, name) for name in ("equal", "slower")}


def outcomes(rows: list[GateRow], name: str) -> Counter[str]:
    """How benchmarks of a name ended."""
    return Counter(row.outcome for row in rows if f"_{name}" in row.layer)


def make_tree(folder: Path, name: str, kinds: list[str]) -> Tree:
    """A project with a module and its benchmarks; the candidate does 10 % more in half of them."""
    root = folder / name
    root.mkdir(parents=True)
    size = SIZE * 11 // 10 if name == "candidate" else SIZE
    functions = [f"def {kind}(n):\n    {work}\n\n" for kind, work in KINDS.items() if kind in kinds]
    (root / "work.py").write_text(f"MORE = {size}\n\n" + "\n".join(functions))
    tests = [
        f"def test_{kind}_{what}(benchmark):\n    benchmark(work.{kind}, {size})\n"
        for kind in kinds
        for what, size in (("equal", str(SIZE)), ("slower", "work.MORE"))
    ]
    (root / "bench_work.py").write_text("import work\n\n\n" + "\n\n".join(tests))
    return Tree(name, root, folder)


if __name__ == "__main__":
    main()
