"""What a task and a network are made of: plain data, so that planning and reporting never import torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from coordbench.harness.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from coordbench.harness.core.scores import Course, Fate


Models = Mapping[str, Any]
"""Name -> callable: `nn.Module` of a trained trial, any callable of a reference."""

ReferenceKind = Literal["floor", "ceiling", "anchor"]


class LayerFactory(Protocol):
    """Build a layer that stands where `nn.ConvNd` would stand.

    `size` is the spatial size of the input, `(W,)`, `(H, W)` or `(D, H, W)`; its length is the number of dimensions.
    The layer maps `(N, in_channels, *size)` to `(N, out_channels, *ceil(size / stride))`, with `(k - 1) // 2` pixels
    of padding before and `k // 2` after each axis.
    """

    def __call__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True,
    ) -> nn.Module: ...  # fmt: skip


@runtime_checkable
class FusesDoubling(Protocol):
    """A layer that may read a map without the zero that upsampling puts beside each of its pixels.

    `fuse_doubling()` asks for it, before the first call, and says whether it is granted; `(N, C, *size)` then gives
    what `(N, C, *(2 * size))` with the zeros would have given: after each pixel, or before it for an even kernel.
    """

    def fuse_doubling(self) -> bool: ...


class Network(Protocol):
    """Build a backbone, already bound to its layer: `(N, *input_shape) -> (N, *output_shape)`.

    A shape is `(channels, *size)` for a map and `(features,)` for a vector.
    """

    def __call__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> nn.Module: ...


@dataclass(frozen=True)
class Metric:
    """A score: its name, unit (`""` if none), which direction is better, and the loss that a gate tolerates [unit].

    `least` and `most` are the values that are possible at all, None where there is no end: intervals stay within them.
    """

    name: str
    unit: str = ""
    better: Literal["higher", "lower"] = "higher"
    margin: float = 0.02
    least: float | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower"):
            raise UsageError(f"metric {self.name!r}: better={self.better!r} is not valid; valid: higher, lower")


@dataclass(frozen=True)
class Optimizer:
    """An optimizer by its name in `torch.optim`, its options, and the course of its learning rate over a trial."""

    name: str = "Adam"
    learning_rate: float = 1e-3
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: Literal["constant", "one_cycle", "cosine", "step"] = "constant"


@dataclass(frozen=True)
class Phase:
    """One player of the training: which models it trains, by which loss, how many updates each step.

    `loss` is a pure function of (models, batch) and returns a scalar tensor. A supervised task has one phase,
    a GAN two.
    """

    trains: tuple[str, ...]
    loss: Callable[[Models, Any], Tensor]
    optimizer: Optimizer = Optimizer()
    steps: int = 1
    name: str = "loss"


@dataclass(frozen=True)
class Sample:
    """An array to show in the report.

    `group` names the example (one row of a gallery), `role` its part in it: `input` and `truth` are equal for all
    variants and shown once, any other role is the model's own. `kind` says how to draw it: `image` (H, W) or (H, W, 3)
    in 0..1, `heatmap` (H, W) of any range, `line` (n,) or (2, n) as x and y, `points` (n, 2). `step` is that
    of training which it shows, None for what a trial ended with.
    """

    group: str
    role: str
    kind: Literal["image", "heatmap", "line", "points"]
    array: np.ndarray[Any, Any]
    step: int | None = None


@dataclass
class Problem:
    """A task made concrete for one seed: data, models, losses and scores."""

    models: dict[str, nn.Module]
    phases: tuple[Phase, ...]
    batches: Callable[[int], Any]
    """Step -> batch; a pure function of (seed, step), so a trial can be resumed anywhere."""
    evaluate: Callable[[Models, str], dict[str, float]]
    """(models, split) -> scores; `split` is one of the task's splits; a name may be an `At`, with its condition."""
    samples: Callable[[Models], Sequence[Sample]] = lambda models: ()
    snapshots: Callable[[Models], Sequence[Sample]] = lambda models: ()
    """Samples to keep at each look during training; the runner notes the step."""
    fate: Callable[[Course], Fate | None] = lambda course: None
    """What became of a GAN over the whole course of a trial, diverged or not, read from its curves."""
    epoch_steps: float | None = None
    """Training steps of an epoch; None where training data never repeat."""
    inputs: Callable[[], Mapping[str, tuple[Any, ...]]] | None = None
    """Model name -> example inputs of a training batch, for measuring its costs; default: the batch's first item."""
    data: Any = None
    """What the task's references need to know (training labels, the blur operator, ...)."""
