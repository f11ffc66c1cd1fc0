"""Equal effort: which rate is chosen, when the grid is extended, how a width is solved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordbench.harness.plan.tuning import choose, extend
from coordbench.harness.run.matching import bisect


def test_the_best_mean_wins_and_a_failure_counts_as_the_worst() -> None:
    choice = choose({0.1: [0.9, None], 0.01: [0.8, 0.7], 0.001: [0.1, 0.2]}, "higher")
    assert (choice.rate, choice.at_edge, choice.trials) == (0.01, False, 6)
    assert choose({0.1: [3.0], 0.01: [2.0], 0.001: [4.0]}, "lower").rate == 0.01
    assert choose({0.01: [0.0, 0.0, 0.0, 14.0], 0.003: [0.1, 0.1, 0.1, 0.1]}, "lower").rate == 0.003


def test_an_optimum_at_the_edge_is_flagged_and_extends_the_grid_for_all_by_one_step() -> None:
    low = choose({0.1: [0.1], 0.01: [0.2], 0.001: [0.3]}, "higher")
    inside = choose({0.1: [0.1], 0.01: [0.3], 0.001: [0.2]}, "higher")
    assert low.at_edge
    assert not inside.at_edge
    assert extend([0.1, 0.01, 0.001], [low, inside]) == (0.0001,)
    assert extend([0.1, 0.01, 0.001], [inside]) == ()
    assert extend([0.1], [choose({0.1: [0.1]}, "higher")]) == ()


def test_a_plateau_that_reaches_inside_is_no_edge() -> None:
    assert not choose({0.1: [1.0], 0.01: [1.0], 0.001: [0.2]}, "higher").at_edge


@given(wanted=st.integers(1, 10**6), start=st.integers(1, 64))
def test_whole_widths_come_as_near_as_any(wanted: int, start: int) -> None:
    width, reached = bisect(lambda w: 9 * int(w) ** 2 + int(w), float(start), wanted, whole=True)
    nearest = min((9 * w**2 + w for w in range(1, 64 * start + 1)), key=lambda amount: abs(amount - wanted))
    assert width == int(width)
    assert reached == pytest.approx(nearest, abs=abs(nearest - wanted))


@given(wanted=st.integers(1000, 10**6))
def test_scaled_widths_meet_the_budget_within_two_percent(wanted: int) -> None:
    def amount(width: float) -> int:
        channels = max(1, round(32 * width))
        return 9 * channels * channels + channels

    _, reached = bisect(amount, 1.0, wanted, whole=False)
    steps = [9 * c * c + c for c in range(1, 3000)]
    assert abs(reached - wanted) == min(abs(step - wanted) for step in steps)
