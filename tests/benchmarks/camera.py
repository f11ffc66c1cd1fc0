"""Speed of the deblurring data and error of the low-rank blur: `python -m tests.benchmarks.camera`.

Times are CPU times of one thread, medians; batches and training steps take turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from coordbench.harness.core.cell import Cell
from coordbench.harness.training import train
from coordbench.tasks._data.optics.blur import Blur, LowRankBlur, operator_error
from coordbench.tasks._data.optics.psf import Optic

JOBS = (
    ("photo_deblurring", "unet[depth=2, norm=group, residual=true, width=8]", "conv"),
    ("photo_deblurring", "unet[depth=3, norm=group, residual=true, width=8]", "conv"),
    ("photo_deblurring", "unet[depth=2, norm=group, residual=true, where=gates, width=8]", "coordgate"),
    ("photo_deblurring[canvas=128]", "unet[depth=3, norm=group, residual=true]", "conv"),
    ("field_deblurring", "unet[depth=2, norm=group, residual=true, width=8]", "conv"),
    ("varying_blur_1d", "cnn[depth=4, kernel_size=9]", "conv"),
)


def milliseconds(*functions: Callable[[], object], turns: int = 15) -> list[float]:
    """Return the median CPU time of each function [ms], called in turns."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(turns + 2):
        for function, kept in zip(functions, times, strict=True):
            start = time.process_time()
            function()
            if turn > 1:
                kept.append(time.process_time() - start)
    return [1e3 * statistics.median(kept) for kept in times]


def operators() -> None:
    """Print the speed of both forms of the blur at 256 x 256, and the error of the low-rank form."""
    optic = Optic("radial", 256)
    exact, low = Blur(optic), LowRankBlur(optic, rank=8)
    scenes, images = torch.rand(8, 1, optic.side, optic.side), torch.rand(8, 1, 256, 256)
    for name, blur in (("exact", exact), ("rank 8", low)):
        forth, back = milliseconds(lambda b=blur: b.forward(scenes), lambda b=blur: b.adjoint(images), turns=7)
        print(f"256 x 256, batch 8, {name}: {forth / 8:.1f} ms per image, adjoint {back / 8:.1f} ms")
    for family in ("radial", "asymmetric", "zernike", "relay", "invariant"):
        optic = Optic(family, 64)
        exact = Blur(optic)
        errors = [f"rank {rank}: {operator_error(exact, LowRankBlur(optic, rank)):.3f}" for rank in (4, 8, 16)]
        print(f"operator error, 64 x 64, {family}: {', '.join(errors)}")


def shares() -> None:
    """Print what share of a training step its data take."""
    for task, backbone, variant in JOBS:
        problem = train.build(Cell.of(task, backbone, variant))
        optimizer = torch.optim.Adam(problem.models["restorer"].parameters())
        batch = problem.batches(0)

        def step(problem=problem, optimizer=optimizer, batch=batch) -> None:
            optimizer.zero_grad()
            problem.phases[0].loss(problem.models, batch).backward()
            optimizer.step()

        data, training = milliseconds(lambda problem=problem: problem.batches(1), step)
        share = data / (data + training)
        print(f"{task} {backbone} {variant}: data {data:.1f} ms, training {training:.1f} ms, share {share:.0%}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    operators()
    shares()
