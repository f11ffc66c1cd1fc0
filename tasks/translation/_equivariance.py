"""How far a function fails to move with its input: relative errors that are 0 for a perfect follower.

An error of 0 means f(shift x) = shift f(x), one of 1 that the two are as far apart as outputs of unrelated inputs.
Where f halves its map the output can move by whole pixels of its own grid only: of the two nearest moves, and of the
one between them by the Fourier series, each image takes the best. Outputs without pixels, (N, F), must not move.
The Lie derivative is that of Gruver, Finzi, Goldblum, Wilson, "The Lie derivative for measuring learned equivariance",
2022, arXiv 2210.02984; here it is relative to the spread of the output, [1/px].
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from coordbench.tasks._predict import Model

Function = Callable[[Tensor], Tensor]
AT_ONCE = 4
"""Images that a network sees at once: attention over all pixels needs gigabytes for many."""
STEP = 1e-4
"""Shift of the central difference [px]; in float64 its error is about 1e-8."""


def exactly(model: Model) -> Function:
    """Return the model as a function in float64 on the CPU, so that an error of 0 is 0 to rounding."""
    if not isinstance(model, nn.Module):
        given: Function = model
        return given
    twin = copy.deepcopy(model).cpu().double().eval()

    def function(x: Tensor) -> Tensor:
        return torch.cat([twin(some) for some in x.double().split(AT_ONCE)])

    return function


def shift(x: Tensor, pixels: float, axis: int = -1) -> Tensor:
    """Move periodic pictures along an axis: whole pixels by rolling, parts of them by the Fourier series."""
    if float(pixels).is_integer():
        return x.roll(int(pixels), axis)
    n = x.shape[axis]
    turns = -2j * math.pi * pixels * torch.fft.rfftfreq(n, dtype=torch.float64)
    spectrum = torch.fft.rfft(x, dim=axis).movedim(axis, -1) * turns.exp()
    moved: Tensor = torch.fft.irfft(spectrum.movedim(-1, axis), n, dim=axis)
    return moved


def circular_errors(f: Function, x: Tensor, shifts: Sequence[float], axis: int = -1) -> list[float]:
    """Return the error of f under each shift, which wraps around; x is (N, C, *size)."""
    still, size = f(x), x.shape[axis]
    return [mismatch(f(shift(x, pixels, axis)), followers(still, pixels, size, axis)) for pixels in shifts]


def followers(y: Tensor, pixels: float, size: int, axis: int = -1) -> list[Tensor]:
    """The ways in which an output may follow a shift of an input of `size` pixels."""
    if y.dim() < 3:
        return [y]
    wanted = pixels * y.shape[axis] / size
    return [shift(y, step, axis) for step in {math.floor(wanted), math.ceil(wanted), wanted}]


def window_errors(
    f: Function, field: Tensor, shifts: Sequence[int], size: int, margins: Sequence[float] = (0.0,)
) -> list[list[float]]:
    """Return the error of f when its window of `size` pixels moves over a wider field: a list for each margin.

    The field is (N, C, size, at least size + the largest shift). Outputs are compared where both see the scene, but for
    a margin at each border, a share of the output.
    """
    moved = f(field[..., :size])
    stills = [f(field[..., pixels : pixels + size]) for pixels in shifts]
    return [
        [overlap(moved, still, pixels / size, margin) for still, pixels in zip(stills, shifts, strict=True)]
        for margin in margins
    ]


def overlap(moved: Tensor, still: Tensor, share: float, margin: float) -> float:
    """Return the mismatch of two outputs, the first of which lies further right by a share of its width."""
    if still.dim() < 3:
        return mismatch(moved, [still])
    height, width = still.shape[-2:]
    edge, errors = round(margin * width), []
    for step in {math.floor(share * width), math.ceil(share * width)}:
        rows, columns = slice(edge, height - edge), slice(edge, width - step - edge)
        early, late = still[..., rows, columns], moved[..., rows, columns.start + step : columns.stop + step]
        errors.append(mismatch(late, [early]))
    return min(errors)


def mismatch(moved: Tensor, candidates: list[Tensor]) -> float:
    """Return the distance of outputs from their best candidates, over that of unrelated outputs: at most sqrt(2)."""
    distances = torch.stack([(moved - other).flatten(1).square().sum(1) for other in candidates])
    return math.sqrt(distances.amin(0).sum().item() / max(spread(torch.cat([moved, candidates[0]])), 1e-300))


def spread(y: Tensor) -> float:
    """Return the sum of squares about the mean of each channel: (N, C, ...) -> float."""
    flat = y.movedim(1, 0).flatten(1)
    return (flat - flat.mean(1, keepdim=True)).square().sum().item()


def lie_derivative(f: Function, x: Tensor, axis: int = -1) -> float:
    """Return the norm of d/dt shift(-t) f(shift(t) x) at t = 0 over the spread of f(x) [1/px]."""

    def followed(t: float) -> Tensor:
        y = f(shift(x, t, axis))
        return y if y.dim() < 3 else shift(y, -t * y.shape[axis] / x.shape[axis], axis)

    slope = (followed(STEP) - followed(-STEP)) / (2 * STEP)
    return math.sqrt(slope.square().sum().item() / max(spread(f(x)), 1e-300))
