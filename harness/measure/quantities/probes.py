"""Probes: small measurements of how a layer treats place, as it is built, before any training.

    >>> probe("coordconv")["position_readout"]
    1.0

All in float64 at evaluation, on noise without place. Circular convolution and circular attention are the layers that
must show no place at all, CoordConv one that must. What a cell's variant shows is kept beside its costs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.entries import Layer
from coordbench.harness.core.errors import describe_error
from coordbench.harness.measure.part import Part

Curve = list[tuple[float, float]]

CHANNELS = 1, 32
"""More output channels than a 3x3 window of one channel has pixels, so that a readout can tell place from content."""
KERNEL_SIZE = 3
SIZE = 16
"""Pixels along each axis in one and two dimensions; in three half as many."""
SHIFTS = (1, 2, 3, 4)
STEP = 1e-3
"""Shift of the central difference [px]."""
RIDGE = 1e-6
"""Share of the features' mean variance that the readout adds to each: enough for features that repeat one another."""


def measure_probes(cell: Cell, seconds: float = 0.0) -> Part:
    """Probe the cell's variant alone; a layer that cannot be probed has the reason instead, and is no failure."""
    try:
        values = probe(cell.label)
    except Exception as error:  # such as a layer that knows no float64
        return Part({"reason": describe_error(error)})
    return Part({name: _plain(value) for name, value in values.items()})


def _plain(value: Curve | float) -> list[list[object]] | float | None:
    """A number or a curve as JSON knows them: null where a layer gave no finite number."""
    if isinstance(value, list):
        return [[x, _plain(y)] for x, y in value]
    return value if math.isfinite(value) else None


def probe(selector: str) -> dict[str, Curve | float]:
    """Look at a layer through all probes; curves are pairs (abscissa, value), most with pixels as abscissa."""
    layer = registry.layer(selector)
    return {
        "shift_error_interior": shift_error_interior(layer),
        "shift_error_with_borders": shift_error_with_borders(layer),
        "lie_derivative": lie_derivative(layer),
        "effective_receptive_field": effective_receptive_field(layer),
        "position_readout": position_readout(layer),
        "unseen_size": unseen_size(layer),
    }


def shift_error_interior(layer: Layer) -> Curve:
    """|f(shift x) - shift f(x)| / |f(x)| for windows of one wide scene, where no output sees a border: (shift, error).

    0 for every layer whose output depends on its window alone.
    """
    module, size = _built(layer)
    wide = _noise(layer, (*size[:-1], size[-1] + max(SHIFTS)))
    still = module(wide[..., : size[-1]])
    curve = []
    for shift in SHIFTS:
        moved = module(wide[..., shift : shift + size[-1]])
        inside = _interior(still[..., shift:]), _interior(moved[..., : size[-1] - shift])
        curve.append((float(shift), _relative(inside[1] - inside[0], inside[0])))
    return curve


def shift_error_with_borders(layer: Layer) -> Curve:
    """|f(shift x) - shift f(x)| / |f(x)| over the whole map for circular shifts: (shift, error)."""
    module, size = _built(layer)
    x = _noise(layer, size)
    still = module(x)
    return [(float(s), _relative(module(x.roll(s, -1)) - still.roll(s, -1), still)) for s in SHIFTS]


def lie_derivative(layer: Layer) -> float:
    """Norm of the Lie derivative along a translation, relative to that of the output [1/px].

    Gruver, Finzi, Goldblum, Wilson, "The Lie derivative for measuring learned equivariance", 2022, arXiv 2210.02984:
    d/ds shift(-s) f(shift(s) x) at s = 0, here by a central difference, for smooth x that Fourier series shift exactly.
    """
    module, size = _built(layer)
    x = _smooth(_noise(layer, size))
    there, back = (_shifted(module(_shifted(x, s)), -s) for s in (STEP, -STEP))
    return _relative((there - back) / (2 * STEP), module(x))


def effective_receptive_field(layer: Layer) -> Curve:
    """Where the central output looks: (distance [px], share of the squared gradient within it).

    Luo, Li, Urtasun, Zemel, "Understanding the effective receptive field in deep convolutional neural networks", 2017,
    arXiv 1701.04128.
    """
    module, size = _built(layer)
    x = _noise(layer, size).requires_grad_()
    center = tuple(n // 2 for n in size)
    with torch.enable_grad():
        seen = torch.autograd.grad(module(x)[(slice(None), slice(None), *center)].sum(), x)[0]
    power = seen.square().sum((0, 1))
    away = [(torch.arange(n) - c).abs() for n, c in zip(size, center, strict=True)]
    distance = torch.stack(torch.meshgrid(away, indexing="ij")).amax(0)
    return [(float(d), float(power[distance <= d].sum() / power.sum())) for d in range(max(size) // 2 + 1)]


def position_readout(layer: Layer) -> float:
    """R^2 of absolute position inside the border, a mean over axes, read linearly from each pixel of unseen noise."""
    module, size = _built(layer)
    known, asked = (_pixels(_interior(module(_noise(layer, size, seed)))) for seed in (1, 2))
    axes = [torch.linspace(-1, 1, n - 2 * KERNEL_SIZE, dtype=torch.float64) for n in size]
    place = torch.stack(torch.meshgrid(axes, indexing="ij"), -1).flatten(0, -2)
    place = place.repeat(len(known) // len(place), 1)
    mean, centered = known.mean(0), known - known.mean(0)
    gram = centered.T @ centered
    gram += RIDGE * gram.trace() / len(gram) * torch.eye(len(gram), dtype=gram.dtype)
    predicted = (asked - mean) @ torch.linalg.solve(gram, centered.T @ place)
    return float((1 - (predicted - place).square().mean(0) / place.square().mean(0)).mean())


def unseen_size(layer: Layer) -> Curve:
    """How the output for a scene changes when the scene lies in the middle of a larger empty one: (size, error).

    Empty for layers of a fixed size.
    """
    if layer.selected.entry.fixed_size:
        return []
    module, size = _built(layer)
    x = _noise(layer, size)
    still, curve = _interior(module(x)), []
    for margin in (size[-1] // 4, size[-1] // 2, size[-1]):
        y = module(nn.functional.pad(x, (margin,) * (2 * len(size))))
        for axis, n in enumerate(size):
            y = y.narrow(2 + axis, margin, n)
        curve.append((float(size[-1] + 2 * margin), _relative(_interior(y) - still, still)))
    return curve


def _built(layer: Layer) -> tuple[nn.Module, tuple[int, ...]]:
    """The layer in two dimensions, or in what it knows, its parameters moved off a start where gates are 1."""
    dims = 2 if 2 in layer.selected.entry.dims else layer.selected.entry.dims[0]
    size = (SIZE if dims < 3 else SIZE // 2,) * dims
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = layer(*CHANNELS, KERNEL_SIZE, size=size).double().eval()
        for p in module.parameters():
            p.requires_grad_(False)
            p.add_(0.1 * torch.randn_like(p))
    return module, size


def _noise(layer: Layer, size: tuple[int, ...], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, CHANNELS[0], *size, generator=generator, dtype=torch.float64)


def _interior(y: Tensor) -> Tensor:
    """Leave out a kernel at each border, for layers of two convolutions."""
    for axis in range(2, y.dim()):
        y = y.narrow(axis, KERNEL_SIZE, y.shape[axis] - 2 * KERNEL_SIZE)
    return y


def _relative(difference: Tensor, whole: Tensor) -> float:
    return float(difference.norm() / whole.norm())


def _frequencies(x: Tensor) -> Tensor:
    frequencies: Tensor = torch.fft.rfftfreq(x.shape[-1], dtype=torch.float64)
    return frequencies


def _smooth(x: Tensor) -> Tensor:
    """Drop the upper half of the frequencies along the last axis."""
    smooth: Tensor = torch.fft.irfft(torch.fft.rfft(x) * (_frequencies(x) < 0.25), x.shape[-1])
    return smooth


def _shifted(x: Tensor, pixels: float) -> Tensor:
    """Shift along the last axis by the Fourier series, which wraps around."""
    turns = -2j * math.pi * pixels * _frequencies(x)
    moved: Tensor = torch.fft.irfft(torch.fft.rfft(x) * turns.exp(), x.shape[-1])
    return moved


def _pixels(y: Tensor) -> Tensor:
    return y.movedim(1, -1).flatten(0, -2)
