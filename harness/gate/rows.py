"""What a gate says: one row per layer and quantity, and the exit code of all rows together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from coordbench.harness.core.exit_codes import ExitCode

Outcome = Literal[
    "pass", "improved", "accepted", "regressed", "inconclusive", "not measured", "not comparable", "listed"
]
"""`accepted` regressed, and may (see `accepted`); `listed` is none: a layer that only one side has."""

CODES: dict[Outcome, ExitCode] = {
    "not comparable": ExitCode.NOT_COMPARABLE,
    "regressed": ExitCode.REGRESSED,
    "not measured": ExitCode.NOTHING_MEASURED,
    "inconclusive": ExitCode.INCONCLUSIVE,
}
"""Outcomes that fail a gate; the first that occurs decides its exit code."""

Stage = Literal["costs", "speed", "accuracy"]
STAGES: tuple[Stage, ...] = ("costs", "speed", "accuracy")

Quantity = None | int | float | str


@dataclass(frozen=True)
class GateRow:
    """One quantity of one layer on both sides; `change` is relative for costs and speed, absolute for scores.

    `low` and `high` bound the change; `margin` is what is tolerated of it, in the same unit. `pairs` are the changes of
    the single pairs, of processes or of seeds.
    """

    layer: str
    stage: Literal["layer", "costs", "speed", "accuracy"]
    quantity: str
    outcome: Outcome
    base: Quantity = None
    candidate: Quantity = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    unit: str = ""
    note: str = ""
    pairs: tuple[float, ...] = ()
    why: tuple[str, ...] = ()
    """What the layer's step does otherwise on the candidate side: operators, bytes, lines of source."""

    @property
    def name(self) -> str:
        """What a row is called on the command line and in files: the layer and its quantity."""
        return f"{self.layer}: {self.quantity}"


@dataclass(frozen=True)
class OperatorUse:
    """How often a training step runs an operator in one direction, and what its outputs hold [bytes], on each side."""

    direction: str
    operator: str
    base: int
    candidate: int
    base_bytes: int
    candidate_bytes: int
    place: str = ""

    @property
    def differs(self) -> bool:
        """Whether the sides do not use it alike."""
        return (self.base, self.base_bytes) != (self.candidate, self.candidate_bytes)


@dataclass
class Report:
    """All rows of a gate, and what was compared with what."""

    base: str
    candidate: str
    rows: list[GateRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    commit: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    machine: Mapping[str, object] = field(default_factory=dict)
    steps: dict[str, tuple[OperatorUse, ...]] = field(default_factory=dict)
    """Layer whose sources differ -> what its training step does on both sides."""

    @property
    def outcome(self) -> Outcome:
        """The outcome over all rows; nothing compared is not measured."""
        return worst([row.outcome for row in self.rows if row.outcome != "listed"])

    @property
    def code(self) -> ExitCode:
        """The exit code."""
        return CODES.get(self.outcome, ExitCode.OK)

    def plain(self) -> dict[str, object]:
        """Everything as plain values."""
        return {"outcome": self.outcome, "exit_code": int(self.code), **asdict(self)}


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome that decides over several; of none at all: not measured."""
    if not outcomes:
        return "not measured"
    return next((outcome for outcome in CODES if outcome in outcomes), "pass")
