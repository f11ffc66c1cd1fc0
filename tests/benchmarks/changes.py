"""Change points on made-up series with noise like that of stored runs: false alarms, and steps of 5 % that are seen.

python -m tests.benchmarks.changes --series 500 --noise 0.012
"""

from __future__ import annotations

import argparse

import numpy as np

from coordbench.harness.statistics.changes import Array, changes

WITHIN = 5
"""Runs within which a step is to be seen."""


def main() -> None:
    """Print how many equal series change, and how many steps are seen within five runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--noise", type=float, default=0.012)
    parser.add_argument("--step", type=float, default=0.05)
    parser.add_argument("--runs", type=int, default=25)
    chosen = parser.parse_args()
    generator = np.random.default_rng(0)
    alarms = sum(bool(changes(series(generator, chosen.runs, chosen.noise))) for _ in range(chosen.series))
    print(f"{alarms} of {chosen.series} series of {chosen.runs} runs without a step have a change point")
    seen = sum(is_seen(generator, chosen.runs, chosen.noise, chosen.step) for _ in range(chosen.series))
    print(f"{seen} of {chosen.series} steps of {chosen.step:.0%} are seen within {WITHIN} runs")


def series(generator: np.random.Generator, runs: int, noise: float) -> Array:
    """Latencies [s] of runs of equal code, of which one in a hundred met a busy machine."""
    busy = (generator.random(runs) < 0.01) * generator.uniform(0.05, 0.33, runs)
    return np.asarray(np.exp(noise * generator.standard_normal(runs) + busy) * 1e-3)


def is_seen(generator: np.random.Generator, runs: int, noise: float, step: float) -> bool:
    """Whether a step before the last five runs is seen, in its place up to two runs."""
    values = series(generator, runs, noise)
    values[runs - WITHIN :] *= 1 + step
    return any(abs(change.index - (runs - WITHIN)) <= 2 for change in changes(values))


if __name__ == "__main__":
    main()
