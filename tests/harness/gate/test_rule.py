"""The rule of the gate against exact counting, and on a synthetic clock with all that a shared machine does to time."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate import rule
from coordbench.harness.gate.rule import IMPROVED, INCONCLUSIVE, OPEN, PASS, REGRESSED, Thresholds

TRIALS, TURNS = 2000, 30
LIMITS = Thresholds()


def synthetic_ratios(change: float, seed: int, trials: int = TRIALS, comparisons: int = 1) -> rule.Array:
    """Per-pair medians of log ratios (trials, comparisons, 16) on a clock that drifts, steps, spikes and favors."""
    generator = np.random.default_rng(seed)
    pairs = (trials, comparisons, LIMITS.pairs[1])
    shape = (*pairs, TURNS, 2)  # two slots in time to each turn
    walk = generator.normal(0, 0.01, shape).reshape(*pairs, -1).cumsum(-1).reshape(shape)  # the machine's speed drifts
    where = generator.integers(0, 2 * TURNS, (*pairs, 1))
    step = 0.3 * (np.arange(2 * TURNS) > where).reshape(shape)  # and falls by a third at some moment
    spikes = generator.exponential(1.0, shape) * (generator.random(shape) < 0.08)
    jitter = generator.normal(0, 0.02, shape)
    slots = walk + step + spikes + jitter
    candidate_first = generator.random((*pairs, TURNS)) < 0.5
    difference = np.where(candidate_first, slots[..., 0] - slots[..., 1], slots[..., 1] - slots[..., 0])
    processes = generator.standard_t(4, (*pairs, 2)) * 0.01  # where a process lies in memory makes it faster or slower
    ratios: rule.Array = np.median(difference, -1) + processes[..., 0] - processes[..., 1] + math.log1p(change)
    return ratios


@pytest.fixture(scope="module")
def decided() -> dict[float, Any]:
    return {change: rule.decide(synthetic_ratios(change, 1), LIMITS) for change in (0.0, 0.05, 0.10, -0.10)}


def test_false_alarms_are_rare_where_nothing_changed(decided: dict[float, Any]) -> None:
    assert (decided[0.0] == REGRESSED).mean() <= 0.01
    assert (decided[0.0] == PASS).mean() >= 0.95


@pytest.mark.parametrize(("change", "caught"), [(0.05, 0.90), (0.10, 0.99)])
def test_slowdowns_are_caught(decided: dict[float, Any], change: float, caught: float) -> None:
    assert (decided[change] == REGRESSED).mean() >= caught
    assert not (decided[change] == IMPROVED).any()


def test_a_faster_layer_improved_and_never_regressed(decided: dict[float, Any]) -> None:
    assert (decided[-0.10] == IMPROVED).mean() >= 0.99
    assert not (decided[-0.10] == REGRESSED).any()


def test_a_family_of_ten_comparisons_raises_no_more_alarms_than_one() -> None:
    verdicts = rule.decide(synthetic_ratios(0.0, 2, trials=400, comparisons=10), LIMITS)
    assert (verdicts == REGRESSED).any(-1).mean() <= 0.01


def test_a_clock_too_noisy_to_tell_is_inconclusive_not_regressed() -> None:
    ratios = np.random.default_rng(3).normal(0, 0.3, (500, 1, 16))
    verdicts = rule.decide(ratios, LIMITS)
    assert (verdicts == INCONCLUSIVE).mean() > 0.8
    assert (verdicts == REGRESSED).mean() <= 0.02


@pytest.mark.parametrize("count", [5, 8])
def test_the_rank_sum_is_that_of_counting_all_signs(count: int) -> None:
    sums = [sum(itertools.compress(range(1, count + 1), signs)) for signs in itertools.product((0, 1), repeat=count)]
    counted = [np.mean([s >= t for s in sums]) for t in range(count * (count + 1) // 2 + 1)]
    np.testing.assert_allclose(rule._tail(count), counted, atol=1e-12)


def test_p_values_are_those_of_scipy() -> None:
    ratios = np.random.default_rng(4).normal(0.01, 0.02, (20, 12))
    wanted = [stats.wilcoxon(row, alternative="greater", method="exact").pvalue for row in ratios]
    np.testing.assert_allclose(rule.p_value(ratios), wanted, rtol=1e-12)


def test_a_bound_lies_above_zero_exactly_where_its_test_does_not_reject() -> None:
    ratios = np.random.default_rng(5).normal(-0.01, 0.02, (300, 8))
    np.testing.assert_array_equal(rule.bound(ratios, 0.05) < 0, rule.p_value(-ratios) <= 0.05)


def test_bounds_by_hand() -> None:
    ratios = np.array([1.0, 2.0, 3.0, 4.0, 5.0])  # P(T >= 15) = 1/32: only the greatest Walsh average is left out
    assert rule.bound(ratios, 0.05) == 5.0
    assert rule.bound(ratios, 2 / 32) == 4.5
    assert rule.bound(ratios[:4], 0.05) == math.inf
    assert rule.estimate(ratios, LIMITS) == (3.0, 1.0, 5.0)


def test_the_first_look_passes_or_waits_but_never_accuses() -> None:
    ratios = np.log1p(np.array([[0.01] * 8, [0.2] * 8, [-0.2] * 8]))
    np.testing.assert_array_equal(rule.first_look(ratios, LIMITS), [PASS, OPEN, IMPROVED])


def test_comparisons_that_passed_before_count_in_the_family() -> None:
    np.testing.assert_allclose(rule._adjusted(np.array([0.01, 0.01]), 5), [0.05, 0.05])


@pytest.mark.parametrize(
    ("pairs", "comparisons", "told"),
    [((4, 16), 1, "1/16 = 0.0625, above 0.05"), ((8, 9), 10, "1/512 = 0.00195, above 0.01 / 10"), ((8, 16), 656, "17")],
)
def test_thresholds_out_of_reach_are_refused_with_the_arithmetic(
    pairs: tuple[int, int], comparisons: int, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        Thresholds(pairs=pairs).check(comparisons)


@pytest.mark.parametrize(("comparisons", "pairs"), [(1, 16), (20, 20), (1000, 24)])
def test_one_wild_pair_hides_no_slowdown_of_many_comparisons(comparisons: int, pairs: int) -> None:
    limits = LIMITS.bearing_one_wild_pair(comparisons)
    assert limits.pairs == (LIMITS.pairs[0], pairs)
    ratios = np.full((1, pairs), 0.1) + np.linspace(0, 1e-3, pairs)
    ratios[0, 3] = -0.4
    expected = REGRESSED if comparisons < 1000 else INCONCLUSIVE
    assert rule.final_look(ratios, limits, comparisons).tolist() == [expected]


def test_the_thresholds_by_default_are_within_reach() -> None:
    Thresholds().check(655)
