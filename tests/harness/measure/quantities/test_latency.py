"""Latency of jobs on the processor, and the paths of a GPU with a hand-made one."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.trial import CostJob
from coordbench.harness.measure.quantities import latency, memory
from coordbench.harness.measure.quantities.backend import backends
from coordbench.harness.measure.subject import PHASES, build_subject
from coordbench.harness.measure.timing import clock, exclusive, modes, noise
from coordbench.harness.measure.timing.paired import paired_ratio
from coordbench.harness.process import isolate
from coordbench.harness.run import worker
from coordbench.harness.statistics.intervals import pseudomedian

CELL = Cell.of("copy[batch=4, channels=6, size=8]", "stack", "coordconv")
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_a_layer_that_sleeps_a_millisecond_more_shows_exactly_that():
    conv, x = nn.Conv2d(4, 4, 3), torch.ones(1, 4, 16, 16)

    def sleepy():
        time.sleep(1e-3)
        return conv(x)

    generator = np.random.default_rng(0)
    with torch.no_grad():
        ratio = paired_ratio(sleepy, lambda: conv(x), turns=40, generator=generator)
    slept = paired_ratio(lambda: time.sleep(1e-3), lambda: None, turns=40, generator=generator)
    longer = min(ratio.candidate) - min(ratio.baseline)  # the minimum of each side, since other tests run beside
    assert longer == pytest.approx(min(slept.candidate), rel=0.2)


SLEEPY = '''
"""A convolution that sleeps for a millisecond."""

import time

from coordbench.harness.core.registry import layer, variant


@variant("sleepy", source="a test")
def sleepy(in_channels, out_channels, kernel_size, *, size, stride=1, bias=True):
    """Sleep, then convolve."""
    conv = layer("conv")(in_channels, out_channels, kernel_size, size=size, stride=stride, bias=bias)
    conv.register_forward_pre_hook(lambda module, inputs: time.sleep(1e-3))
    return conv
'''


def test_a_plug_in_that_sleeps_a_millisecond_more_shows_exactly_that_in_its_record(tmp_path):
    (tmp_path / "sleepy.py").write_text(SLEEPY)
    cell = replace(CELL, variant=Selector.parse("sleepy"))
    plugins = (str(tmp_path / "sleepy.py"),)
    outcome = isolate.call(worker.run_quantity, CostJob(cell), plugins, ("latency", 0.2), deadline=100)
    assert outcome.status == "ok", outcome.error
    samples = outcome.value.latencies
    longer = min(samples["forward"]) - min(samples["forward/conv"])
    assert longer == pytest.approx(1e-3, rel=0.4)  # waking up takes the kernel a tenth, on a busy machine more
    assert outcome.value.details["ratios"]["optimizer"]["ratio"] == pytest.approx(1, rel=0.5)


@pytest.fixture(scope="module")
def part():
    return latency.measure_latency(CELL, 0.01)


def test_all_phases_of_both_sides_are_kept_raw(part):
    assert set(part.latencies) == {name + side for name in PHASES for side in ("", "/conv")}
    assert part.latency_step_seconds == np.median(part.latencies["step"])
    assert part.details["samples_per_second"]["step"] == pytest.approx(4 / part.latency_step_seconds)


def test_ratios_follow_from_the_raw_samples(part):
    for name in PHASES:
        pairs = np.array(part.latencies[name]) / np.array(part.latencies[f"{name}/conv"])
        ratio = part.details["ratios"][name]
        assert ratio["ratio"] == pytest.approx(np.exp(pseudomedian(np.log(pairs))[0]))
        assert ratio["low"] <= ratio["ratio"] <= ratio["high"]


def test_the_setting_is_recorded(part):
    assert sum(part.details["backends"].values()) >= 1
    assert part.details["settings"]["threads"] == 1
    assert {"governor", "capability", "mkldnn", "load"} <= set(part.details["settings"])


def test_the_plain_convolution_is_timed_against_itself():
    part = latency.measure_latency(replace(CELL, variant=Selector.parse("conv")), 0.0)
    assert part.details["ratios"]["forward"]["ratio"] > 0
    assert len(part.latencies["forward"]) >= 6


def test_time_spent_waiting_for_a_processor_is_taken_off(tmp_path):
    table = tmp_path / "schedstat"
    table.write_bytes(b"100 7000000 3\n")
    timer = clock.CpuClock(table)

    def interrupted():
        time.sleep(0.02)
        table.write_bytes(b"200 17000000 4\n")  # 10 ms more in the queue

    start = time.perf_counter()
    ratio = timer(interrupted, 1)
    assert 0.01 <= ratio < time.perf_counter() - start - 0.01 + 1e-9


def test_a_kernel_that_keeps_no_waiting_times_takes_nothing_off(tmp_path):
    assert clock.CpuClock(tmp_path / "missing")(lambda: time.sleep(0.002), 1) >= 0.002


def test_a_task_that_trains_nothing_has_a_forward_pass_only():
    cell = Cell.of("equivariance[canvas=16]", "stack", "conv")
    part = latency.measure_latency(cell, 0.0)
    assert part.latency_forward_seconds > 0
    assert part.latency_step_seconds is None
    assert part.details["ratios"]["step"] == {"reason": "the task trains nothing"}
    assert memory.measure_memory(cell).details["activations"] == 0


def test_backends_differ_with_the_shape():
    small, large = (
        backends(build_subject(Cell.of(f"copy[batch={n}, channels={c}, size=16]", "stack", "conv")))
        for n, c in ((1, 1), (16, 32))
    )
    assert set(small) != set(large)


def test_without_a_gpu_graphs_are_unavailable_and_say_why():
    part = latency.measure_latency(CELL, 0.0, "graphed")
    assert part.latency_step_seconds is None
    assert part.details["ratios"]["forward"] == {"reason": "device cpu has no CUDA graphs"}


def test_compiled_models_are_those_that_run(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    latency.measure_latency(CELL, 0.0, "compiled")
    assert compiled == ["Sequential", "Sequential"]


class FakeCuda:
    """A GPU whose kernels are queued by calls and take milliseconds of its own clock."""

    def __init__(self):
        self.now = 0.0
        self.synchronized = False
        self.captured = []

    def kernel(self, milliseconds):
        self.now += milliseconds

    def Event(self, *, enable_timing):  # noqa: N802
        assert enable_timing
        return FakeEvent(self)

    def synchronize(self):
        self.synchronized = True

    def get_device_properties(self, device):
        return type("Properties", (), {"L2_cache_size": 64})()

    def Stream(self):  # noqa: N802
        return FakeStream()

    def current_stream(self):
        return FakeStream()

    def stream(self, stream):
        return stream

    def CUDAGraph(self):  # noqa: N802
        return type("Graph", (), {"replay": lambda graph: self.captured.append("replay")})()

    def graph(self, graph):
        return FakeStream()


class FakeStream:
    def wait_stream(self, other):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


class FakeEvent:
    def __init__(self, device):
        self.device = device

    def record(self):
        self.time = self.device.now

    def elapsed_time(self, end):
        assert self.device.synchronized
        return end.time - self.time


@pytest.mark.parametrize("cold", [False, True])
def test_gpu_time_is_that_between_events_per_call(cold):
    gpu = FakeCuda()
    timer = clock.CudaClock("cpu", cold=cold, cuda=gpu)
    assert timer(lambda: gpu.kernel(3.0), 5) == pytest.approx(3e-3)


def test_a_cold_clock_overwrites_twice_the_cache_before_each_call_and_does_not_time_it():
    gpu = FakeCuda()
    timer = clock.CudaClock("cpu", cold=True, cuda=gpu)
    assert timer.scratch.nbytes == 128

    class Scratch:
        writes = 0

        def zero_(self):
            self.writes += 1
            gpu.kernel(100.0)

    timer.scratch = Scratch()
    assert timer(lambda: gpu.kernel(2.0), 4) == pytest.approx(2e-3)
    assert timer.scratch.writes == 4


def test_the_clocks_of_a_gpu_are_two_metrics(monkeypatch):
    monkeypatch.setattr(clock, "CudaClock", lambda device, cold=False: "cold" if cold else "hot")
    assert clock.clocks_of("cuda:0") == {"": "hot", "_cold": "cold"}
    assert isinstance(clock.clocks_of("cpu")[""], clock.CpuClock)


def test_a_captured_step_is_warmed_up_three_times_and_then_only_replayed():
    gpu, calls = FakeCuda(), []
    replay = modes.capture(lambda: calls.append("call"), gpu)
    assert len(calls) == 4
    replay()
    assert (len(calls), gpu.captured) == (4, ["replay"])


def test_a_capture_that_fails_says_why(monkeypatch):
    gpu, calls = FakeCuda(), []

    def synchronizes():
        calls.append("call")
        if len(calls) > 3:
            raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(modes.Unavailable, match="capture failed: operation not permitted"):
        modes.capture(synchronizes, gpu)


def test_a_job_on_a_gpu_is_timed_by_both_clocks_and_what_held_it_back_is_told(monkeypatch):
    def doubled(function, calls):
        return 2 * clock.CpuClock()(function, calls)

    state = {"clock_mhz": 1980, "slowdowns": ["power cap"], "other_processes": 0}
    monkeypatch.setattr(latency, "build_subject", lambda cell: build_subject(replace(cell, device="cpu")))
    monkeypatch.setattr(latency, "clocks_of", lambda device: {"": clock.CpuClock(), "_cold": doubled})
    monkeypatch.setattr(latency, "open_gpu", lambda device: SimpleNamespace(state=lambda: state))
    part = latency.measure_latency(replace(CELL, device="cuda"), 0.0)
    assert {f"{phase}{suffix}" for phase in PHASES for suffix in ("", "_cold")} < set(part.latencies)
    assert part.details["settings"]["gpu"] == state
    assert part.details["noisy"]["gpu"] == ["clocks held down by power cap"]


def test_what_holds_a_gpu_back_is_noise():
    state = {"slowdowns": ["power cap"], "other_processes": 2}
    assert noise.of_gpu(state) == {"gpu": ["clocks held down by power cap", "2 other processes on this GPU"]}
    assert noise.of_gpu({"slowdowns": [], "other_processes": "nvmlInit: Driver Not Loaded"}) == {}


def test_two_measurements_on_one_gpu_wait_for_each_other(tmp_path):
    import fcntl

    with exclusive.alone_on("cuda:1", tmp_path), (tmp_path / "coordbench-cuda1.lock").open("w") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with exclusive.alone_on("cuda", tmp_path), exclusive.alone_on("cpu", tmp_path):
            pass
    with (tmp_path / "coordbench-cuda1.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@cuda
@pytest.mark.cuda
@pytest.mark.parametrize("mode", ["eager", "compiled", "graphed"])
def test_a_real_gpu_is_timed_hot_and_cold(mode):
    part = latency.measure_latency(replace(CELL, device="cuda"), 0.05, mode)
    forward = part.latencies
    assert np.median(forward["forward"]) > 0
    assert np.median(forward["forward_cold"]) > 0
    assert part.details["settings"]["gpu"]
    if mode == "graphed":
        assert "reason" in part.details["ratios"]["step"]
