"""A family with parents: Holm where nobody has one, the answers of a graph worked out by hand, and no false alarms."""

from __future__ import annotations

import numpy as np
import pytest

from coordbench.harness.statistics.hierarchy import hierarchical
from coordbench.harness.statistics.multiple import holm


@pytest.mark.parametrize("p", [[0.01], [0.01, 0.04, 0.03, 0.005], [0.5, 0.02, 1.0], []])
def test_without_parents_it_is_holm(p: list[float]) -> None:
    adjusted, _ = hierarchical(p, [None] * len(p))
    np.testing.assert_allclose(adjusted, holm(p))


def test_a_child_is_never_surer_than_its_parent() -> None:
    adjusted, shares = hierarchical([0.04, 0.0001], [None, 0])
    np.testing.assert_allclose(adjusted, [0.04, 0.04])
    np.testing.assert_allclose(shares, [1, 1])


def test_two_parents_and_a_child_by_hand() -> None:
    # Each primary starts with 1/2. The first, decided at .01 / .5 = .02, hands 1/4 to its child and 1/4 to the second,
    # which has 3/4 then: .03 / .75 = .04. The second hands all on to the child: 1, .045.
    adjusted, shares = hierarchical([0.01, 0.03, 0.045], [None, None, 0])
    np.testing.assert_allclose(adjusted, [0.02, 0.04, 0.045])
    np.testing.assert_allclose(shares, [0.5, 0.75, 1.0])


def test_an_open_claim_may_use_what_decided_ones_handed_on_and_no_more() -> None:
    # By hand: Holm decides the first at .001 * 3, so each of the others may use 1/2, whichever is asked again.
    adjusted, shares = hierarchical([0.001, 0.2, 0.6], [None] * 3)
    np.testing.assert_allclose(adjusted, [0.003, 0.4, 0.6])
    np.testing.assert_allclose(shares, [1 / 3, 1 / 2, 1 / 2])


def test_a_child_of_nobody_here_is_never_decided() -> None:
    adjusted, _ = hierarchical([0.001, 0.0], [None, -1])
    assert adjusted[1] >= 0.001
    assert hierarchical([0.0], [-1])[0][0] == 1


def test_a_reserve_is_the_childrens_whatever_becomes_of_their_parents() -> None:
    # The primary never falls; its children share 1/5: .002 / .1, and then .018 / .2 with what the first handed on.
    adjusted, _ = hierarchical([0.9, 0.002, 0.018], [None, 0, 0], reserve=0.2)
    np.testing.assert_allclose(adjusted[1], 0.02)
    assert 0.02 < adjusted[2] <= 0.18
    np.testing.assert_allclose(hierarchical([0.01, 0.02], [None, None], reserve=0.2)[0], holm([0.01, 0.02]))


@pytest.mark.parametrize("reserve", [0.0, 0.2])
def test_false_decisions_are_as_rare_as_promised(reserve: float) -> None:
    """Nothing is true but the first primary claim: whatever it hands on must not let more than 5 % of nulls through."""
    generator = np.random.default_rng(0)
    parents = [None, None, None, 0, 0, 1]
    alarms = 0
    for _ in range(4000):
        p = generator.random(6)
        p[0] = 1e-9
        alarms += bool((hierarchical(p, parents, reserve)[0][1:] < 0.05).any())
    assert alarms / 4000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)
