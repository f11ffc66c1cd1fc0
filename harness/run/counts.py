"""Count the parameters and FLOPs of cells whose costs nobody measures: once for each, with one of its trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.trial import CostJob, Job, Trial

NOTE = "counts"
"""Under which name a record notes them."""


@dataclass(frozen=True)
class Counts:
    """How many parameters the models of a cell train, and the FLOPs of a forward pass of one batch."""

    parameters: int
    flops: int

    @property
    def plain(self) -> dict[str, int]:
        """The counts as plain values, as a record notes them."""
        return asdict(self)


def chosen(jobs: Iterable[Job], costs: Iterable[CostJob]) -> frozenset[Trial]:
    """The first trial of each cell that none of these costs is of."""
    known = {job.cell for job in costs}
    first: dict[Cell, Trial] = {}
    for job in jobs:
        if isinstance(job, Trial) and job.purpose == "test" and job.cell.variant is not None:
            first.setdefault(CostJob(job.cell).cell, job)
    return frozenset(trial for cell, trial in first.items() if cell not in known)


def count(cell: Cell) -> Counts:
    """Count; to be called in a process of its own, since counting FLOPs keeps torch.compile from compiling."""
    from coordbench.harness.measure.quantities import flops, parameters
    from coordbench.harness.measure.subject import build_subject

    subject = build_subject(cell)
    subject.phase("forward")
    each = [flops.count(model, subject.inputs[name]).forward for name, model in subject.models.items()]
    return Counts(int(parameters.count(subject.models.values())["trainable"]), sum(each))


def of_notes(notes: Mapping[str, Mapping[str, int]] | None) -> Counts | None:
    """The counts among what a record notes; None where nobody counted."""
    plain = (notes or {}).get(NOTE)
    return Counts(**plain) if plain else None
