"""Looks that are paid for: bounds from the literature, levels by simulation, verdicts worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from coordbench.harness.core.errors import UsageError
from coordbench.harness.statistics.arrays import Floats
from coordbench.harness.statistics.intervals import wilson
from coordbench.harness.statistics.paired import Evidence, decide, exact_shares, measure
from coordbench.harness.statistics.sequential import (
    History,
    at_look,
    failed_as_worst,
    repeated_interval,
    t_tests,
    take_looks,
)
from coordbench.harness.statistics.spending import Design, Spending, normal_bounds
from tests.benchmarks import looks, looks_replay

DESIGN = Design((6, 10, 16, 24))


@pytest.mark.parametrize(
    ("spending", "level", "sides", "expected"),
    [
        ("pocock", 0.05, 2, [2.368, 2.368, 2.358, 2.350]),  # as gsDesign's sfLDPocock at .025 a side
        ("obrien_fleming", 0.025, 1, [4.333, 2.963, 2.359, 2.014]),  # as its sfLDOF
    ],
)
def test_bounds_are_those_of_the_literature(
    spending: Spending, level: float, sides: int, expected: list[float]
) -> None:
    spent = Design((10, 20, 30, 40), spending).spent([level])
    found = normal_bounds([10, 20, 30, 40], spent, 1 if sides == 1 else 2)[:, 0]
    assert found == pytest.approx(expected, abs=0.002)


def test_bounds_spend_what_they_say() -> None:
    generator = np.random.default_rng(0)
    z = normal_bounds([2, 6, 12, 20], DESIGN.spent([0.05]), 2)[:, 0]
    score = np.cumsum(generator.normal(size=(200_000, 4)) * np.sqrt([2, 4, 6, 8]), axis=1) / np.sqrt([2, 6, 12, 20])
    crossed = np.maximum.accumulate(np.abs(score) >= z, axis=1).mean(axis=0)
    assert crossed == pytest.approx(DESIGN.spent([0.05])[:, 0], abs=0.0015)


def test_one_look_is_the_plain_test() -> None:
    assert Design((12,)).total([0.001, 0.05, 0.4, 1.0], 0) == pytest.approx([0.001, 0.05, 0.4, 1.0], rel=1e-3)


def test_a_p_value_is_worth_less_over_many_looks_and_more_evidence_never_less() -> None:
    p = np.geomspace(1e-8, 1, 50)
    for look in range(4):
        worth = DESIGN.total(p, look)
        assert (worth >= p).all()
        assert (np.diff(worth) >= 0).all()
    assert DESIGN.total(DESIGN.bound(0.05, 2), 2) == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ((), "each must be larger"),
        ((6, 6), r"looks = \[6, 6\]: each must be larger than the one before"),
        ((10, 6), "each must be larger"),
        ((4, 10), r"looks = \[4, 10\]: fewer than 5 pairs decide nothing"),
    ],
)
def test_looks_that_cannot_be_are_refused_in_one_line(listed: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Design(listed)
    with pytest.raises(UsageError, match="spending = 'all' is not valid; valid: linear"):
        Design((6, 10), "all")  # type: ignore[arg-type]


@pytest.mark.parametrize(("size", "real"), [(1, 0), (10, 0), (10, 5), (30, 0)])
@pytest.mark.parametrize(
    ("draw", "test"), [(looks.normal, t_tests), (looks.heavy, t_tests), (looks.binary, exact_shares)]
)
def test_hardly_any_family_has_a_false_lead_at_any_look(
    draw: looks.Draw, test: looks.Test, size: int, real: int
) -> None:
    count = looks.false_leads(draw, size, 4000, DESIGN, real=real, test=test)
    assert wilson(count, 4000)[0] <= 0.05


def test_unpaid_looks_would_tell_far_more() -> None:
    """The simulation can fail: the same looks, each at 5 %."""
    values = looks.normal(np.random.default_rng(1), (4000, 24))
    early = np.any([t_tests(values[:, :count]) < 0.05 for count in DESIGN.looks], axis=0)
    assert wilson(int(early.sum()), 4000)[0] > 0.09


def test_ties_at_the_margin_are_called_tied_in_five_percent_at_most() -> None:
    assert wilson(looks.false_ties(1, 4000, DESIGN), 4000)[0] <= 0.05
    assert wilson(looks.false_ties(10, 2000, DESIGN), 2000)[0] <= 0.05


@pytest.mark.parametrize("draw", [looks.normal, looks.heavy])
def test_intervals_cover_at_all_looks_together(draw: looks.Draw) -> None:
    assert wilson(looks.coverage(draw, 4000, DESIGN), 4000)[1] >= 0.95


def test_a_clear_effect_is_found_with_half_of_the_trials() -> None:
    found, trials = looks.power(2.0, 10, 500, DESIGN)
    assert found > 0.99
    assert trials < 12 < 20 == looks.power(2.0, 10, 500, None)[1]


def history(values: Floats, looks: int, margin: float = 0.1) -> History:
    """What the first looks of a design see of differences."""
    return History(tuple(measure(values[:count], margin) for count in DESIGN.looks[:looks]), DESIGN)


def test_what_is_decided_keeps_its_verdict_and_gets_no_more() -> None:
    generator = np.random.default_rng(3)
    clear, noise = generator.normal(3, 1, 24), generator.normal(0, 1, 24)
    first = take_looks([history(clear, 1), history(noise, 1)])
    assert [(f.comparison.verdict, f.final) for f in first] == [("better", True), ("open", False)]
    last = take_looks([history(clear, 1), history(noise, 4)])
    assert [(f.comparison.verdict, len(f.path), f.final) for f in last] == [("better", 1, True), ("open", 4, True)]
    assert last[1].still_possible == pytest.approx(max(abs(last[1].comparison.low), abs(last[1].comparison.high)))


def test_evidence_after_a_verdict_changes_nothing() -> None:
    """A cell may go on for another comparison's sake: what was decided stays as it was."""
    generator = np.random.default_rng(5)
    turned = np.concatenate([generator.normal(4, 1, 6), generator.normal(-4, 1, 18)])
    stopped, went_on = (take_looks([history(turned, looks)])[0] for looks in (1, 4))
    assert stopped.path == went_on.path
    assert went_on.comparison.verdict == "better"


def worth(*levels: tuple[float, float]) -> History:
    """Evidence that is worth these levels, as a lead and as a tie, at one look after the other."""
    evidence = [
        Evidence(DESIGN.looks[look], 1.0, DESIGN.bound(lead, look), DESIGN.bound(tied, look, 1), deviation=1.0)
        for look, (lead, tied) in enumerate(levels)
    ]
    return History(tuple(evidence), DESIGN)


def test_a_lead_is_not_called_tied_later() -> None:
    """Ties that others reach make room under Holm; a verdict that was told does not change by it."""
    lead = worth((0.02, 0.03))
    first, later = (take_looks([lead, worth(*other)]) for other in ([(0.6, 0.5)], [(0.6, 0.5), (0.6, 0.001)]))
    assert [one.comparison.verdict for one in first] == ["better", "open"]
    assert [one.comparison.verdict for one in later] == ["better", "tied"]


def test_holm_decides_by_an_earlier_look_once_others_are_decided() -> None:
    waiting = worth((0.04, 0.9))
    first, later = (take_looks([waiting, worth(*other)]) for other in ([(0.5, 0.9)], [(0.5, 0.9), (0.001, 0.9)]))
    assert [one.comparison.verdict for one in first] == ["open", "open"]
    assert [one.comparison.verdict for one in later] == ["better", "better"]


def test_one_look_without_a_design_is_the_paired_rule() -> None:
    values = np.random.default_rng(8).normal(1, 1, 8)
    evidence = measure(values, 0.1)
    for design in (None, Design((8,))):
        one = take_looks([History((evidence,), design)])[0]
        assert one.comparison == decide([evidence])[0]
        assert one.final


def test_a_repeated_interval_is_wider_than_that_of_one_look_and_decides_alike() -> None:
    evidence = measure(np.random.default_rng(4).normal(1, 1, 10))
    low, high = repeated_interval(evidence.mean, evidence.deviation / 10**0.5, 9, DESIGN, 1)
    assert low < evidence.low < evidence.high < high
    assert (low > 0) == (at_look(evidence, DESIGN, 1).p < 0.05)


def test_a_share_is_tested_exactly() -> None:
    values = [1, 1, 1, 1, 1, 0, 0, -1]
    assert exact_shares(values) == pytest.approx(stats.binomtest(1, 6).pvalue)
    assert exact_shares([0.0] * 6) == 1
    assert exact_shares([1.0] * 6) == pytest.approx(2 / 64)


def test_many_t_tests_are_scipys() -> None:
    values = np.random.default_rng(5).normal(size=(7, 3, 9))
    assert t_tests(values) == pytest.approx(stats.ttest_1samp(values, 0, axis=-1).pvalue)
    assert t_tests([[0.0] * 6, [1.0] * 6]).tolist() == [1, 0]


def test_failed_trials_count_as_the_worst_and_pairs_of_two_failures_as_nothing() -> None:
    ours, theirs = [1.0, np.nan, 3.0, np.nan], [2.0, 2.0, np.nan, np.nan]
    assert failed_as_worst(ours, theirs).tolist() == [-1.0, -1.0, 2.0]
    assert failed_as_worst([np.nan], [np.nan]).tolist() == []


def test_looks_over_records_of_a_real_run_come_to_its_verdicts_with_far_fewer_trials() -> None:
    result = looks_replay.replay(looks_replay.read())
    assert sum(one.verdict != "open" for one in result.whole) == 8
    assert not result.turned
    assert not result.missed
    assert result.spent <= 0.6 * result.planned
