"""Pairs measured in turns: exact on a clock that we turn by hand, and right on the real one."""

from __future__ import annotations

import itertools
import mmap

import numpy as np
import pytest

from coordbench.harness.measure.timing import noise, paired
from coordbench.harness.measure.timing.clock import CpuClock
from coordbench.harness.measure.timing.paired import paired_ratio


class Fake:
    """A clock that is turned by the functions it times."""

    def __init__(self):
        self.now = 0.0
        self.order = []

    def __call__(self, function, calls):
        before = self.now
        for _ in range(calls):
            function()
        return (self.now - before) / calls

    def takes(self, name, seconds):
        """A function whose calls last the next of `seconds`, again and again."""
        durations = itertools.cycle(np.atleast_1d(seconds).tolist())

        def function():
            self.order.append(name)
            self.now += next(durations)

        return function


@pytest.fixture(autouse=True)
def _undisturbed(monkeypatch):
    monkeypatch.setattr(CpuClock, "waited", lambda clock: 0)


def measured(candidate, baseline, turns=30, seed=0):
    clock = Fake()
    functions = clock.takes("candidate", candidate), clock.takes("baseline", baseline)
    return paired_ratio(*functions, turns=turns, generator=np.random.default_rng(seed), clock=clock), clock


def test_a_layer_that_takes_a_millisecond_more_shows_exactly_that():
    ratio, _ = measured(3e-3, 2e-3)
    assert ratio.ratio == pytest.approx(1.5)
    assert (ratio.low, ratio.high) == (pytest.approx(1.5), pytest.approx(1.5))
    assert ratio.difference == pytest.approx(1e-3)
    assert len(ratio.candidate) == len(ratio.baseline) == 30
    assert ratio.details["turns"] == 30
    assert ratio.details["calls"] == [1, 1]


def test_what_slows_the_machine_slows_both_and_leaves_the_ratio():
    slow = np.where(np.arange(61) % 7 < 3, 5.0, 1.0)  # a prime length, so that turns and slowness fall apart
    clock, ticks = Fake(), itertools.count()
    per_turn = lambda base: lambda: setattr(clock, "now", clock.now + base * slow[next(ticks) // 2 % 61])  # noqa: E731
    ratio = paired_ratio(per_turn(2e-3), per_turn(1e-3), generator=np.random.default_rng(0), clock=clock)
    assert ratio.ratio == pytest.approx(2)
    assert not ratio.noisy


def test_order_within_a_pair_is_random_and_balanced():
    _, clock = measured(1e-3, 1e-3, turns=400)
    pairs = list(zip(clock.order[-800::2], clock.order[-799::2], strict=True))
    first = [pair[0] for pair in pairs]
    assert {frozenset(pair) for pair in pairs} == {frozenset({"candidate", "baseline"})}
    assert 150 < first.count("candidate") < 250
    assert first != [first[0]] * 400


def test_the_generator_fixes_the_order():
    orders = [measured(1e-3, 2e-3, seed=seed)[1].order for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_short_calls_are_timed_many_at_once():
    ratio, _ = measured(1e-6, 2e-6)
    assert ratio.details["calls"] == pytest.approx([500, 250], abs=1)
    assert ratio.ratio == pytest.approx(0.5)


def test_warm_up_lasts_until_durations_stop_changing():
    clock = Fake()
    durations = itertools.chain(np.geomspace(1e-1, 1e-3, 12).tolist(), itertools.repeat(1e-3))

    def settling():
        clock.now += next(durations)

    ratio = paired_ratio(settling, clock.takes("baseline", 1e-3), generator=np.random.default_rng(0), clock=clock)
    assert ratio.details["warm_up"] > 12
    assert ratio.ratio == pytest.approx(1)


def test_a_warm_up_that_never_settles_is_noisy(monkeypatch):
    monkeypatch.setattr(paired, "WARM_UP", 0.0)
    ratio, _ = measured([1e-3, 1e-1, 4e-3, 7e-2, 2e-2], 1e-3)
    assert "warm-up did not become stable" in ratio.noisy


def test_interrupted_turns_are_taken_again(monkeypatch):
    reads = itertools.count()
    monkeypatch.setattr(CpuClock, "waited", lambda clock: 100_000 if next(reads) % 8 == 1 else 0)
    ratio, _ = measured(1e-3, 1e-3)  # two reads per turn: every fourth turn is hit
    assert ratio.details["turns"] == 30
    assert ratio.details["interrupted"] in (9, 10)


def test_interrupted_turns_are_kept_where_no_others_are_to_be_had(monkeypatch):
    reads = itertools.count()
    monkeypatch.setattr(CpuClock, "waited", lambda clock: 100_000 * next(reads))
    ratio, _ = measured(2e-3, 1e-3, turns=8)
    assert (ratio.details["turns"], ratio.details["interrupted"]) == (8, 8)
    assert ratio.ratio == pytest.approx(2)


def test_spread_and_drift_are_noisy():
    spread, _ = measured([1e-3, 1.5e-3, 2e-3], 1e-3)
    assert any("spread" in reason for reason in spread.noisy)
    calm = noise.Disturbance(0, 0, 0.0)
    assert noise.reasons([1.0] * 10 + [1.08] * 10, calm, 0.0, stable=True) == ("ratio drifted by 8%",)
    assert noise.reasons([1.0] * 20, calm, 0.0, stable=True) == ()


def test_page_faults_and_stolen_time_are_noisy():
    ratio = noise.reasons([1.0] * 20, noise.Disturbance(0, 0, 0.2), 0.07, stable=True)
    assert ratio == ("20% of the time was stolen", "page faults took 7% of the time")


def test_a_window_takes_at_least_six_pairs():
    clock = Fake()
    functions = clock.takes("candidate", 1e-3), clock.takes("baseline", 1e-3)
    ratio = paired_ratio(*functions, seconds=0.0, generator=np.random.default_rng(0), clock=clock)
    assert len(ratio.candidate) == paired.MIN_TURNS


def test_slow_functions_get_three_turns():
    clock = Fake()
    functions = clock.takes("candidate", 2.0), clock.takes("baseline", 1.0)
    ratio = paired_ratio(*functions, seconds=0.1, generator=np.random.default_rng(0), clock=clock)
    assert (len(ratio.candidate), ratio.details["warm_up"]) == (3, 2)
    assert ratio.ratio == 2


def test_summary_holds_no_raw_samples():
    ratio, _ = measured(1e-3, 1e-3)
    assert {"candidate", "baseline"} & set(ratio.summary) == set()
    assert ratio.summary["ratio"] == ratio.ratio


def test_page_faults_are_counted():
    before = noise.snapshot()
    with mmap.mmap(-1, 1 << 22) as fresh:
        fresh.write(bytes(1 << 22))
    assert noise.between(before, noise.snapshot()).minor_faults > 0


def test_stolen_time_is_read_from_the_kernels_table(tmp_path):
    table = tmp_path / "stat"
    table.write_text("cpu  10 1 20 300 4 0 5 60 7 0\ncpu0 1 1 1 1\n")
    assert noise.cpu_times(table) == (60, 400)
    assert noise.cpu_times(tmp_path / "missing") == (0, 0)
    first, second = noise.Snapshot(0, 0, 10, 1000), noise.Snapshot(3, 2, 60, 1200)
    assert noise.between(first, second) == noise.Disturbance(3, 2, 0.25)


def test_the_governor_is_named_or_none(tmp_path):
    assert noise.governor(tmp_path) is None
    (tmp_path / "cpu0/cpufreq").mkdir(parents=True)
    (tmp_path / "cpu0/cpufreq/scaling_governor").write_text("performance\n")
    assert noise.governor(tmp_path) == "performance"
