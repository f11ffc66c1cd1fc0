"""The paired rule on numbers whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from coordbench.harness.statistics.paired import Evidence, decide, interval, judge, measure


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.5, 0.52, 0.48, 0.51, 0.49], "better"),
        ([-0.5, -0.52, -0.48, -0.51, -0.49], "worse"),
        ([0.001, -0.001, 0.0, 0.002, -0.002], "tied"),
        ([0.011, 0.012, 0.011, 0.012, 0.011], "tied"),  # surely not zero, and surely not worth having
        ([0.5, -0.5, 0.4, -0.3, 0.1], "open"),
        ([0.5, 0.52, 0.48, 0.51], "open"),  # as clear as can be, but four pairs decide nothing
        ([1.0], "open"),
        ([], "open"),
    ],
)
def test_known_verdicts(differences: list[float], verdict: str) -> None:
    assert judge([differences], [0.02])[0].verdict == verdict


def test_the_family_makes_verdicts_harder_and_order_does_not_matter() -> None:
    clear = np.array([0.2, 0.25, 0.22, 0.3, 0.24])
    noise = [np.array([0.1, -0.1, 0.05, -0.02, 0.0])] * 400
    assert judge([clear], [0.02])[0].verdict == "better"
    p = [judge(family, [0.02] * 401)[at].p for family, at in (([clear, *noise], 0), ([*noise, clear], 400))]
    assert p[0] == p[1] == pytest.approx(401 * judge([clear], [0.02])[0].p)


def test_an_open_comparison_says_what_was_detectable() -> None:
    comparison = judge([np.array([0.3, -0.1, 0.4, 0.0])], [0.02])[0]
    assert comparison.verdict == "open"
    assert comparison.low < comparison.mean < comparison.high
    assert comparison.detectable > comparison.high - comparison.mean


def test_four_clear_pairs_lack_one() -> None:
    clear = [0.5, 0.52, 0.48, 0.51, 0.49]
    assert [judge([clear[:pairs]], [0.02])[0].verdict for pairs in (4, 5)] == ["open", "better"]


def test_a_renamed_duplicate_does_not_win() -> None:
    generator = np.random.default_rng(0)
    wins = 0
    for _ in range(200):
        family = [generator.normal(size=5) - generator.normal(size=5) for _ in range(20)]
        wins += any(comparison.verdict in ("better", "worse") for comparison in judge(family, [0.02] * 20))
    assert wins / 200 < 0.09  # family-wise 5 %, and three standard errors


def test_a_lead_is_tested_against_its_null() -> None:
    loss = np.array([-0.10, -0.11, -0.09, -0.10, -0.12])
    assert decide([measure(loss, 0.02, null=-0.02)])[0].verdict == "worse"  # by more than a margin
    assert decide([measure(loss, 0.02, null=-0.104)])[0].verdict == "open"


def test_the_interval_widens_with_the_least_deviation() -> None:
    alike = measure([0.5] * 6, 0.4)
    assert (alike.low, alike.high) == (0.5, 0.5)
    low, high = interval(alike)
    assert high - 0.5 == pytest.approx(2.5706 * 0.1 / np.sqrt(6), rel=1e-4)
    assert low == pytest.approx(1 - high)


def test_evidence_of_another_test_is_judged_with_the_rest() -> None:
    rank = Evidence(pairs=12, mean=2.4, p=0.03)
    clear = measure([0.5, 0.52, 0.48, 0.51, 0.49], 0.02)
    together = decide([rank, clear])
    assert [c.verdict for c in together] == ["better", "better"]
    assert decide([rank, *[Evidence(12, 0.1, 0.9)] * 3])[0].verdict == "open"


def test_shares_are_tested_exactly() -> None:
    starts = [1.0, 1, 1, 1, 1, 0]
    assert measure(starts, shares=True).p == pytest.approx(2 / 32)
    assert measure(starts).p < 0.01  # what Student's t would make of them
