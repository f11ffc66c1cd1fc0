"""Memory against sums that can be done by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from coordbench.harness.core.cell import Cell
from coordbench.harness.measure.allocations import track
from coordbench.harness.measure.nvml import Reading
from coordbench.harness.measure.quantities import memory
from coordbench.harness.measure.quantities.memory import activations, measure_memory
from coordbench.harness.measure.quantities.parameters import count
from coordbench.harness.measure.subject import build_subject

N, C, S = 4, 6, 8
MAP = N * C * S * S * 4  # one map of a batch [bytes]
WEIGHTS = (C * C * 9 + C) * 4


def cell(depth=1, task=f"copy[batch={N}, channels={C}, size={S}]", **options):
    return Cell.of(task, f"stack[depth={depth}]", "conv", **options)


def test_torchs_allocations_are_followed_to_the_byte():
    held = torch.ones(1000)
    with track() as found:
        first = torch.ones(100)
        second = torch.ones(300)
        del second
        third = torch.ones(50)
        del held  # was there before
    assert (found.peak, found.held) == (4 * 400, 4 * 150)
    assert first.sum() + third.sum() == 150


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_activations_are_the_maps_that_backward_needs(depth):
    # the first layer keeps the batch, which was there; each other layer its input, which the ReLU before it shares;
    # what arrives behind the last is a gradient, so that nothing keeps its output
    assert activations(build_subject(cell(depth))) == (depth - 1) * MAP


def test_torchs_peak_is_the_sum_of_gradients_state_and_activations():
    details = measure_memory(cell()).details
    lower = 3 * WEIGHTS + MAP  # gradient and both moments of Adam; the gradient of the input
    assert lower <= details["allocated"] <= lower + 6 * MAP + 4096


def test_torchs_peak_is_repeatable_to_the_byte():
    found = [measure_memory(cell(2)).details for _ in range(2)]
    assert found[0]["allocated"] == found[1]["allocated"]
    assert found[0]["activations"] == found[1]["activations"]


def test_resident_growth_holds_at_least_what_torch_allocates():
    big = cell(task="copy[batch=16, channels=32, size=64]")
    part = measure_memory(big)
    allocated = part.details["allocated"]
    assert part.peak_memory_bytes == allocated
    assert 0.9 * allocated <= part.details["resident"] <= 4 * allocated  # the libraries' own scratch, fragments
    assert part.details["allocated"] > 2 * 16 * 32 * 64 * 64 * 4


def test_parameters_and_buffers_are_counted_once():
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5))
    model[0].bias.requires_grad_(False)
    expected = {"trainable": 15 + 10, "frozen": 5, "buffers": 11, "bytes": (15 + 5 + 10 + 10) * 4 + 8}
    assert count([model]) == expected
    assert count([model, model[0]]) == expected


class FakeCuda:
    """Counters of a GPU's allocator: 1000 bytes are held, a step peaks at 1700 and keeps 300 reserved."""

    def __init__(self):
        self.called = []
        self.peak = {"allocated": 99999, "reserved": 99999}  # from before the start

    def synchronize(self, device):
        self.called.append("synchronize")

    def empty_cache(self):
        self.called.append("empty_cache")

    def reset_peak_memory_stats(self, device):
        self.peak = {"allocated": 1000, "reserved": 2000}

    def memory_allocated(self, device):
        return 1000

    def memory_reserved(self, device):
        return 2000

    def max_memory_allocated(self, device):
        return self.peak["allocated"]

    def max_memory_reserved(self, device):
        return self.peak["reserved"]

    def step(self, subject):
        self.called.append("step")
        self.peak = {"allocated": 1700, "reserved": 2300}


@pytest.mark.parametrize(
    ("readings", "nvml"),
    [
        ([Reading(5000), Reading(5600)], {"nvml": 600}),
        ([Reading(None, "no driver")], {"nvml": None, "reason": "no driver"}),
        ([Reading(5000), Reading(None, "GPU is lost")], {"nvml": None, "reason": "GPU is lost"}),
    ],
)
def test_the_peak_of_a_gpu_is_what_was_allocated_above_the_start(monkeypatch, readings, nvml):
    cuda, answers = FakeCuda(), iter(readings)
    monkeypatch.setattr(memory.torch, "cuda", cuda)
    monkeypatch.setattr(memory, "_run", cuda.step)
    monkeypatch.setattr(memory, "open_gpu", lambda device: SimpleNamespace(memory=lambda: next(answers)))
    peak, details = memory.on_cuda(SimpleNamespace(cell=cell(device="cuda")))
    assert (peak, details) == (700, {"allocated": 700, "reserved": 300, **nvml})
    assert cuda.called == ["synchronize", "empty_cache", "step", "synchronize"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_peak_on_a_gpu_is_repeatable_to_the_byte():
    assert measure_memory(cell(2, device="cuda")) == measure_memory(cell(2, device="cuda"))
