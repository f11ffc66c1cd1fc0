"""The memory that training takes above what the models hold before it starts; where nothing is trained, forward."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._pytree import tree_leaves

from coordbench.harness.core.cell import Cell
from coordbench.harness.measure.allocations import track
from coordbench.harness.measure.nvml import open_gpu
from coordbench.harness.measure.part import Part
from coordbench.harness.measure.subject import Subject, build_subject
from coordbench.harness.training import train

_STEPS = 2  # the first makes gradients and optimizer state, the second meets them at its own peak


def measure_memory(cell: Cell, seconds: float = 0.0) -> Part:
    """Measure peak memory [bytes] of training steps above the start: models and batch in place, nothing else."""
    subject = build_subject(cell)
    _warm_up(subject)
    peak, counters = on_cuda(subject) if cell.device.startswith("cuda") else on_cpu(subject)
    details = {**counters, "activations": activations(subject), "steps": _STEPS}
    return Part(details, peak_memory_bytes=peak)


def activations(subject: Subject) -> int:
    """Bytes that autograd keeps for the backward pass; parameters, buffers and the batch itself are not among them."""
    present = [t for model in subject.models.values() for t in (*model.parameters(), *model.buffers())]
    present += [leaf for leaf in tree_leaves((subject.batch, subject.inputs)) if isinstance(leaf, Tensor)]
    known = {_storage(tensor) for tensor in present}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in known:
            saved[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    subject.phase("step")
    peak = 0
    for update in subject.updates:
        saved.clear()
        with train.without_gradients(update.frozen), saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = update.phase.loss(subject.models, subject.batch)  # held, so that no address is freed and used again
        peak = max(peak, sum(saved.values()))
        del loss
    return peak


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _run(subject: Subject) -> None:
    step = subject.phase("step" if subject.updates else "forward")
    for _ in range(_STEPS):
        step()


def _warm_up(subject: Subject) -> None:
    """Run the steps once, so that libraries, kernels and workspaces are there, then forget their results."""
    _run(subject)
    subject.start()


def on_cpu(subject: Subject) -> tuple[int, dict[str, object]]:
    """What torch itself holds at most, and beside it the growth of the resident size [bytes].

    The first is the same run after run; the second also holds what libraries and the allocator keep, and varies.
    """
    _give_back()
    start = _reset_peak()
    _run(subject)
    growth = _status("VmHWM") - start
    subject.start()
    with track() as allocated:
        _run(subject)
    return allocated.peak, {"resident": growth, "allocated": allocated.peak}


def on_cuda(subject: Subject) -> tuple[int, dict[str, object]]:
    """Growth of what torch allocates and reserves, and of what NVML sees, contexts and other libraries included."""
    device = subject.cell.device
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    start, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    gpu = open_gpu(device)
    before = gpu.memory()
    _run(subject)
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device) - start
    grown = torch.cuda.max_memory_reserved(device) - reserved
    used = before.value
    seen = before if used is None else gpu.memory().then(lambda after: after - used)
    nvml = {"nvml": seen.value} | ({"reason": seen.reason} if seen.reason else {})
    return peak, {"allocated": peak, "reserved": grown, **nvml}


def _give_back() -> None:
    """Make the C library return freed memory to the system, so that using it again counts as growth."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _reset_peak() -> int:
    """Set the peak resident size of this process to its present one and return that [bytes]."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
