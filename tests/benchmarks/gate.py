"""The gate on this machine: equal code many times over, a planted slowdown many times over, one core kept busy.

python -m tests.benchmarks.gate alarms --runs 40     how many gates over equal code end as regressed
python -m tests.benchmarks.gate caught --runs 20     how many gates over code that is 10 % slower do
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from coordbench.harness.gate.pairs import Timer
from coordbench.harness.gate.settings import Settings
from coordbench.harness.gate.sides import Tree, running
from coordbench.harness.gate.stages.speed import LayerWork, compare

LAYER = '''"""A convolution, {times} times in a row."""

from torch import nn

from coordbench.harness.core.registry import variant


@variant("repeated", source="none")
class Repeated(nn.Module):
    """The same convolution again and again."""

    def __init__(self, in_channels, out_channels, kernel_size, *, size, stride=1, bias=True):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=bias)

    def forward(self, x):
        for _ in range({times}):
            y = self.conv(x)
        return y
'''
BASE, SLOWER = 20, 22
"""Convolutions in a forward pass: 10 % more of the same work."""


def main() -> None:
    """Measure and print one line per gate, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["alarms", "caught"])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--quiet", action="store_true", help="leave the other core alone")
    chosen = parser.parse_args()
    times = {"base": BASE, "candidate": SLOWER if chosen.what == "caught" else BASE}
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, contextlib.nullcontext() if chosen.quiet else busy():
        trees = [make_tree(name, Path(folder).resolve(), count) for name, count in times.items()]
        for run in range(chosen.runs):
            start = time.perf_counter()
            outcome, note = gate(*trees)
            outcomes[outcome] += 1
            print(f"[{run + 1}/{chosen.runs}] {outcome}: {note} ({time.perf_counter() - start:.0f} s)", flush=True)
    print(f"{chosen.what}: {dict(outcomes)}")


def make_tree(name: str, folder: Path, times: int) -> Tree:
    """A source tree with one layer."""
    (folder / name).mkdir()
    (folder / name / "repeated.py").write_text(LAYER.format(times=times))
    return Tree(name, folder / name, folder)


def gate(base: Tree, candidate: Tree) -> tuple[str, str]:
    """One speed stage over the forward pass: its outcome and the change that it saw."""
    layers = []
    for tree in (base, candidate):
        with running(tree, deadline=600) as (side,):
            layers.append(side.describe(["repeated.py"], []).layers["repeated"])
    settings = Settings(phases=["forward"], channels=8, size=16, batch=4, deadline_seconds=600)
    work = LayerWork({"repeated": (layers[0], layers[1])}, settings)
    (row,) = compare(Timer(base, candidate, work, settings))
    change = 0.0 if row.change is None else row.change
    return row.outcome, f"{change:+.1%}, {row.note}"


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """Keep another process at work all the time."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
