"""What both ends of the pipe to a side know: its answers as types. The standard library alone is used here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True)
class Case:
    """The sizes at which a layer is measured: (batch, channels, size, size) -> the same."""

    batch: int
    channels: int
    size: int
    kernel_size: int


@dataclass(frozen=True)
class Layer:
    """A layer of a tree: enough for another process of this side to build it, and the sources that it was made of."""

    label: str
    name: str
    module: str
    attribute: str
    options: Mapping[str, bool | int | float | str]
    dims: int
    formula: tuple[str, str] | None
    """Module and name of the function that counts its FLOPs."""
    plugin: str | None
    file: str
    sources: Mapping[str, str]
    """File -> hash of its syntax tree."""


@dataclass(frozen=True)
class Ready:
    """What one call takes on a side that is ready for its turns [s]: what is timed of it, and all of it."""

    seconds: float
    whole: float


@dataclass(frozen=True)
class Chosen:
    """What a selector stands for on a side: the label of a layer, or why there is none."""

    label: str = ""
    error: str = ""


@dataclass(frozen=True)
class Described:
    """The layers of a tree by their labels, where its harness was imported from, and what the selectors stand for."""

    harness: str
    layers: Mapping[str, Layer]
    chosen: Mapping[str, Chosen]


@dataclass(frozen=True)
class Facts:
    """What must be equal on both sides to the last digit, where the code is."""

    parameters: int
    buffers: int
    flops: int | None
    allocated_bytes: int
    output_shape: tuple[int | str, ...]
    """The shape, then the dtype."""
    output_hash: str
    gradient_hash: str


@dataclass(frozen=True)
class PlannedTrial:
    """A trial of a preset on a side: what tells it from others, and the hash of all that its scores depend on."""

    task: str
    backbone: str
    variant: str
    conditions: str
    seed: int
    digest: str

    @property
    def cell(self) -> tuple[str, ...]:
        """What the trials share that differ by their seed alone."""
        return self.task, self.backbone, self.variant, self.conditions
