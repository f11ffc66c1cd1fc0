"""Change points: none in noise, a step in its place, a span, exact counts."""

from __future__ import annotations

import numpy as np
import pytest

from coordbench.harness.statistics.changes import Change, changes, exact_changes
from tests.benchmarks.changes import is_seen, series

NOISE = 0.008


def test_equal_series_have_no_change() -> None:
    """The full count: `python -m tests.benchmarks.changes`."""
    generator = np.random.default_rng(1)
    assert sum(bool(changes(series(generator, 25, NOISE))) for _ in range(60)) <= 1


def test_steps_of_5_percent_are_seen_within_five_runs() -> None:
    generator = np.random.default_rng(2)
    assert sum(is_seen(generator, 25, NOISE, 0.05) for _ in range(40)) >= 36


def test_a_slowdown_and_its_repair_are_two_changes() -> None:
    values = series(np.random.default_rng(3), 40, NOISE)
    values[15:25] *= 1.06
    down, up = changes(values)
    assert abs(down.index - 15) <= 1
    assert abs(up.index - 25) <= 1
    assert down.relative == pytest.approx(0.06, abs=0.02)
    assert up.relative == pytest.approx(-0.06, abs=0.02)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_few_runs_say_nothing(count: int) -> None:
    assert changes(np.arange(1.0, count + 1)) == []


def test_one_wild_run_is_no_change() -> None:
    values = series(np.random.default_rng(4), 30, NOISE)
    values[12] *= 3
    assert changes(values) == []


def test_counts_change_at_once() -> None:
    assert exact_changes(np.array([100.0, 100, 120, 120])) == [Change(2, 100.0, 120.0)]
    assert exact_changes(np.array([7.0, 7])) == []
    assert Change(1, 0.0, 5.0).relative == np.inf


def test_values_around_zero_change_by_their_difference() -> None:
    values = np.random.default_rng(5).normal(0, 0.1, 30)
    values[20:] += 2
    (change,) = changes(values)
    assert change.index == 20
    assert change.after - change.before == pytest.approx(2, abs=0.2)
