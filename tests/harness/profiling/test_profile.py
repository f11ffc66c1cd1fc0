"""Profiles of layers: everything is placed, counted as the formulas count, and found where it was planted."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.profiling import counts
from coordbench.harness.profiling.against import differences
from coordbench.harness.profiling.limits import Limits
from coordbench.harness.profiling.profile import profile_steps
from coordbench.harness.profiling.recorded.fingerprint import fingerprint
from coordbench.harness.profiling.recorded.memory import Allocation, StepMemory
from coordbench.harness.profiling.recorded.operations import outermost, record_operations
from coordbench.harness.profiling.recorded.step import Workload
from coordbench.harness.profiling.shape import LayerShape
from coordbench.harness.profiling.workload import layer_workload

SMALL = LayerShape((2, 4, 8, 8))
PLANTED = """
import torch
from torch import nn
from coordbench import variant

class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient.clone() * 2  # line 13

@variant("planted", source="")
class Planted(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, *, size, stride=1, bias=True):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=bias)

    def forward(self, x):
        y = self.conv(x)
        y = torch.cat([y, y])[: len(x)]  # line 23
        return Twice.apply(y)
"""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def planted(tmp_path: Path) -> str:
    path = tmp_path / "planted.py"
    path.write_text(PLANTED)
    registry.load_plugin(path)
    return "planted"


def test_the_rows_add_up_to_the_step_and_nearly_all_of_it_is_placed() -> None:
    profile, base = profile_steps(
        [layer_workload(name, LayerShape((8, 8, 32, 32))) for name in ("coordconv", "conv")], 0.3
    )
    assert sum(row.seconds for row in profile.rows) == pytest.approx(profile.seconds, rel=1e-6)
    assert profile.attributed > 0.9
    more = differences(profile, base)
    assert sum(row.seconds for row in more) == pytest.approx(profile.seconds - base.seconds, abs=1e-9)
    calls = {name: sum(row.calls for row in more if row.operator == name) for name in ("aten::conv2d", "aten::matmul")}
    assert calls == {"aten::conv2d": 0, "aten::matmul": 3}  # the share of the coordinates, and its two gradients


@pytest.mark.parametrize("name", ["conv", "coordconv", "locally_connected", "low_rank_locally_connected"])
def test_counted_flops_are_those_of_the_formula(name: str) -> None:
    workload = layer_workload(name, LayerShape((2, 4, 8, 8), phase="forward"))
    workload.run()
    operations = record_operations(workload)
    total = sum(counts.flops(operations)[i] for i in outermost(operations))
    assert workload.flops is not None
    assert 0.9 * workload.flops <= total <= workload.flops  # the formula counts what is no product, too


def test_a_backward_pass_costs_two_products_of_the_forward_pass() -> None:
    workload = layer_workload("conv", SMALL)
    workload.run()
    operations = record_operations(workload)
    flops = counts.flops(operations)
    by_direction = {operations[i].direction: flops[i] for i in outermost(operations) if flops[i]}
    assert by_direction == {"forward": 2 * 2 * 4 * 64 * 4 * 9, "backward": 2 * by_direction["forward"]}


def test_a_planted_copy_is_found_at_its_line_forward_and_backward(planted: str) -> None:
    workload = layer_workload(planted, SMALL)
    workload.run()
    operations = record_operations(workload)
    places = {(operations[i].direction, operations[i].name): operations[i].place for i in outermost(operations)}
    assert places["forward", "aten::cat"] == "planted.py:23 forward"
    assert places["backward", "aten::clone"] == "planted.py:13 backward"  # inside of an autograd.Function
    assert places["backward", "aten::convolution_backward"].startswith("planted.py:22")  # by its forward operator


def test_what_a_planted_layer_does_more_is_its_copy(planted: str) -> None:
    profile, base = profile_steps([layer_workload(name, SMALL) for name in (planted, "conv")], 0.2)
    extra = {row.operator: row for row in differences(profile, base) if row.calls > 0}
    assert extra["aten::cat"].calls == 1
    assert extra["aten::cat"].nbytes == 4 * (2 + 2 + 4) * 4 * 64  # two inputs of 2 samples, an output of 4; float32
    assert "aten::cat (forward)" in str(extra["aten::cat"])


def test_fingerprints_are_equal_run_after_run_and_in_another_process() -> None:
    names = ["conv", "coordconv", "geoconv", "coordgate", "locally_connected"]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        elsewhere = pool.apply_async(_digests, (names,))
        assert _digests(names) == _digests(names) == elsewhere.get()


def _digests(names: list[str]) -> list[str]:
    torch.set_num_threads(1)
    return [fingerprint(layer_workload(name, SMALL)).digest for name in names]


def test_a_fingerprint_tells_a_lost_layout_and_another_dtype() -> None:
    plain, strided = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.rand(2, 4, 8, 8)

    def of(module: nn.Module, given: Tensor) -> str:
        return fingerprint(Workload("", lambda: module(given), {"": module})).digest

    assert of(plain, x) == of(nn.Conv2d(4, 4, 3), torch.rand(2, 4, 8, 8))
    assert len({of(plain, x), of(strided, x), of(plain.double(), x.double())}) == 3


def test_what_differs_between_fingerprints_is_listed(planted: str) -> None:
    lines = fingerprint(layer_workload(planted, SMALL)).against(fingerprint(layer_workload("conv", SMALL)))
    assert any(line.startswith("+1 forward aten::cat(float[2, 4, 8, 8]") for line in lines)


def test_the_memory_of_a_hand_checked_step() -> None:
    memory = StepMemory(
        (
            Allocation("aten::a", 100, 0, 3, "kept for backward"),
            Allocation("aten::b", 50, 1, 2, "temporary"),
            Allocation("aten::c", 10, 4, None, "gradients"),
        ),
        0,
    )
    assert memory.held() == [100, 150, 100, 0, 10]
    assert (memory.peak_bytes, [a.operator for a in memory.at_peak()]) == (150, ["aten::a", "aten::b"])


def test_products_are_counted_whatever_form_they_take() -> None:
    a, b, c = torch.rand(3, 5), torch.rand(5, 7), torch.rand(3, 7)

    def run() -> None:
        torch.mm(a, b, out=c)
        torch.addmm(c, a, b)
        c.addmm_(a, b)
        torch.bmm(a[None], b[None])
        torch.matmul(a, b)

    operations = record_operations(Workload("", run))
    assert [counts.flops(operations)[i] for i in outermost(operations) if operations[i].name != "aten::unsqueeze"] == (
        [2 * 3 * 5 * 7] * 5
    )


def test_a_view_moves_no_bytes_and_a_copy_moves_both_ways() -> None:
    x = torch.rand(4, 8)
    operations = record_operations(Workload("", lambda: (x.view(8, 4), x.clone())))
    moved = {o.name: counts.read_bytes(o) + counts.written_bytes(o) for o in operations if o.is_operator}
    assert (moved["aten::view"], moved["aten::clone"]) == (0, 2 * 4 * 32)


def test_the_nearest_limit_bounds() -> None:
    limits = Limits(1e9, bytes_per_second=1e9, seconds_per_call=1e-6, cached_bytes_per_second=1e9)
    assert limits.bound(10**6, 10**3) == "compute"
    assert limits.bound(10**3, 10**6) == "memory"
    assert limits.bound(10, 10) == "dispatch"


def test_a_shape_that_a_layer_refuses_is_a_mistake_of_one_line() -> None:
    with pytest.raises(UsageError, match=r"shape \(2, 4\) must be N,C and one to three sizes"):
        layer_workload("conv", LayerShape((2, 4)))
    with pytest.raises(UsageError, match=r"coordconv refuses the shape .* size"):
        layer_workload("coordconv", LayerShape((2, 4, 8, 8, 8, 8)))


def test_a_step_that_is_long_is_run_few_times() -> None:
    ran: list[None] = []
    layer = nn.Linear(4, 4)
    x = torch.rand(2, 4)

    def run() -> None:
        ran.append(None)
        layer(x).sum().backward()

    profile_steps([Workload("", run, {"": layer})], seconds=0.0)
    assert len(ran) == 5  # to fill caches, for its time, its operators, their times, its memory


def test_no_operator_lies_above_the_roof() -> None:
    slow_machine = Limits(1e9, 1e9, 1e-6, 2e9)
    assert slow_machine.roof(10**9, 10**8) == 1e9
    seen = slow_machine.raised(10**9, 10**8, seconds=0.5)  # at 2e9 FLOP/s
    assert (seen.flops_per_second, seen.roof(10**9, 10**8)) == (2e9, 2e9)
    moved = slow_machine.raised(10**6, 10**8, seconds=0.05)  # 2e9 bytes/s, from memory
    assert (moved.bytes_per_second, moved.roof(10**6, 10**8)) == (2e9, 10**6 / 0.05)
    assert slow_machine.raised(10**6, 10**6, seconds=1.0) == slow_machine


def test_of_several_bursts_the_best_counts() -> None:
    assert Limits(1.0, 5.0, 2.0, 4.0).best(Limits(3.0, 2.0, 1.0, 6.0)) == Limits(3.0, 5.0, 1.0, 6.0)
