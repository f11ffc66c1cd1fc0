"""AdaStop and STEP beside planned looks: `python -m tests.benchmarks.looks_beside [FAMILIES]`.

Both are no requirement: `pip install --no-deps --target DIR adastop sequentialized-barnard-tests
statistical-comparison-core==0.2.1 statistical-comparison-helpers binomial_cis tqdm`, and DIR in PYTHONPATH.
AdaStop (Mathieu et al., TMLR 2024) compares two arms by permutations, groups of 6 seeds, at most 4; STEP (Snyder et
al., RSS 2025) compares shares, one pair of trials after another, by a policy made for at most 200 pairs. Neither
pairs seeds, so arms are independent here, and a pair's difference has a deviation of 1 for all rules.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

import numpy as np

from coordbench.harness.statistics.arrays import Floats
from coordbench.harness.statistics.intervals import wilson
from coordbench.harness.statistics.paired import exact_shares
from coordbench.harness.statistics.spending import Design
from tests.benchmarks.looks import EFFECTS, fixed, run

SEED = 1020
LOOKS = Design((6, 12, 18, 24))
SHARES = ((0.5, 0.5), (0.2, 0.2), (0.4, 0.8), (0.2, 0.8), (0.05, 0.95))
MOST = 24


def adastop(ours: Floats, theirs: Floats, seed: int) -> tuple[bool, int]:
    """Whether AdaStop tells two arms apart, and after how many seeds."""
    comparator = importlib.import_module("adastop").MultipleAgentsComparator(n=6, K=4, B=1000, alpha=0.05, seed=seed)
    for count in LOOKS.looks:
        comparator.partial_compare({"ours": ours[:count], "theirs": theirs[:count]}, False)
        if comparator.is_finished:
            break
    return "equal" not in comparator.decisions.values(), int(comparator.n_iters["ours"])


@functools.cache
def _step() -> tuple[Any, Any]:
    """STEP's test, whose policy takes a while to read, and its answer while it goes on."""
    library: Any = importlib.import_module("sequentialized_barnard_tests")
    test = library.MirroredStepTest(alternative=library.Hypothesis.P0LessThanP1, n_max=200, alpha=0.05)
    return test, library.Decision.FailToDecide


def step(ours: Floats, theirs: Floats) -> tuple[bool, int]:
    """Whether STEP tells two shares apart within so many pairs, and after how many."""
    test, undecided = _step()
    test.reset()
    for pair, (one, other) in enumerate(zip(ours.astype(int), theirs.astype(int), strict=True), 1):
        if test.step(one, other).decision != undecided:
            return True, pair
    return False, len(ours)


def _values(families: int) -> None:
    print("| rule | equal arms | " + " | ".join(f"{effect} sd" for effect in EFFECTS) + " |\n|" + "---|" * 8)
    rows: dict[str, list[str]] = {"looks 6, 12, 18, 24": [], "AdaStop": [], "20 fixed": []}
    for effect in (0.0, *EFFECTS):
        generator = np.random.default_rng([SEED, int(100 * effect)])
        arms = generator.normal(size=(2, families, MOST)) * np.sqrt(0.5)
        differences = (arms[0] - arms[1] + effect)[:, None]
        looked, plain = run(differences, LOOKS), fixed(differences[..., :20])
        answers = [adastop(arms[0, i] + effect, arms[1, i], i) for i in range(families)]
        leads, spent = np.array(answers).T
        outcomes = ((looked.leads, looked.pairs), (leads, spent), (plain.leads, plain.pairs))
        for cells, (decided, pairs) in zip(rows.values(), outcomes, strict=True):
            cells.append(f"{float(np.mean(decided)):.2f}, {float(np.mean(pairs)):.1f}")
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |")


def _shares(families: int) -> None:
    print("\n| shares | looks, exact paired | STEP |\n|---|---|---|")
    for theirs, ours in SHARES:
        generator = np.random.default_rng([SEED, int(100 * ours), int(100 * theirs)])
        arms = (generator.random((2, families, MOST)) < np.array([ours, theirs])[:, None, None]).astype(float)
        looked = run((arms[0] - arms[1])[:, None], LOOKS, exact_shares)
        leads, spent = np.array([step(arms[1, i], arms[0, i]) for i in range(families)]).T
        cells = [
            f"{100 * np.mean(decided):.1f} % [{100 * low:.1f}, {100 * high:.1f}], {np.mean(pairs):.1f}"
            for decided, pairs in ((looked.leads, looked.pairs), (leads, spent))
            for low, high in [wilson(int(np.sum(decided)), families)]
        ]
        print(f"| {theirs:g} and {ours:g} | {cells[0]} | {cells[1]} |")


def main(families: int = 100) -> None:
    """Print both tables: share of leads, and pairs spent; STEP is the quicker by far."""
    print(f"shares: {10 * families} comparisons each; values: {families}; generator seed {SEED}, at most {MOST} pairs")
    _shares(10 * families)
    print(flush=True)
    _values(families)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
