"""The nouns of the harness: what a task, a trial and a record are made of.

Everything here is plain data, so that planning, storing and reporting never import torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

Models = Mapping[str, Any]
"""Name -> callable: `nn.Module` of a trained trial, any callable of a reference."""

Status = Literal["ok", "diverged", "out_of_memory", "timeout", "crashed", "error", "skipped"]
FAILED: tuple[Status, ...] = ("diverged", "out_of_memory", "timeout", "crashed", "error")
ReferenceKind = Literal["floor", "ceiling", "anchor"]
Value = bool | int | float | str


class UsageError(ValueError):
    """A user's mistake: one line that names the bad value and the valid ones; exit code 2."""


def told(error: BaseException) -> str:
    """An error in one line: its type and what it says."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def seed_of(*key: object) -> int:
    """A seed for a random generator, made of any printable values: equal keys, equal seeds, on every machine."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:6], "big")


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


class Network(Protocol):
    """Build a backbone, already bound to its layer: `(N, *input_shape) -> (N, *output_shape)`.

    A shape is `(channels, *size)` for a map and `(features,)` for a vector.
    """

    def __call__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> nn.Module: ...


@dataclass(frozen=True)
class Metric:
    """A score: its name, unit (`""` if none), which direction is better, and the loss that a gate tolerates [unit]."""

    name: str
    unit: str = ""
    better: Literal["higher", "lower"] = "higher"
    margin: float = 0.02

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
    in 0..1, `heatmap` (H, W) of any range, `line` (n,) or (2, n) as x and y, `points` (n, 2).
    """

    group: str
    role: str
    kind: Literal["image", "heatmap", "line", "points"]
    array: np.ndarray[Any, Any]


@dataclass
class Problem:
    """A task made concrete for one seed: data, models, losses and scores."""

    models: dict[str, nn.Module]
    phases: tuple[Phase, ...]
    batches: Callable[[int], Any]
    """Step -> batch; a pure function of (seed, step), so a trial can be resumed anywhere."""
    evaluate: Callable[[Models, str], dict[str, float]]
    """(models, split) -> scores; `split` is one of the task's splits."""
    samples: Callable[[Models], Sequence[Sample]] = lambda models: ()
    snapshots: Callable[[Models], Sequence[Sample]] = lambda models: ()
    """Samples to keep at each look during training; the runner adds the step to their role."""
    conclude: Callable[[Record], Mapping[str, float]] = lambda record: {}
    """Scores of the whole course of a trial, diverged or not, from its curves; they join those of the last split."""
    inputs: Callable[[], Mapping[str, tuple[Any, ...]]] | None = None
    """Model name -> example inputs of a training batch, for measuring its costs; default: the batch's first item."""
    data: Any = None
    """What the task's references need to know (training labels, the blur operator, ...)."""


@dataclass(frozen=True)
class Budget:
    """How long and how a trial is trained."""

    steps: int
    learning_rate: float | None = None
    schedule: str | None = None
    evaluations: int = 10


@dataclass(frozen=True)
class Trial:
    """The unit of work, of storage and of failure. Names are canonical selectors such as `conv[padding=circular]`."""

    task: str
    seed: int
    backbone: str | None = None
    variant: str | None = None
    reference: str | None = None
    budget: Budget = Budget(steps=0)
    device: str = "cpu"
    dtype: str = "float32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    purpose: Literal["test", "tune"] = "test"
    match: Literal["parameters", "flops"] | None = None
    width: float | None = None
    """Replaces the backbone's option `width`, so that the trial meets the baseline's budget named by `match`."""

    @property
    def label(self) -> str:
        """The selector of the variant, or of the reference where there is no variant."""
        return self.variant or self.reference or ""


@dataclass(frozen=True)
class CostJob:
    """What is measured once for all seeds of a (task, backbone, variant) on one device."""

    task: str
    backbone: str
    variant: str
    device: str = "cpu"
    dtype: str = "float32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    match: Literal["parameters", "flops"] | None = None
    width: float | None = None


@dataclass(frozen=True)
class CurvePoint:
    """One point of a learning curve: after `step` steps and `seconds` of training."""

    step: int
    seconds: float
    metric: str
    value: float


@dataclass
class Record:
    """What a trial left behind; a failed trial is a record too."""

    status: Status
    error: str = ""
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    """split -> metric -> value."""
    curves: list[CurvePoint] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    converged: bool | None = None
    seconds: float = 0.0
    steps: int = 0
    peak_memory_bytes: int | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass
class CostRecord:
    """The costs of one (task, backbone, variant, device); a quantity that could not be had is None with a reason."""

    status: Status
    error: str = ""
    parameters: int | None = None
    flops: int | None = None
    latency_forward_seconds: float | None = None
    latency_step_seconds: float | None = None
    peak_memory_bytes: int | None = None
    latencies: dict[str, list[float]] = field(default_factory=dict)
    """phase of the measurement (`forward`, `step`, ...) -> raw samples [s]."""
    details: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
