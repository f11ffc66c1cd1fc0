"""Arms of a comparison are equal but for the thing asked, in every contest of every preset.

All arms of a contest are built, the weights of the plain convolution are copied into each of them, and what a layer
adds to a convolution is set to its identity (weights of coordinates zero, gates one): then all arms must give the same
output. Arms draw different numbers from one seed, so of their starts the laws are compared, over 50 seeds. Networks are
shrunk, which changes no wiring.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.core.entries import Layer, VariantEntry
from coordbench.harness.core.problem import LayerFactory
from coordbench.tasks._backbones import dcgan
from coordbench.tasks._backbones._parts.upsampling import Doubling, spread

PRESETS = sorted((Path(__file__).parents[1] / "harness" / "presets").glob("*.toml"))
SEEDS = 50
NO_IDENTITY = {"involution", "pixel_adaptive", "relative_attention"}
"""Layers that say why they can never be a plain convolution, so that outputs cannot be compared."""
OTHER_START = {"low_rank_locally_connected": "starts by He's law, as its authors' code does"}
SMALLER = {"canvas=256": "canvas=32", "width=64": "width=8", "width=2]": "width=0.5]"}
Shapes = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Contest:
    """A network on a task, and the arms that a preset compares in it."""

    task: str
    backbone: str
    arms: tuple[str, ...]


@functools.cache
def contests(preset: Path) -> tuple[Contest, ...]:
    """All variants of each task and backbone, over all sweeps of a preset; shrunk."""
    arms: dict[tuple[str, str], list[str]] = defaultdict(list)
    for sweep in tomllib.loads(preset.read_text())["sweep"]:
        for task in sweep["tasks"]:
            for backbone in sweep["backbones"]:
                arms[_smaller(task), _smaller(backbone)] += sweep["variants"]
    return tuple(Contest(*place, tuple(dict.fromkeys(variants))) for place, variants in arms.items())


def _smaller(selector: str) -> str:
    for large, small in SMALLER.items():
        selector = selector.replace(large, small)
    return "dcgan[width=8]" if selector == "dcgan" else selector


@functools.cache
def shapes(task: str) -> frozenset[Shapes]:
    """The shapes between which a task wants its networks."""
    wanted: list[Shapes] = []

    def network(before: tuple[int, ...], after: tuple[int, ...]) -> nn.Module:
        wanted.append((before, after))
        return nn.Identity()

    registry.problem(task, network, 0)
    return frozenset(wanted)


def build(backbone: str, variant: str, wanted: Shapes, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return registry.network(backbone, registry.layer(variant))(*wanted)


def layers(network: nn.Module) -> dict[str, nn.Module]:
    """Where layers of variants stand in a network."""
    return {name: module for name, module in network.named_modules() if hasattr(module, "coordbench_layer")}


def entry_of(layer: nn.Module) -> VariantEntry:
    made_by = layer.coordbench_layer
    assert isinstance(made_by, Layer)
    return made_by.selected.entry


class NoIdentityError(Exception):
    """A layer that can never be a plain convolution."""


def equalize(arm: nn.Module, baseline: nn.Module) -> None:
    """Give an arm the weights of the baseline, its padding, and the identity of all that its layers add."""
    places, plain = layers(arm), layers(baseline)
    assert list(places) == list(plain), f"layers stand at {list(places)}, in the baseline at {list(plain)}"
    for name, layer in places.items():
        become = entry_of(layer).identity
        if isinstance(become, str):
            assert become, f"{entry_of(layer).name} declares no identity"
            raise NoIdentityError(become)
        conv = plain[name].conv
        become(layer, conv.weight.detach(), None if conv.bias is None else conv.bias.detach())
        for part in layer.modules():
            if hasattr(part, "padding"):
                part.padding = conv.padding
    inside = tuple(f"{name}." for name in places)
    rest, given = ({k: v for k, v in m.state_dict().items() if not k.startswith(inside)} for m in (arm, baseline))
    assert {k: v.shape for k, v in rest.items()} == {k: v.shape for k, v in given.items()}
    arm.load_state_dict(given, strict=False)


def compare(backbone: str, variant: str, wanted: Shapes) -> None:
    """Raise AssertionError where an arm that adds nothing gives another output than the baseline."""
    baseline, arm = (build(backbone, name, wanted).double() for name in ("conv", variant))
    equalize(arm, baseline)
    x = torch.randn(2, *wanted[0], dtype=torch.float64)
    for training in (True, False):
        expected, actual = (network.train(training)(x) for network in (baseline, arm))
        scale = max(1.0, expected.abs().max().item())
        torch.testing.assert_close(actual / scale, expected / scale, rtol=0, atol=1e-9, msg=f"{variant} in {backbone}")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_arms_that_add_nothing_are_equal(preset: Path) -> None:
    declared = set()
    for contest in contests(preset):
        for wanted in shapes(contest.task):
            for variant in contest.arms:
                try:
                    compare(contest.backbone, variant, wanted)
                except NoIdentityError:
                    declared.add(registry.select("variant", variant).entry.name)
    assert declared <= NO_IDENTITY


def test_every_layer_declares_its_identity() -> None:
    entries = registry.entries("variant")
    assert [entry.name for entry in entries if not entry.identity] == []
    assert {entry.name for entry in entries if isinstance(entry.identity, str)} == NO_IDENTITY


# Starts


def starts(network: nn.Module, inputs: dict[str, int]) -> dict[str, Tensor]:
    """Each tensor of a network as drawn, in units of 1 / sqrt(fan-in); of a layer, what meets the layer's input."""
    drawn, places = {}, layers(network)
    for name, layer in places.items():
        convolution = getattr(layer, "conv", layer)
        weight, bias = convolution.weight.detach(), convolution.bias
        fan_in = weight.shape[1] if weight.dim() == 3 and layer is convolution else weight[0].numel()
        meeting = weight if layer is convolution else weight[:, : inputs.get(name, weight.shape[1])]
        drawn[f"{name}.weight"] = meeting.flatten() * math.sqrt(fan_in)
        if bias is not None:
            drawn[f"{name}.bias"] = bias.detach().flatten() * math.sqrt(fan_in)
    inside = tuple(f"{name}." for name in places)
    rest = {k: v.detach().flatten() for k, v in network.named_parameters() if not k.startswith(inside)}
    return drawn | rest


@functools.cache
def law(backbone: str, variant: str, wanted: Shapes) -> dict[str, tuple[float, float, int]]:
    """Tensor -> mean, spread and number of the values that it starts with, over all seeds."""
    inputs = {name: layer.conv.weight.shape[1] for name, layer in layers(build(backbone, "conv", wanted)).items()}
    pooled: dict[str, list[Tensor]] = defaultdict(list)
    for seed in range(SEEDS):
        for name, values in starts(build(backbone, variant, wanted, seed), inputs).items():
            pooled[name].append(values[:1000])
    joined = {name: torch.cat(parts) for name, parts in pooled.items()}
    return {name: (v.mean().item(), v.std().item(), v.numel()) for name, v in joined.items()}


def compare_starts(backbone: str, variant: str, wanted: Shapes) -> None:
    """Raise AssertionError where a tensor of an arm starts by another law than that of the baseline."""
    baseline, arm = law(backbone, "conv", wanted), law(backbone, variant, wanted)
    assert baseline.keys() == arm.keys()
    for name, (mean, spread_, count) in baseline.items():
        noise = 6 * max(spread_, arm[name][1]) / math.sqrt(min(count, arm[name][2]))
        assert abs(arm[name][0] - mean) <= noise, f"{variant} in {backbone}: {name} starts around {arm[name][0]:.3g}"
        assert abs(arm[name][1] - spread_) <= noise, f"{variant} in {backbone}: {name} spreads by {arm[name][1]:.3g}"


def _distinct() -> Iterator[tuple[str, str, Shapes]]:
    """Each arm of each network once, whatever the task and the preset."""
    for preset in PRESETS:
        for contest in contests(preset):
            for variant in contest.arms:
                name = registry.select("variant", variant).entry.name
                if variant != "conv" and name not in NO_IDENTITY | OTHER_START.keys():
                    yield from ((contest.backbone, variant, wanted) for wanted in shapes(contest.task))


@pytest.mark.slow  # fifty starts of each network: half a minute
def test_arms_start_by_one_law() -> None:
    seen = {(backbone, variant, len(wanted[0])): wanted for backbone, variant, wanted in _distinct()}
    for (backbone, variant, _), wanted in seen.items():
        compare_starts(backbone, variant, wanted)


# Training


def test_arms_of_a_contest_are_trained_alike() -> None:
    for preset in PRESETS:
        content = tomllib.loads(preset.read_text())
        if content["run"].get("pilot"):
            continue  # it compares regimes of one variant, not arms
        budgets: dict[tuple[str, str, float | None], dict[str, object]] = {}
        for sweep in content["sweep"]:
            budget = {k: v for k, v in sweep.items() if k not in ("tasks", "backbones", "variants", "costs", "seeds")}
            for task in sweep["tasks"]:
                for backbone in sweep["backbones"]:
                    contest = task, backbone, sweep.get("learning_rate")  # one rate for all makes another contest
                    assert budgets.setdefault(contest, budget) == budget, f"{preset.stem}: {backbone} on {task}"


NETWORKS = (
    ("dcgan[width=4]", ((5,), (1, 16, 16))), ("vae[width=4]", ((5,), (1, 16, 16))), ("deconv", ((2,), (1, 8, 8))),
    ("unet[depth=2, width=4]", ((1, 8, 8), (1, 8, 8))), ("classifier", ((1, 16, 16), (4,))),
)  # fmt: skip


@pytest.mark.parametrize(("backbone", "wanted"), NETWORKS)
def test_no_network_asks_who_a_layer_is(backbone: str, wanted: Shapes) -> None:
    known = registry.layer("conv")

    def stranger(in_channels: int, out_channels: int, kernel_size: int, **more: object) -> nn.Module:
        return known(in_channels, out_channels, kernel_size, **more)  # type: ignore[arg-type]

    networks = []
    for factory in (known, stranger):
        torch.manual_seed(0)
        networks.append(registry.network(backbone, factory)(*wanted))  # type: ignore[arg-type]
    x = torch.randn(2, *wanted[0])
    assert torch.equal(networks[0](x), networks[1](x))


# Planted faults


def once(layer: LayerFactory, before: int, after: int, kernel: int, *, size: tuple[int, ...]) -> nn.Module:
    """The upsampler of before: torch's transposed convolution for `conv`, zeros and the layer for any other."""
    factory = layer.next() if isinstance(layer, dcgan.Placed) else layer
    if getattr(factory, "label", "") == "conv":
        return nn.ConvTranspose2d(before, after, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2)
    return _Zeros(factory(before, after, kernel, size=tuple(2 * n for n in size)))


class _Zeros(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(spread(x, zero_first=False))
        return y


GENERATOR: Shapes = ((5,), (1, 16, 16))


def test_the_upsampler_of_before_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    compare("dcgan[width=4]", "coordconv", GENERATOR)
    monkeypatch.setattr(dcgan, "Doubling", once)
    with pytest.raises(AssertionError, match="layers stand at"):
        compare("dcgan[width=4]", "coordconv", GENERATOR)


def test_another_border_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shifted(Doubling):
        """Zeros on the other side for all but the plain convolution."""

        def forward(self, x: Tensor) -> Tensor:
            plain = entry_of(self.layer).name == "conv"
            y: Tensor = self.layer(spread(x, zero_first=self.zero_first == plain))
            return y

    monkeypatch.setattr(dcgan, "Doubling", functools.partial(Shifted, fuse=False))
    with pytest.raises(AssertionError, match="coordconv in dcgan"):
        compare("dcgan[width=4]", "coordconv", GENERATOR)


def test_another_law_of_starts_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wide(Doubling):
        """The plain convolution starts by the law of torch's transposed one."""

        def __init__(self, layer: LayerFactory, before: int, after: int, kernel: int, *, size: tuple[int, ...]) -> None:
            super().__init__(layer, before, after, kernel, size=size)
            if entry_of(self.layer).name == "conv":
                with torch.no_grad():
                    next(self.layer.parameters()).mul_(math.sqrt(before / after))

    monkeypatch.setattr(dcgan, "Doubling", Wide)
    law.cache_clear()
    with pytest.raises(AssertionError, match="spreads by"):
        compare_starts("dcgan[width=4]", "coordconv", GENERATOR)
    law.cache_clear()
