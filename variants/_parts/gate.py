"""One gate for a whole batch: the product of each image with it, and the sum of the images' gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from coordbench.variants._parts.passes import Context, layout, sum_batch
from coordbench.variants._parts.tricks import blockwise, eager
from coordbench.variants._parts.windows import BLOCK


def gated(y: Tensor, gate: Tensor | None, offset: Tensor | None = None, *, fresh: bool = True) -> Tensor:
    """y * gate + offset, either of them (1, C, *size) or None; a `fresh` y may be overwritten where none needs it."""
    gate, offset = (None if t is None else t.to(y.dtype) for t in (gate, offset))
    if not eager() or not y.shape[0]:
        y = y if gate is None else y * gate
        return y if offset is None else y + offset
    form = layout(y)
    gate, offset = (None if t is None else t.contiguous(memory_format=form) for t in (gate, offset))
    if torch.is_grad_enabled() or not fresh:
        result: Tensor = _Gated.apply(y, gate, offset)  # type: ignore[no-untyped-call]
        return result
    y = y if gate is None else y.mul_(gate)
    return y if offset is None else y.add_(offset)


class _GatedContext(Context):
    form: torch.memory_format


class _Gated(torch.autograd.Function):
    """Go through the batch a few images at a time, so that each is read from memory once for both of its gradients."""

    @staticmethod
    def forward(ctx: _GatedContext, y: Tensor, gate: Tensor | None, offset: Tensor | None) -> Tensor:
        ctx.save_for_backward(y if gate is not None else None, gate)
        ctx.form = layout(y)
        if gate is None:
            return y if offset is None else y + offset
        return y * gate if offset is None else torch.addcmul(offset, y, gate)

    @staticmethod
    def backward(ctx: _GatedContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, gate = ctx.saved_tensors
        grad = grad.contiguous(memory_format=ctx.form)
        grad_offset = sum_batch(grad) if ctx.needs_input_grad[2] else None
        if gate is None:
            return grad, None, grad_offset
        if torch.is_grad_enabled() or not blockwise(grad):  # the first where a second derivative is asked for
            return grad * gate, sum_batch(grad * y), grad_offset
        grad_y, grad_gate, images = torch.empty_like(y), None, max(1, BLOCK // gate.numel())
        for seen, image, result in zip(*(t.split(images) for t in (grad, y, grad_y)), strict=True):
            torch.mul(seen, gate, out=result)
            part = sum_batch(seen * image)
            grad_gate = part if grad_gate is None else grad_gate.add_(part)
        return grad_y, grad_gate, grad_offset
