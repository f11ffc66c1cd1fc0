"""The posterior over commits, on made-up pairs: it finds the step, with fewer pairs than git bisect."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from coordbench.harness.gate import rule
from coordbench.harness.gate.bisect.posterior import Posterior, most_pairs

COUNT, STEP, LIMITS = 32, math.log(1.07), rule.Thresholds()


def pairs(generator: np.random.Generator, commit: int, first: int, noise: float) -> Iterator[float]:
    """Log ratios of pairs of a commit: two wild ones in a hundred."""
    while True:
        wild = 5 if generator.random() < 0.02 else 1
        yield (STEP if commit >= first else 0.0) + wild * noise * generator.standard_normal()


def search(generator: np.random.Generator, first: int, noise: float) -> tuple[int, int]:
    """The commit that is found, and how many pairs it took, those of the first comparison among them."""
    sources = {commit: pairs(generator, commit, first, noise) for commit in range(1, COUNT + 1)}
    ends = [next(sources[COUNT]) for _ in range(LIMITS.pairs[1])]
    posterior = Posterior(COUNT, float(np.median(ends)))
    for ratio in ends:
        posterior.observe(COUNT, ratio)
    taken = len(ends)
    while posterior.best[1] < 0.99 and taken < most_pairs(COUNT, LIMITS.pairs[1]):
        commit = posterior.following(range(1, COUNT + 1))
        posterior.observe(commit, next(sources[commit]))
        taken += 1
    return posterior.best[0], taken


def repeated_bisect(generator: np.random.Generator, first: int, noise: float) -> tuple[int, int]:
    """The same by halves, with both looks of the gate at each: slow is what regressed."""
    good, bad, taken = 0, COUNT, 0
    while bad - good > 1:
        middle = (good + bad) // 2
        source = pairs(generator, middle, first, noise)
        ratios = np.array([next(source) for _ in range(LIMITS.pairs[1])])
        early = int(rule.first_look(ratios[: LIMITS.pairs[0]], LIMITS))
        taken += LIMITS.pairs[0] if early != rule.OPEN else LIMITS.pairs[1]
        slow = early == rule.OPEN and int(rule.final_look(ratios[None], LIMITS, 1)[0]) == rule.REGRESSED
        good, bad = (good, middle) if slow else (middle, bad)
    return bad, taken


@pytest.mark.parametrize("noise", [0.02, 0.04])
def test_the_step_is_found_with_fewer_pairs_than_git_bisect_takes(noise: float) -> None:
    generator = np.random.default_rng(0)
    firsts = generator.integers(1, COUNT + 1, 60).tolist()
    results = {
        way.__name__: np.array([way(generator, first, noise) for first in firsts]) for way in (search, repeated_bisect)
    }
    right = {name: float((result[:, 0] == firsts).mean()) for name, result in results.items()}
    taken = {name: float(result[:, 1].mean()) for name, result in results.items()}
    assert right["search"] >= max(0.95, right["repeated_bisect"])
    assert taken["search"] < 0.8 * taken["repeated_bisect"]


def test_without_noise_it_halves_as_git_bisect_does() -> None:
    posterior = Posterior(8, STEP)
    for _ in range(8):
        posterior.observe(8, STEP)
    measured = []
    while posterior.best[1] < 0.99:
        measured.append(posterior.following(range(1, 9)))
        posterior.observe(measured[-1], STEP if measured[-1] >= 3 else 0.0)
    assert measured[0] == 4
    assert posterior.best[0] == 3
    assert posterior.probabilities.sum() == pytest.approx(1)


def test_commits_that_cannot_be_measured_are_blamed_together() -> None:
    posterior = Posterior(8, STEP)
    measurable = [1, 2, 5, 8]
    for commit in (8, 8, 8, 8, 8, 8, 2, 2, 2, 5, 5, 5):
        posterior.observe(commit, STEP if commit >= 5 else 0.0)
    assert posterior.span(measurable) == range(3, 6)
    assert posterior.share(range(3, 6)) > 0.95
    assert posterior.share(range(1, 9)) == pytest.approx(1)
