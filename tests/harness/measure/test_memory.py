"""Memory against sums that can be done by hand."""

from __future__ import annotations

import pytest
import torch

from harness.measure.allocations import track
from harness.measure.memory import activations, measure_memory
from harness.measure.parameters import count
from harness.measure.subject import subject
from harness.spec import CostJob

N, C, S = 4, 6, 8
MAP = N * C * S * S * 4  # one map of a batch [bytes]
WEIGHTS = (C * C * 9 + C) * 4


def job(depth=1, task=f"copy[batch={N}, channels={C}, size={S}]", **options):
    return CostJob(task, f"stack[depth={depth}]", "conv", **options)


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
    # the mean squared error its input, the output of the last layer; the padding of no pixel more
    made = subject(job(depth))
    assert activations(made) == depth * MAP


def test_torchs_peak_is_the_sum_of_gradients_state_and_activations():
    details = measure_memory(job())["details"]
    lower = 3 * WEIGHTS + MAP  # gradient and both moments of Adam; the output
    assert lower <= details["allocated"] <= lower + 4 * MAP + 4096


def test_torchs_peak_is_repeatable_to_the_byte():
    found = [measure_memory(job(2))["details"] for _ in range(2)]
    assert found[0]["allocated"] == found[1]["allocated"]
    assert found[0]["activations"] == found[1]["activations"]


def test_resident_growth_holds_at_least_what_torch_allocates():
    big = job(task="copy[batch=16, channels=32, size=64]")
    part = measure_memory(big)
    assert part["peak_memory_bytes"] == part["details"]["resident"]
    allocated = part["details"]["allocated"]
    assert 0.9 * allocated <= part["details"]["resident"] <= 4 * allocated  # the libraries' own scratch, fragments
    assert part["details"]["allocated"] > 2 * 16 * 32 * 64 * 64 * 4


def test_parameters_and_buffers_are_counted_once():
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5))
    model[0].bias.requires_grad_(False)
    expected = {"trainable": 15 + 10, "frozen": 5, "buffers": 11, "bytes": (15 + 5 + 10 + 10) * 4 + 8}
    assert count([model]) == expected
    assert count([model, model[0]]) == expected


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_peak_on_a_gpu_is_repeatable_to_the_byte():
    assert measure_memory(job(2, device="cuda")) == measure_memory(job(2, device="cuda"))
