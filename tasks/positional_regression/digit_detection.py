"""Digit detection: find the boxes of several handwritten digits.

A sample: a canvas of 64 x 64 px with five digits of 15 to 25 px, and their boxes as x0, y0, x1, y1.
Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018, arXiv 1807.03247:
there the digits are MNIST's; here they are those of 8x8 px that ship inside scikit-learn, stretched. By default digits
hardly touch and the stream of training canvases does not end; the paper has 9,000 canvases (`images=9000`) on which
digits are put anywhere (`overlap=true`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.description import About
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.options import Count, Range
from coordbench.harness.core.problem import Metric, Models, Network, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.registry import reference, task
from coordbench.tasks._data import boxes
from coordbench.tasks._data.draws import epoch_length, epochs
from coordbench.tasks._data.scattered_digits import Scattered, numbered, scatter
from coordbench.tasks._predict import predict
from coordbench.tasks.positional_regression._proposals import ANCHORS, SIDES, STRIDE, answer, assign, split

NAME = "digit_detection"
EXAMPLES = {"validation": 64, "test": 256}


@dataclass(frozen=True)
class Canvases:
    """What references must know of the canvases."""

    canvas: int
    digits: int
    anchors: Tensor

    @property
    def cells(self) -> int:
        """Cells of the detector's map on each axis."""
        return self.canvas // STRIDE


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return About(
        f"Given {options['canvas']} x {options['canvas']} pixels with {options['digits']} handwritten digits, a "
        "network proposes the box of each; no digit of the test has been seen in training.",
        "Orange frames: the true boxes beside those that the network proposes first.",
    )


@task(
    NAME,
    suite="positional_regression",
    metrics=(
        Metric("iou", least=0, most=1),
        Metric("detected", "", "higher", 0.03, least=0, most=1),
        Metric("iou@proposed", least=0, most=1),
    ),
    backbones=("rpn",),
    source="Liu et al. 2018, arXiv 1807.03247",
    about=about,
)
def digit_detection(
    network: Network, seed: int, *, canvas: Annotated[int, Range(50, 512)] = 64, digits: Count = 5, batch: Count = 16,
    images: Annotated[int, Range(16, 50000)] | None = None, overlap: bool = False,
) -> Problem:  # fmt: skip
    """Propose boxes at anchors, by smooth L1 of the boxes and cross entropy of digit against nothing.

    Scores: the mean IoU of each digit with the best of as many boxes as there are digits, the highest scored that do
    not overlap each other; the share of digits `detected` with an IoU of one half; and `iou@proposed`, the mean IoU of
    each of those boxes with its best digit. The paper gives a mean IoU; which of the two it is, is not known to us.

    With `images` there are so many canvases, seen again every epoch; else each step draws its own.
    """
    if canvas % STRIDE or canvas < 2 * SIDES[-1] or digits < 1 or digits * SIDES[-1] ** 2 > canvas**2:
        raise UsageError(f"{digits} digits do not fit a canvas={canvas}; valid: 5 on 64, or another multiple of 4")
    base = boxes.anchors(canvas // STRIDE, STRIDE, SIDES)

    def loss(models: Models, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        images, classes, targets = batch
        deltas, logits = split(models["model"](images))
        objects = (classes == 1).unsqueeze(2)
        wrong = functional.smooth_l1_loss(deltas, targets.to(deltas.dtype), reduction="none") * objects
        unsure = functional.cross_entropy(logits.flatten(0, 1), classes.flatten(), ignore_index=-1)
        return unsure + wrong.sum() / objects.sum().clamp_min(1)

    order = None if images is None else epochs(images, batch, NAME, seed, "order")

    def canvases(step: int) -> Scattered:
        if order is None:
            return scatter("train", batch, canvas, digits, NAME, seed, "train", step, overlap=overlap)
        return numbered(order(step), "train", canvas, digits, NAME, seed, "canvas", overlap=overlap)

    def batches(step: int) -> tuple[Tensor, Tensor, Tensor]:
        drawn = canvases(step)
        return drawn.images, *assign(drawn.boxes, base, NAME, seed, "anchors", step)

    @functools.cache
    def examples(part: str) -> Scattered:
        return scatter(part, EXAMPLES[part], canvas, digits, NAME, seed, part, overlap=overlap)

    def detect(models: Models, images: Tensor) -> Tensor:
        deltas, logits = split(predict(models["model"], images, 64))
        return boxes.suppress(boxes.decode(deltas, base), logits[..., 1] - logits[..., 0], digits)

    def evaluate(models: Models, part: str) -> dict[str, float]:
        drawn = examples(part)
        shared = boxes.overlaps(drawn.boxes, detect(models, drawn.images))
        best = shared.amax(2)
        return {
            "iou": best.mean().item(),
            "detected": (best >= 0.5).float().mean().item(),
            "iou@proposed": shared.amax(1).mean().item(),
        }

    def samples(models: Models) -> Sequence[Sample]:
        images, truth = examples("test").images[:3], examples("test").boxes[:3]
        proposed = detect(models, images)
        return [sample for i in range(3) for sample in _samples(f"canvas {i + 1}", images[i, 0], truth[i], proposed[i])]

    models = {"model": network((1, canvas, canvas), (6 * ANCHORS, canvas // STRIDE, canvas // STRIDE))}
    phases = (Phase(("model",), loss, Optimizer("Adam", 1e-3, {}, "one_cycle")),)
    epoch_steps = None if images is None else epoch_length(images, batch)
    return Problem(
        models, phases, batches, evaluate, samples, data=Canvases(canvas, digits, base), epoch_steps=epoch_steps
    )


def _samples(group: str, image: Tensor, truth: Tensor, proposed: Tensor) -> list[Sample]:
    """The canvas, alone and with the frames of the true and of the proposed boxes."""
    framed = [
        Sample(group, "truth", "image", _framed(image, truth)),
        Sample(group, "prediction", "image", _framed(image, proposed)),
    ]
    return [Sample(group, "input", "image", image.numpy()), *framed]


def _framed(image: Tensor, frames: Tensor) -> NDArray[np.float32]:
    """Paint the edges of boxes in orange: (H, W), (n, 4) -> (H, W, 3)."""
    painted = image[..., None].repeat(1, 1, 3)
    for box in frames.round().int():
        x0, y0, x1, y1 = box.clamp(0, len(image)).tolist()
        inside = torch.zeros_like(image, dtype=torch.bool)
        inside[y0:y1, x0:x1] = True
        inside[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] = False
        painted[inside] = torch.tensor([1.0, 0.5, 0.0])
    return painted.numpy()


@reference(task=NAME, kind="floor", name="scattered_boxes")
def scattered_boxes(problem: Problem) -> Models:
    """Answer with the same boxes of 20 x 20 px on every canvas, far from each other."""
    data: Canvases = problem.data
    across = math.ceil(data.digits**0.5)
    cells = torch.linspace(0, across**2 - 1, data.digits).round().long()
    centers = (torch.stack([cells % across, cells // across], 1) + 0.5) * data.canvas / across
    wanted = torch.cat([centers - 10, centers + 10], 1)
    return {"model": lambda images: answer([wanted] * len(images), data.anchors, data.cells)}


@reference(task=NAME, kind="anchor", name="connected_ink")
def connected_ink(problem: Problem) -> Models:
    """Answer with the boxes of connected ink, the largest first."""
    data: Canvases = problem.data

    def inked(image: Tensor) -> Tensor:
        ink, count = ndimage.label(image[0].numpy() > 0, np.ones((3, 3)))
        sizes = np.bincount(ink.flat, minlength=count + 1)[1:]
        rows_columns = [ndimage.find_objects(ink)[i] for i in np.argsort(-sizes)[: data.digits]]
        return torch.tensor([[x.start, y.start, x.stop, y.stop] for y, x in rows_columns], dtype=torch.float32)

    return {"model": lambda images: answer([inked(image) for image in images], data.anchors, data.cells)}
