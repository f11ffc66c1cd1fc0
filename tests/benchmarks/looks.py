"""How often planned looks tell a lead that is none, and what they save: `python -m tests.benchmarks.looks [FAMILIES]`.

Nulls: families of 1, 10 or 30 comparisons, all or half of them without any difference. Effects: trials spent until a
verdict and the share of true leads found, beside 20 fixed seeds. Seeds of the simulation are printed with the table.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from coordbench.harness.statistics.arrays import Floats
from coordbench.harness.statistics.intervals import wilson
from coordbench.harness.statistics.multiple import holm
from coordbench.harness.statistics.paired import exact_shares
from coordbench.harness.statistics.sequential import t_tests
from coordbench.harness.statistics.spending import Design, Spending

LOOKS = (6, 10, 16, 24)
SEED = 20
OTHERS = (1021, 1022, 1023)
"""Seeds for what must not rest on those that anything was chosen by."""
LEVEL = 0.05
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]
Test = Callable[[Floats], Floats]


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Differences with a deviation of 1."""
    return generator.normal(size=shape)


def heavy(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Student's t with three degrees of freedom, scaled to a deviation of 1."""
    return generator.standard_t(3, size=shape) / np.sqrt(3)


def binary(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Differences of two arms that succeed half of the time."""
    return (generator.integers(0, 2, size=shape) - generator.integers(0, 2, size=shape)).astype(float)


def skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """An exponential around its mean: what no pair of equal arms gives, and what breaks a t test."""
    return generator.exponential(size=shape) - 1


@dataclass(frozen=True)
class Outcome:
    """What became of families (families, comparisons): leads, and pairs spent."""

    leads: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    pairs: Floats


def run(differences: Floats, design: Design, test: Test = t_tests) -> Outcome:
    """Take all looks at differences (families, comparisons, pairs); what is decided gets no more."""
    worth = np.ones(differences.shape[:2])
    pairs = np.zeros(differences.shape[:2])
    going = np.ones(differences.shape[:2], dtype=bool)
    for look, count in enumerate(design.looks):
        p = design.total(test(differences[..., :count]), look)
        worth, pairs = np.where(going, p, worth), np.where(going, count, pairs)
        going = holm(worth) >= LEVEL
    return Outcome(~going, pairs)


def fixed(differences: Floats, test: Test = t_tests) -> Outcome:
    """One look at all pairs."""
    return Outcome(holm(test(differences)) < LEVEL, np.full(differences.shape[:2], float(differences.shape[-1])))


def false_leads(
    draw: Draw, size: int, families: int, design: Design, *, real: int = 0, test: Test = t_tests, seed: int = SEED
) -> int:
    """In how many families anything leads that should not; the first `real` comparisons truly differ, by 1.5 sd."""
    generator = np.random.default_rng([seed, size, real])
    count = 0
    for _ in range(families // 1000):
        differences = draw(generator, (1000, size, design.looks[-1]))
        differences[:, :real] += 1.5
        count += int(run(differences, design, test).leads[:, real:].any(axis=1).sum())
    return count


def coverage(draw: Draw, families: int, design: Design) -> int:
    """How many intervals cover 0 at all looks together."""
    values = draw(np.random.default_rng(SEED), (families, design.looks[-1]))
    inside = np.ones(families, dtype=bool)
    for look, count in enumerate(design.looks):
        inside &= t_tests(values[:, :count]) >= design.bound(LEVEL, look)
    return int(inside.sum())


def power(effect: float, size: int, families: int, design: Design | None, pairs: int = 20) -> tuple[float, float]:
    """The share of leads found and the mean trials spent, where all comparisons differ by `effect` sd."""
    generator = np.random.default_rng([SEED, size])
    shape = (families, size, design.looks[-1] if design else pairs)
    differences = normal(generator, shape) + effect
    outcome = run(differences, design) if design else fixed(differences)
    return float(outcome.leads.mean()), float(outcome.pairs.mean())


def _spendings(families: int) -> None:
    print("\n| spending | size | " + " | ".join(f"{e} sd" for e in EFFECTS) + " |\n|---|---|" + "---|" * len(EFFECTS))
    spendings: tuple[Spending, ...] = ("linear", "power", "pocock", "obrien_fleming")
    for size in (1, 10):
        for spending in spendings:
            cells = [power(effect, size, families // 5, Design(LOOKS, spending)) for effect in EFFECTS]
            print(f"| {spending} | {size} | " + " | ".join(f"{p:.2f}, {n:.1f}" for p, n in cells) + " |")
        cells = [power(effect, size, families // 5, None) for effect in EFFECTS]
        print(f"| 20 fixed | {size} | " + " | ".join(f"{p:.2f}, {n:.1f}" for p, n in cells) + " |")


EFFECTS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


def false_ties(size: int, families: int, design: Design) -> int:
    """In how many families anything is called tied whose mean lies just at the margin of 1 sd."""
    generator = np.random.default_rng([SEED, size])
    worth, going = np.ones((families, size)), np.ones((families, size), dtype=bool)
    differences = normal(generator, (families, size, design.looks[-1])) + 1.0
    for look, count in enumerate(design.looks):
        values = differences[..., :count]
        error = values.std(axis=-1, ddof=1) / np.sqrt(count)
        p = special.stdtr(count - 1, (np.abs(values.mean(axis=-1)) - 1.0) / error)
        worth = np.where(going, design.total(p, look, 1), worth)
        going = holm(worth) >= LEVEL
    return int((~going).any(axis=1).sum())


KINDS: tuple[tuple[str, Draw, str, Test], ...] = (
    ("normal", normal, "t", t_tests), ("t3", heavy, "t", t_tests), ("binary", binary, "exact", exact_shares),
    ("binary", binary, "t", t_tests), ("skewed", skewed, "t", t_tests),
)  # fmt: skip
SIZES = ((1, 0), (10, 0), (10, 5), (30, 0), (30, 15))


def _nulls(families: int) -> None:
    print("\n| differences | test | looks | comparisons | that differ | any false lead | Wilson |\n" + "|---" * 7 + "|")
    for looks in (LOOKS, (5, 8, 12, 16, 20)):
        for name, draw, kind, test in KINDS:
            for size, real in SIZES:
                count = false_leads(draw, size, families, Design(looks), real=real, test=test)
                listed = ", ".join(map(str, looks))
                print(f"| {name} | {kind} | {listed} | {size} | {real} | {_share(count, families)} |", flush=True)


def again(families: int) -> tuple[int, int]:
    """In how many of so many runs anything leads on the first page, at 12 pairs, or on a later one that pays, at 20."""
    values = normal(np.random.default_rng([SEED, 12]), (families, 20))
    first = t_tests(values[:, :12]) < LEVEL
    later = t_tests(values) < Design((12, 20)).bound(LEVEL, 1)
    return int(later.sum()), int((first | later).sum())


def _independent(families: int) -> None:
    """The level at generator seeds that LOOSE was not chosen by."""
    print("\n| seed | looks | comparisons | any false lead | Wilson |\n" + "|---" * 5 + "|")
    for looks in (LOOKS, (5, 8, 12, 16, 20), (6, 9, 12)):
        for size in (1, 10, 30):
            counts = [false_leads(normal, size, families, Design(looks), seed=seed) for seed in OTHERS]
            listed = ", ".join(map(str, looks))
            for seed, count in zip(OTHERS, counts, strict=True):
                print(f"| {seed} | {listed} | {size} | {_share(count, families)} |")
            print(f"| all | {listed} | {size} | {_share(sum(counts), families * len(OTHERS))} |", flush=True)


def _others(families: int) -> None:
    for size in (1, 10):
        share = _share(false_ties(size, families, Design(LOOKS)), families)
        print(f"\nfalse ties at the margin, {size} comparisons: {share}")
    for name, draw in (("normal", normal), ("t3", heavy)):
        share = _share(coverage(draw, families, Design(LOOKS)), families)
        print(f"\nintervals that cover at all looks together, {name}: {share}")
    later, either = again(families)
    print(f"\nfalse leads at 20 pairs after a look at 12 that nobody planned: {_share(later, families)}")
    print(f"\nfalse leads at either of them: {_share(either, families)}")


def _share(count: int, families: int) -> str:
    low, high = wilson(count, families)
    return f"{100 * count / families:.2f} % | {100 * low:.2f} to {100 * high:.2f}"


def main(families: int = 10_000) -> None:
    """Print all tables."""
    began = time.perf_counter()
    print(f"looks {list(LOOKS)}, {families} families, generator seed {SEED}, level {LEVEL}")
    _spendings(families)
    _nulls(families)
    _others(families)
    _independent(families)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
