"""Every statistic against scipy or against an answer worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from coordbench.harness.statistics import aggregate, intervals, multiple, paired, survival


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def test_mean_interval_is_scipys(generator: np.random.Generator) -> None:
    values = generator.normal(3, 2, 9)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert intervals.mean_interval(values, 0.9) == pytest.approx((expected.low, expected.high))
    assert np.isnan(intervals.mean_interval([1.0])).all()


def test_pseudomedian_is_the_median_of_pair_means_with_the_interval_of_signed_ranks(
    generator: np.random.Generator,
) -> None:
    assert intervals.pseudomedian([1.0, 2.0, 10.0]) == (pytest.approx((2 + 5.5) / 2), 1, 10)
    values = generator.standard_t(3, 40)
    middle, low, high = intervals.pseudomedian(values)
    assert stats.wilcoxon(values - middle).statistic == pytest.approx(40 * 41 / 4, rel=0.02)
    for bound, inside in ((low, middle), (high, middle)):
        outward = bound + 0.02 * (bound - inside)
        assert stats.wilcoxon(values - outward).pvalue < 0.05
        assert stats.wilcoxon(values - (bound + 0.1 * (inside - bound))).pvalue > 0.05


def test_the_interval_of_a_pseudomedian_covers_as_often_as_it_says(generator: np.random.Generator) -> None:
    for count in (6, 12, 30):
        bounds = [intervals.pseudomedian(row)[1:] for row in generator.standard_t(3, (400, count))]
        assert 0.93 < np.mean([low <= 0 <= high for low, high in bounds]) < 0.995


def test_iqm_leaves_out_the_outer_quarters() -> None:
    assert aggregate.iqm([0, 1, 2, 3, 4, 5, 6, 100]) == 3.5
    rows = np.random.default_rng(0).normal(size=(3, 11))
    assert aggregate.iqm(rows) == pytest.approx(stats.trim_mean(rows, 0.25, axis=1))


def test_stratified_bootstrap_draws_within_tasks(generator: np.random.Generator) -> None:
    constant = [[0.0] * 5, [1.0] * 5]
    assert aggregate.stratified_bootstrap(constant, lambda x: x.mean(-1), generator) == (0.5, 0.5)
    values = generator.normal(size=200)
    low, high = aggregate.stratified_bootstrap([values], lambda x: x.mean(-1), generator, repeats=4000)
    expected = intervals.mean_interval(values)
    assert (low, high) == pytest.approx(expected, abs=0.02)


def test_paired_t_and_equivalence_are_scipys(generator: np.random.Generator) -> None:
    d = generator.normal(0.3, 1, 12)
    assert paired.paired_t(d) == pytest.approx(stats.ttest_1samp(d, 0).pvalue)
    sides = [stats.ttest_1samp(d, -1, alternative="greater").pvalue, stats.ttest_1samp(d, 1, alternative="less").pvalue]
    assert paired.equivalence_t(d, 1.0) == pytest.approx(max(sides))


def test_agreeing_seeds_prove_nothing_beyond_their_margin() -> None:
    assert paired.paired_t([0.5, 0.5, 0.5]) == 0
    assert paired.paired_t([0.5, 0.5, 0.5], smallest_deviation=0.5) == pytest.approx(2 * stats.t.sf(np.sqrt(3), 2))
    assert paired.paired_t([0.0, 0.0]) == 1 == paired.paired_t([4.0])


def test_holm_by_hand() -> None:
    assert multiple.holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert multiple.holm([0.6, 0.7]).max() == 1.0
    assert len(multiple.holm([])) == 0


def test_probability_of_improvement_is_mann_whitney(generator: np.random.Generator) -> None:
    x, y = generator.integers(0, 5, 9), generator.integers(0, 5, 7)
    expected = stats.mannwhitneyu(x, y).statistic / 63
    assert aggregate.probability_of_improvement([x], [y]) == pytest.approx(expected)
    assert aggregate.probability_of_improvement([[1], [0]], [[0], [0]]) == 0.75


def test_improvement_interval_holds_its_estimate(generator: np.random.Generator) -> None:
    x, y = generator.normal(0.5, 1, (2, 30)), generator.normal(0, 1, (2, 30))
    low, high = aggregate.improvement_interval(x, y, generator)
    assert low < aggregate.probability_of_improvement(x, y) < high
    assert aggregate.improvement_interval([[1, 2]], [[0, 0]], generator) == (1.0, 1.0)


def test_performance_profile_by_hand() -> None:
    assert aggregate.performance_profile([[0.1, 0.6], [0.9]], [0, 0.5, 0.95]) == pytest.approx([1, 0.75, 0])


def test_the_interval_of_a_deviation_covers_it(generator: np.random.Generator) -> None:
    draws = generator.normal(3.0, 2.0, (4000, 8))
    low, high = np.transpose([intervals.deviation_interval(row, 0.9) for row in draws])
    covered = ((low < 2.0) & (high > 2.0)).mean()
    assert covered == pytest.approx(0.9, abs=0.02)
    assert ((low > 2.0).mean(), (high < 2.0).mean()) == pytest.approx((0.05, 0.05), abs=0.015)
    assert np.isnan(intervals.deviation_interval([1.0])).all()


def test_wilson_is_scipys() -> None:
    assert intervals.wilson(0, 10) == pytest.approx((0, 0.27753), abs=1e-5)
    assert intervals.wilson(0, 0) == (0, 1)


@pytest.mark.parametrize("pairs", [3, 5, 12, 30])
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_the_smallest_detectable_effect_has_the_power_that_is_asked_for(pairs: int, level: float) -> None:
    """scipy's noncentral t as the oracle; quantiles of the central t had .68 to .79 here."""
    effect = paired.smallest_detectable_effect(1.0, pairs, level)
    threshold = stats.t(pairs - 1).ppf(1 - level / 2)
    assert stats.nct(pairs - 1, effect * pairs**0.5).sf(threshold) == pytest.approx(0.8, abs=1e-5)


@pytest.mark.parametrize("effect", [0.4, -0.9, 3.0])
@pytest.mark.parametrize("level", [0.05, 0.002])
def test_so_many_pairs_are_needed_and_no_fewer(effect: float, level: float) -> None:
    """scipy's noncentral t as the oracle."""

    def power(pairs: int) -> float:
        threshold = stats.t(pairs - 1).ppf(1 - level / 2)
        return float(stats.nct(pairs - 1, abs(effect) * pairs**0.5).sf(threshold))

    needed = paired.pairs_needed(1.0, effect, level)
    assert needed is not None
    assert power(needed - 1) < 0.8 <= power(needed) + 1e-6


def test_no_number_of_pairs_is_proposed_where_a_thousand_are_too_few() -> None:
    assert paired.pairs_needed(1.0, 0.05) is None
    assert paired.pairs_needed(1.0, 0.0) is None


def test_smallest_detectable_effect_is_found_four_times_in_five(generator: np.random.Generator) -> None:
    effect = paired.smallest_detectable_effect(2.0, 30)
    d = generator.normal(effect, 2.0, (4000, 30))
    found = stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_kaplan_meier_is_scipys(generator: np.random.Generator) -> None:
    times, seen = generator.integers(1, 12, 40), generator.random(40) < 0.6
    ours = survival.kaplan_meier(times, seen)
    data = stats.CensoredData(uncensored=times[seen], right=times[~seen])
    theirs = stats.ecdf(data).sf
    assert ours.shares == pytest.approx(theirs.evaluate(ours.times))
    assert ours.median() == ours.times[np.flatnonzero(ours.shares <= 0.5)[0]]


def test_nobody_dies() -> None:
    alive = survival.kaplan_meier([450, 450, 450], [False, False, False])
    assert alive.median() == float("inf")


def test_log_rank_is_scipys(generator: np.random.Generator) -> None:
    times, others = generator.integers(1, 9, 25), generator.integers(3, 15, 30)
    seen, others_seen = generator.random(25) < 0.7, generator.random(30) < 0.7
    z, p = survival.log_rank(times, seen, others, others_seen)
    sides = [stats.CensoredData(uncensored=t[e], right=t[~e]) for t, e in ((times, seen), (others, others_seen))]
    expected = stats.logrank(*sides)
    assert (z, p) == pytest.approx((expected.statistic, expected.pvalue))
    assert z > 0  # the first group dies sooner


def test_a_median_at_exactly_one_half_is_not_missed_by_rounding() -> None:
    """Ten at risk: 8/10 after two events at 2, times 6/8 at 3, times 5/6 at 4 is one half, though not in floats."""
    times = [1, 2, 2, 3, 3, 4, 6, 6, 7, 7, 8]
    curve = survival.kaplan_meier(times, [time > 1 for time in times])
    assert curve.shares[list(curve.times).index(4)] == pytest.approx(0.5)
    assert curve.median() == 4
