"""What a run noted about itself: its preset, its tasks and their metrics, its variants, and how it was started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from coordbench.harness.analysis.runs import looks
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.description import About, Axes
from coordbench.harness.plan.looks import CellLooks

Better = Literal["higher", "lower"]
ReferenceKind = Literal["floor", "ceiling", "anchor"]


@dataclass(frozen=True)
class MetricFacts:
    """A score: its unit, which direction is better, the loss that counts as a tie, and the values that are possible."""

    name: str
    unit: str = ""
    better: Better = "higher"
    margin: float = 0.0
    least: float | None = None
    most: float | None = None

    @property
    def sign(self) -> float:
        """What turns a score into a merit, of which more is better."""
        return 1.0 if self.better == "higher" else -1.0

    @property
    def label(self) -> str:
        """The name with its unit."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


@dataclass(frozen=True)
class TaskFacts:
    """A task with its options: the suite that it belongs to, its metrics, the primary one first, and its references."""

    suite: str
    metrics: tuple[MetricFacts, ...]
    source: str = ""
    summary: str = ""
    references: Mapping[str, ReferenceKind] = field(default_factory=dict)
    about: About | None = None
    axes: Mapping[str, Axes] = field(default_factory=dict)

    @property
    def metric(self) -> MetricFacts:
        """The metric that verdicts are about."""
        return self.metrics[0]


@dataclass(frozen=True)
class VariantFacts:
    """Where a layer comes from."""

    summary: str = ""
    source: str = ""
    file: str = ""
    formula: str = ""


@dataclass(frozen=True)
class SourceFile:
    """A file that made a run: the preset, or a plug-in."""

    name: str
    digest: str
    text: str


@dataclass(frozen=True)
class RunFacts:
    """Everything that a run noted when it was started."""

    run: str
    preset: str
    command: str
    started: str
    finished: str
    commit: str
    baseline: str
    order: tuple[str, ...]
    looks: Mapping[Cell, CellLooks]
    families: tuple[str, ...]
    rates: tuple[float, ...]
    tasks: Mapping[str, TaskFacts]
    variants: Mapping[str, VariantFacts]
    files: tuple[SourceFile, ...]
    plain: Mapping[str, Any]
    """The same as the store hands it out, with what only one section reads."""

    @property
    def planned(self) -> bool:
        """Whether its preset planned looks."""
        return any(one.planned for one in self.looks.values())

    @property
    def several(self) -> bool:
        """Whether anything is looked at more than once, planned or not."""
        return any(len(one.looks) > 1 for one in self.looks.values())

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> RunFacts:
        """The facts as the store hands them out."""
        preset = plain.get("preset") or {}
        texts = {name: str(plain.get(name) or "") for name in ("run", "command", "started", "finished", "commit")}
        return cls(
            **texts,
            preset=str(preset.get("name", "")),
            baseline=str(preset.get("baseline") or ""),
            order=tuple(dict.fromkeys(v for sweep in preset.get("sweeps", []) for v in sweep.get("variants", []))),
            looks=looks(plain),
            families=tuple(preset.get("families") or ()),
            rates=tuple(
                float(rate) for sweep in preset.get("sweeps", []) for rate in sweep.get("learning_rates") or ()
            ),
            tasks={str(name): _task(task) for name, task in plain.get("tasks", {}).items()},
            variants={str(name): _variant(variant) for name, variant in plain.get("variants", {}).items()},
            files=tuple(SourceFile(**file) for file in plain.get("files", ())),
            plain=plain,
        )


def _task(plain: Mapping[str, Any]) -> TaskFacts:
    known = MetricFacts.__dataclass_fields__
    metrics = [MetricFacts(**{name: m[name] for name in known if name in m}) for m in plain["metrics"]]
    texts = {name: str(plain.get(name) or "") for name in ("suite", "source", "summary")}
    about = None if plain.get("about") is None else About(**plain["about"])
    axes = {str(name): Axes(**axis) for name, axis in plain.get("axes", {}).items()}
    return TaskFacts(**texts, metrics=tuple(metrics), references=plain.get("references", {}), about=about, axes=axes)


def _variant(plain: Mapping[str, Any]) -> VariantFacts:
    return VariantFacts(**{name: str(plain.get(name) or "") for name in VariantFacts.__dataclass_fields__})
