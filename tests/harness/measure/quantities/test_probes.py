"""Probes show no place in layers that have none, and place in those that do."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.measure.quantities import probes
from coordbench.harness.measure.quantities.probes import probe

torch.set_num_threads(1)


def values(curve: Any) -> list[float]:
    return [value for _, value in curve]


@pytest.mark.parametrize("selector", ["conv[padding=circular]", "relative_attention[circular=true]"])
def test_positive_controls_follow_every_shift(selector: str) -> None:
    place = probe(selector)
    assert max(values(place["shift_error_with_borders"])) < 1e-12
    assert place["lie_derivative"] < (1e-9 if selector.startswith("conv") else 0.05)  # softmax makes new frequencies
    assert place["position_readout"] < 0.05


def test_the_negative_control_tells_place() -> None:
    place = probe("coordconv")
    assert min(values(place["shift_error_interior"])) > 0.01
    assert place["lie_derivative"] > 0.01
    assert place["position_readout"] > 0.95
    assert min(values(place["unseen_size"])) > 0.01


def test_zero_padding_tells_place_at_the_border_alone() -> None:
    place = probe("conv")
    assert max(values(place["shift_error_interior"])) < 1e-12
    assert min(values(place["shift_error_with_borders"])) > 0.1
    assert place["lie_derivative"] > 0.1
    assert place["position_readout"] < 0.05
    assert max(values(place["unseen_size"])) < 1e-12


@pytest.mark.parametrize(("merge", "expected"), [("product", 1.0), ("sumsq", 1.0), ("sum", 0.5), ("radix", 0.5)])
def test_a_readout_sees_as_many_directions_as_a_merge_keeps(merge: str, expected: float) -> None:
    assert probes.position_readout(registry.layer(f"geoconv[merge={merge}]")) == pytest.approx(expected, abs=0.08)


def test_the_receptive_field_is_the_kernel_or_everything() -> None:
    conv = probes.effective_receptive_field(registry.layer("conv"))
    assert dict(conv)[1] == pytest.approx(1)
    assert 0 < dict(conv)[0] < 0.9
    attention = values(probes.effective_receptive_field(registry.layer("relative_attention")))
    assert attention[1] < 0.999
    assert attention[-1] == pytest.approx(1)
    assert attention == sorted(attention)


def test_layers_of_a_fixed_size_have_no_other() -> None:
    assert probes.unseen_size(registry.layer("locally_connected")) == []


def test_the_error_of_a_layer_that_multiplies_by_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """f(x)(p) = p x(p), moved by s, is off by s x(p)."""

    class ByPlace(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.arange(x.shape[-1], dtype=x.dtype)

    factory: Any = type("Factory", (), {"selected": registry.select("variant", "conv")})
    factory.__call__ = lambda self, *arguments, **size: ByPlace()
    monkeypatch.setattr(probes, "_noise", lambda layer, size, seed=0: torch.ones(1, 1, *size, dtype=torch.float64))
    seen = torch.arange(16.0)[5:13]  # where the still window, moved by 2, has its interior
    expected = 2 / seen.square().mean().sqrt().item()
    assert dict(probes.shift_error_interior(factory()))[2] == pytest.approx(expected)
