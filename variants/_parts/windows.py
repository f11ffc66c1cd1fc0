"""Fast paths of layers that treat each window on its own; `tricks` says when they are taken.

Windows are never unfolded as a whole: a block at a time stays in the cache of the processor.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from types import EllipsisType
from typing import Protocol

import torch
from torch import Tensor

from coordbench.variants._parts.passes import Context, full_precision, is_channels_last, layout

BLOCK = 2**18
"""Numbers in a block of windows: 1 MiB of float32."""


class _FormulaContext(Context, Protocol):
    formula: Callable[..., Tensor]


class _LocalContext(_FormulaContext, Protocol):
    geometry: tuple[int, int]


class _AdaptiveContext(_FormulaContext, Protocol):
    likenesses: list[Tensor]


class LocalProduct(torch.autograd.Function):
    """Multiply each window of a padded x by its own matrix, a few rows of the output at a time.

    x (N, C, *padded), weight (pixels, k^d C, C_out), taps before channels; returns (N, C_out, *out). `formula` computes
    the same of (x, weight) by differentiable operations, for second derivatives.
    """

    @staticmethod
    def forward(
        ctx: _LocalContext, x: Tensor, weight: Tensor, kernel_size: int, stride: int, formula: Callable[..., Tensor]
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.formula = (kernel_size, stride), formula
        pixels, out = _pixels_first(x), [(n - kernel_size) // stride + 1 for n in x.shape[2:]]
        y = x.new_empty(len(weight), len(x), weight.shape[-1])
        for windows, at in _blocks(pixels, out, kernel_size, stride):
            torch.bmm(_rows(windows), weight[at], out=y[at])
        return _images_first(y.view(*out, *y.shape[1:]), is_channels_last(x))

    @staticmethod
    def backward(ctx: _LocalContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *_by_formula(ctx, (x, weight), grad), None, None, None
        pixels, grad_rows = _pixels_first(x), _pixels_first(grad).flatten(0, grad.dim() - 3)
        grad_pixels, grad_weight = torch.zeros_like(pixels), torch.empty_like(weight)
        sources = _blocks(pixels, grad.shape[2:], *ctx.geometry)
        targets = _blocks(grad_pixels, grad.shape[2:], *ctx.geometry)
        for (windows, at), (target, _) in zip(sources, targets, strict=True):
            with full_precision(x):
                torch.bmm(_rows(windows).transpose(1, 2), grad_rows[at], out=grad_weight[at])
                spread = (grad_rows[at] @ weight[at].transpose(1, 2)).view(_taps_first(windows).shape)
            _add_taps(target, spread.movedim(-1, x.dim() - 1))
        return _images_first(grad_pixels, is_channels_last(x)), grad_weight, None, None, None


def _pixels_first(x: Tensor) -> Tensor:
    """(N, C, *size) -> (*size, N, C), so that a pixel's window is a few runs of memory for the whole batch."""
    if x.is_contiguous():  # a plain transposition is several times as fast as the permutation that it is
        return x.flatten(2).flatten(0, 1).t().contiguous().view(*x.shape[2:], *x.shape[:2])
    return x.movedim((0, 1), (-2, -1)).contiguous()


def _images_first(pixels: Tensor, channels_last: bool) -> Tensor:
    """(*size, N, C) -> (N, C, *size), in the layout that is asked for."""
    if channels_last:
        return pixels.movedim(-2, 0).contiguous().movedim(-1, 1)
    images, channels = pixels.shape[-2:]
    return pixels.view(-1, images * channels).t().contiguous().view(images, channels, *pixels.shape[:-2])


def _blocks(pixels: Tensor, out: Sequence[int], kernel_size: int, stride: int) -> Iterator[tuple[Tensor, slice]]:
    """View (*padded, N, C) as windows (*out, N, C, *kernel), a block of the first axis at a time, and where it lies."""
    slab = math.prod(out[1:])
    height = max(
        1, BLOCK // (slab * math.prod((kernel_size,) * len(out)) * pixels[0].numel() // math.prod(pixels.shape[1:-2]))
    )
    windows = pixels
    for axis in range(len(out)):
        windows = windows.unfold(axis, kernel_size, stride)
    for start in range(0, out[0], height):
        stop = min(start + height, out[0])
        yield windows[start:stop], slice(start * slab, stop * slab)


def _taps_first(windows: Tensor) -> Tensor:
    """(*out, N, C, *kernel) -> (*out, N, *kernel, C)."""
    return windows.movedim((windows.dim() - 2) // 2 + 1, -1)


def _add_taps(target: Tensor, spread: Tensor) -> None:
    """Add to windows (*out, N, C, *kernel), which overlap in memory, one tap after the other: those do not."""
    dims = (target.dim() - 2) // 2
    for tap in itertools.product(*(range(k) for k in target.shape[dims + 2 :])):
        at: tuple[int | EllipsisType, ...] = (..., *tap)
        target[at].add_(spread[at])


def _rows(windows: Tensor) -> Tensor:
    """(*out, N, C, *kernel) -> (pixels, N, k^d C)."""
    dims = (windows.dim() - 2) // 2
    return _taps_first(windows).reshape(-1, windows.shape[dims], math.prod(windows.shape[dims + 1 :]))


class AdaptiveProduct(torch.autograd.Function):
    """Pixel-adaptive convolution of a padded x guided by itself, at stride 1, a few images at a time.

    x (N, C, *padded), weight (C_out, C, *kernel); returns (N, C_out, *out). Images are read as one line, in which a
    tap is an offset; what is computed between their rows is thrown away. |x_p - x_{p+d}|^2 is that of the opposite
    offset seen from the other end, so that half of them suffice.
    """

    @staticmethod
    def forward(ctx: _AdaptiveContext, x: Tensor, weight: Tensor, formula: Callable[..., Tensor]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.formula, ctx.likenesses = formula, []
        out = (n - weight.shape[-1] + 1 for n in x.shape[2:])
        y = torch.empty((len(x), len(weight), *out), dtype=x.dtype, device=x.device, memory_format=layout(x))
        matrix = weight.movedim(1, -1).flatten(1)
        for images, results in _groups(weight, x, y):
            line = _Line(images, weight.shape[-1])
            ctx.likenesses.append(line.likeness())
            line.product(matrix, line.weighted(ctx.likenesses[-1]), results)
        return y

    @staticmethod
    def backward(ctx: _AdaptiveContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *_by_formula(ctx, (x, weight), grad), None
        matrix = weight.movedim(1, -1).flatten(1)
        grad_x, grad_matrix = torch.empty_like(x), torch.zeros_like(matrix)
        groups = _groups(weight, x, grad, grad_x)
        for (images, seen, results), likeness in zip(groups, ctx.likenesses, strict=True):
            line = _Line(images, weight.shape[-1])
            with full_precision(x):
                line.gradients(matrix, line.spread(seen), likeness, grad_matrix, results)
        return grad_x, grad_matrix.unflatten(1, (*weight.shape[2:], -1)).movedim(-1, 1), None


def _groups(weight: Tensor, x: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split a batch and what belongs to it into groups whose windows fill a few blocks."""
    images = max(1, 4 * BLOCK // (weight[0].numel() * x[0, 0].numel()))
    return zip(*(t.split(images) for t in (x, *others)), strict=True)


class _Line:
    """Padded images (G, C, *padded) as one line (C, pixels), and the windows of a kernel in it."""

    def __init__(self, images: Tensor, kernel_size: int) -> None:
        self.shape, dims = images.shape, images.dim() - 2
        self.channels_last = is_channels_last(images)
        rows = images.movedim(1, -1).flatten(0, -2).t() if self.channels_last else images.transpose(0, 1).flatten(1)
        self.pixels = rows.contiguous()  # (C, G pixels)
        strides = [math.prod(self.shape[3 + a :]) for a in range(dims)]
        taps = itertools.product(range(kernel_size), repeat=dims)
        self.offsets = [sum(t * s for t, s in zip(tap, strides, strict=True)) for tap in taps]
        self.center = (kernel_size - 1) // 2 * sum(strides)
        self.length = self.pixels.shape[1] - self.offsets[-1]
        self.kernel, self.strides = (kernel_size,) * dims, strides

    def likeness(self) -> Tensor:
        """exp(-|x_p - x_{p+d}|^2 / 2) for each tap d: (taps, length)."""
        distances = {}
        for apart in {abs(offset - self.center) for offset in self.offsets} - {0}:
            difference = self.pixels[:, apart:] - self.pixels[:, :-apart]
            distances[apart] = difference.mul_(difference).sum(0)
        result = self.pixels.new_zeros(len(self.offsets), self.length)
        for row, apart, start in zip(result, *self._ends(), strict=True):
            if apart:
                row.copy_(distances[apart][start : start + self.length])
        return result.mul_(-0.5).exp_()

    def weighted(self, likeness: Tensor) -> Tensor:
        """The windows, each tap times its likeness: (k^d C, length)."""
        shape, strides = (*self.kernel, len(self.pixels), self.length), (*self.strides, *self.pixels.stride())
        result = self.pixels.new_empty(shape)
        torch.mul(self.pixels.as_strided(shape, strides), likeness.view(*self.kernel, 1, self.length), out=result)
        return result.view(-1, self.length)

    def product(self, matrix: Tensor, weighted: Tensor, results: Tensor) -> None:
        """Write the output (G, C_out, *out) out of its line (C_out, length)."""
        line = self._line(len(matrix), results, torch.empty)
        torch.mm(matrix, weighted, out=line[:, : self.length])
        results.copy_(self._inside(line, results))

    def spread(self, grad: Tensor) -> Tensor:
        """Put a gradient (G, C_out, *out) back into its line (C_out, length), zeros between the rows."""
        line = self._line(grad.shape[1], grad, torch.zeros)
        self._inside(line, grad).copy_(grad)
        return line[:, : self.length]

    def gradients(self, matrix: Tensor, seen: Tensor, likeness: Tensor, grad_matrix: Tensor, results: Tensor) -> None:
        """Given the gradient `seen` of the line's output, add to that of the weights and write that of the images."""
        weighted, taps = self.weighted(likeness), (len(self.offsets), -1, self.length)
        grad_matrix.addmm_(seen, weighted.t())
        grad_weighted = matrix.t() @ seen
        pull = weighted.mul_(grad_weighted).view(taps).sum(1)
        result = torch.zeros_like(self.pixels)
        for offset, part in zip(self.offsets, grad_weighted.view(taps).mul_(likeness[:, None]), strict=True):
            result[:, offset : offset + self.length].add_(part)
        self._pull_together(pull, result)
        if self.channels_last:
            results.movedim(1, -1).flatten(0, -2).copy_(result.t())
        else:
            results.copy_(self._inside(result, results))

    def _pull_together(self, pull: Tensor, result: Tensor) -> None:
        """Add the gradient of -|x_p - x_{p+d}|^2 / 2, times `pull` (taps, length), to `result` (C, pixels)."""
        both: dict[int, Tensor] = {}
        for row, apart, start in zip(pull, *self._ends(), strict=True):
            if apart:
                ends = both.setdefault(apart, pull.new_zeros(self.pixels.shape[1] - apart))
                ends[start : start + self.length].add_(row)
        at_pixel = pull.new_zeros(self.pixels.shape[1])
        for apart, ends in both.items():
            at_pixel[:-apart].sub_(ends)
            at_pixel[apart:].sub_(ends)
            result[:, :-apart].addcmul_(self.pixels[:, apart:], ends)
            result[:, apart:].addcmul_(self.pixels[:, :-apart], ends)
        result.addcmul_(self.pixels, at_pixel)

    def _ends(self) -> tuple[list[int], list[int]]:
        """For each tap how far it lies from the center, and the first of the two pixels of the first window."""
        return [abs(o - self.center) for o in self.offsets], [min(o, self.center) for o in self.offsets]

    def _line(self, channels: int, like: Tensor, make: Callable[..., Tensor]) -> Tensor:
        """Make a line (channels, pixels) that lies in memory as `like` does."""
        shape = (channels, self.pixels.shape[1])
        swapped = is_channels_last(like)
        line = make(shape[::-1] if swapped else shape, dtype=like.dtype, device=like.device)
        return line.t() if swapped else line

    def _inside(self, line: Tensor, like: Tensor) -> Tensor:
        """View a line (channels, pixels) as (G, channels, *size of `like`)."""
        grid: Tensor = line.unflatten(1, (self.shape[0], *self.shape[2:])).transpose(0, 1)
        for axis, n in enumerate(like.shape[2:]):
            grid = grid.narrow(2 + axis, 0, n)
        return grid


def _by_formula(ctx: _FormulaContext, inputs: tuple[Tensor, ...], grad: Tensor) -> list[Tensor | None]:
    """Gradients that can themselves be differentiated, by way of the formula."""
    wanted = [t for t, needed in zip(inputs, ctx.needs_input_grad, strict=False) if needed]
    gradients = iter(torch.autograd.grad(ctx.formula(*inputs), wanted, grad, create_graph=True))
    return [next(gradients) if needed else None for _, needed in zip(inputs, ctx.needs_input_grad, strict=False)]
