"""What other counters say about the same FLOPs, each with its known faults: recorded beside the figure, never instead.

torch's FlopCounterMode counts 2 per multiply-add, knows no elementwise operation, FFT or fused attention of the CPU and
says nothing of it, and takes the backward pass of a grouped convolution for that of a full one. fvcore counts
multiply-adds once, traces the module, and bills norms and interpolations per element.
"""

from __future__ import annotations

import logging
import warnings

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from coordbench.harness.core.errors import describe_error
from coordbench.harness.measure.subject import Inputs, Subject

_MULTIPLY_ADDS = ("conv", "linear", "matmul", "mm", "bmm", "addmm", "einsum")


def by_torch(model: nn.Module, inputs: Inputs) -> dict[str, int]:
    """Forward, and forward + backward of the sum of all outputs, by FlopCounterMode [FLOPs]."""
    with FlopCounterMode(display=False) as counter:
        output = model(*inputs)
        forward = counter.get_total_flops()
        loss = sum(leaf.sum() for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.requires_grad)
        if isinstance(loss, Tensor):
            loss.backward()
    model.zero_grad(set_to_none=True)
    return {"forward": forward, "forward_backward": counter.get_total_flops()}


def step_by_torch(subject: Subject) -> int:
    """A whole training step, the passes of all phases, by FlopCounterMode [FLOPs]."""
    step = subject.phase("step")
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def by_fvcore(model: nn.Module, inputs: Inputs) -> dict[str, object]:
    """A forward pass by fvcore, multiply-adds doubled [FLOPs]; what it bills otherwise, and what it skips, apart."""
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # fvcore uses what torch deprecates; tracing warns of every shape that is read
        try:
            from fvcore.nn import FlopCountAnalysis

            analysis = FlopCountAnalysis(model, inputs).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            counted = analysis.by_operator()
            skipped = analysis.unsupported_ops()
        except Exception as error:  # whatever a layer does that cannot be traced
            return {"reason": describe_error(error)[:300]}
    multiply_adds = sum(int(n) for name, n in counted.items() if name in _MULTIPLY_ADDS)
    return {
        "forward": 2 * multiply_adds,
        "other_unit": {name: int(n) for name, n in counted.items() if name not in _MULTIPLY_ADDS},
        "uncounted": dict(skipped),
    }
