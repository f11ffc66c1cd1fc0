"""Intervals over seeds and things: an answer by hand, and the share of truths that they cover."""

from __future__ import annotations

import numpy as np
import pytest

from coordbench.harness.statistics.crossed import crossed
from coordbench.harness.statistics.intervals import mean_interval


def test_a_table_by_hand() -> None:
    """Rows differ by 2, columns by 4, nothing else does: mean squares of 4, 16 and 0, so a variance of 20 / 4."""
    result = crossed([[0.0, 4.0], [2.0, 6.0]])
    assert result.mean == 3
    half = 6.188115 * 5**0.5  # t of 20^2 / (4^2 + 16^2) = 1.47 degrees of freedom
    assert result.both == pytest.approx((3 - half, 3 + half))
    assert result.seeds == pytest.approx(mean_interval([2.0, 4.0]))
    assert result.of_things == 16 / 20


def test_things_that_do_not_matter_leave_the_interval_of_seeds() -> None:
    seeds = np.array([1.0, 2.0, 4.0, 3.0, 2.5])
    result = crossed(np.repeat(seeds[:, None], 6, axis=1))
    assert result.both == pytest.approx(mean_interval(seeds))
    assert result.of_things == 0


def test_one_seed_or_one_thing_has_no_interval_over_both() -> None:
    assert np.isnan(crossed([[1.0], [2.0]]).both).all()
    assert np.isnan(crossed([[1.0, 2.0]]).both).all()
    assert crossed(np.ones((3, 4))).both == (1.0, 1.0)


def test_p_is_the_level_at_which_the_interval_reaches_the_null() -> None:
    table = np.random.default_rng(1).normal(0.4, 1, size=(6, 1)) + np.random.default_rng(2).normal(size=(6, 5))
    result = crossed(table)
    low, high = crossed(table, 1 - result.p()).both
    assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-9)
    assert result.p(result.mean) == pytest.approx(1)
    assert result.p_tied(abs(result.mean)) == pytest.approx(0.5)
    assert crossed(np.ones((3, 4))).p() == 0
    assert crossed(np.zeros((3, 4))).p() == 1


@pytest.mark.parametrize("spreads", [(1.0, 0.0, 1.0), (0.2, 1.0, 0.5), (1.0, 1.0, 0.1), (0.0, 0.0, 1.0)])
def test_intervals_cover_the_mean_of_all_seeds_and_things(spreads: tuple[float, float, float]) -> None:
    """At least 93 % of 1,000 tables, where intervals over seeds alone cover far less as soon as things matter."""
    generator = np.random.default_rng(0)
    of_seeds, of_things, of_both = spreads
    hits, alone = 0, 0
    for _ in range(1000):
        table = of_seeds * generator.normal(size=(9, 1)) + of_things * generator.normal(size=(1, 9))
        result = crossed(table + of_both * generator.normal(size=(9, 9)))
        hits += result.both[0] <= 0 <= result.both[1]
        alone += result.seeds[0] <= 0 <= result.seeds[1]
    assert hits >= 930
    if of_things > of_seeds:
        assert alone < 600
