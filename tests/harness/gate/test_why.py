"""Twenty slowdowns, planted one by one: each is named by its operator and its line; equal code gives no reason."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import nn

from coordbench.harness.gate.rows import GateRow
from coordbench.harness.gate.why import SAME, Steps, explain, notes
from coordbench.harness.measure.workload import LayerShape, layer_workload
from coordbench.harness.profiling.recorded.fingerprint import Fingerprint, fingerprint
from coordbench.harness.profiling.recorded.step import Workload

LAYER = """
import torch
from torch import nn
from torch.nn import functional as F

class Layer(nn.Module):
    def __init__(self, i, o, k, *, size, stride=1, bias=True):
        super().__init__()
        self.conv = nn.Conv2d(i, o, k, stride, k // 2, bias=bias)
        self.scale = nn.Parameter(torch.full((1, o, 1, 1), 0.5))
        self.grid = None

    def ramp(self, x):
        if self.grid is None:
            self.grid = torch.linspace(-1, 1, x.shape[-1])
        return self.grid

    def forward(self, x):
        ramp = self.ramp(x)
        y = self.conv(x)
        y = y * self.scale
        return y + ramp
"""


@dataclass(frozen=True)
class Fault:
    """An edit of the layer, and what must be named."""

    old: str
    new: str
    operator: str


FAULTS = {
    "an extra copy": Fault("y = self.conv(x)", "y = self.conv(x.clone())", "aten::clone"),
    "a concatenation": Fault("y = y * self.scale", "y = torch.cat([y, y], 1)[:, :4] * self.scale", "aten::cat"),
    "another layout": Fault(
        "self.conv(x)", "self.conv(x.contiguous(memory_format=torch.channels_last))", "aten::contiguous"
    ),
    "double precision": Fault("y * self.scale", "(y * self.scale.double()).float()", "aten::to"),
    "a wait for a number": Fault("ramp = self.ramp(x)", "ramp = self.ramp(x) if x.sum().item() else 0", "aten::item"),
    "a cache that is missed": Fault("if self.grid is None:", "if True:", "aten::linspace"),
    "a round trip of axes": Fault(
        "self.conv(x)", "self.conv(x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2))", "aten::contiguous"
    ),
    "patches": Fault("return y + ramp", "return y + ramp + 0 * F.unfold(x, 3, padding=1).sum()", "aten::im2col"),
    "a second convolution": Fault("y = self.conv(x)", "y = self.conv(x) + 0 * self.conv(x)", "aten::conv2d"),
    "padding": Fault("self.conv(x)", "self.conv(F.pad(x, (1, 1, 1, 1), 'reflect'))[..., 1:-1, 1:-1]", "aten::pad"),
    "dropout": Fault("y * self.scale", "F.dropout(y, 0.1) * self.scale", "aten::dropout"),
    "normalization": Fault("y * self.scale", "F.group_norm(y, 2) * self.scale", "aten::group_norm"),
    "a softmax": Fault("y * self.scale", "y * self.scale.softmax(1)", "aten::softmax"),
    "resizing": Fault("y * self.scale", "F.interpolate(y, (8, 8), mode='bilinear') * self.scale", "upsample"),
    "einsum": Fault("y * self.scale", "torch.einsum('nchw,oc->nohw', y, torch.eye(y.shape[1]))", "aten::einsum"),
    "repetition": Fault("y * self.scale", "y * self.scale.repeat(y.shape[0], 1, *y.shape[2:])", "aten::repeat"),
    "a Fourier transform": Fault("self.conv(x)", "self.conv(torch.fft.irfft2(torch.fft.rfft2(x)))", "aten::fft"),
    "a loop over samples": Fault("y * self.scale", "torch.stack([one * self.scale[0] for one in y])", "aten::stack"),
    "a gather": Fault("self.conv(x)", "self.conv(x[:, torch.arange(x.shape[1])])", "aten::index"),
    "a check": Fault("return y + ramp", "return torch.where(y.isnan(), y, y + ramp)", "aten::isnan"),
}  # fmt: skip


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Fingerprint]:
    """Count a training step of the layer in a source text."""
    monkeypatch.chdir(tmp_path)

    def count(source: str) -> Fingerprint:
        path = tmp_path / "layer.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location("a_layer_to_explain", path)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        exec(compile(source, path, "exec"), module.__dict__)  # never from the cache of an earlier text
        make: Callable[..., nn.Module] = module.Layer
        work = layer_workload(make, LayerShape(2, 4, (8, 8)))
        return fingerprint(Workload("layer", work.phase("forward_backward"), {"": work.module}))

    return count


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_slowdown_is_named_with_its_line(name: str, step: Callable[[str], Fingerprint]) -> None:
    fault = FAULTS[name]
    assert LAYER.count(fault.old) == 1
    source = LAYER.replace(fault.old, fault.new)
    line = next(i for i, text in enumerate(source.splitlines(), 1) if fault.new in text)
    reasons = Steps(step(LAYER), step(source)).reasons
    named = [reason for reason in reasons if fault.operator in reason]
    assert named, reasons
    where = line + 1 if fault.operator == "aten::linspace" else line  # the line that runs again, not the one that asks
    assert any(f"layer.py:{where}" in reason for reason in named), reasons


def test_equal_code_gives_no_reason_and_other_lines_do_not_matter(step: Callable[[str], Fingerprint]) -> None:
    before, after = step(LAYER), step("# a comment\n" + LAYER.replace("ramp", "slope"))
    assert before.digest == after.digest
    assert Steps(before, after).reasons == ()


def test_rows_that_changed_carry_the_reason_and_others_a_note(step: Callable[[str], Fingerprint]) -> None:
    steps = {"layer": Steps(step(LAYER), step(LAYER.replace("self.conv(x)", "self.conv(x.clone())")))}
    slower, equal = (GateRow("layer", "speed", "forward", outcome) for outcome in ("regressed", "pass"))  # type: ignore[arg-type]
    explained = explain([slower, equal], steps)
    assert "+1 aten::clone" in explained[0].why[0]
    assert explained[1].why == ()
    assert notes(explained, steps) == []
    assert notes([equal], steps)[0].startswith("layer: its step changed, and nothing measured did: forward: +1 ")
    uses = steps["layer"].operators
    assert (uses[0].operator, uses[0].base, uses[0].candidate) == ("aten::clone", 0, 1)
    assert uses[0].place.startswith("layer.py:")
    assert [use.operator for use in uses if use.differs] == ["aten::clone"]
    assert {use.operator for use in uses} >= {"aten::conv2d", "aten::mul", "aten::add"}
    same = {"layer": Steps(steps["layer"].base, steps["layer"].base)}
    assert explain([slower], same)[0].why == (SAME,)
