"""What a claim is: a sentence of a paper as an inequality over the tables, or over networks that are only counted.

A claim compares a left side, and a right side where it has one:

    level        the left side's metric                  reduction    1 - left / right
    difference   left - right                            ratio        left / right, of scores or of costs
    spread       spread of right over spread of left     survival     how long the left lives against the right
    speedup      steps of right over steps of left, until a validation score reaches `threshold`
    residual     what the left layer's response to place cannot reproduce of the right one's
    decibels     10 log10(left / right) of two errors, for errors that may both be far below their floor
    solves       left - right, of the share of seeds whose primary score passes `threshold`: for all or nothing by seed

and says by `relation` and `value` what that must be. Its kind says what it may decide:

    exact        counted without any training, at the published size where it is known
    direction    who leads; the only kind that a run's seeds decide, and what is counted as the papers' claims
    figure       a published number, shown beside what was measured: it cannot fail, since sizes and data differ
    control      ours, not the paper's: in no count
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from coordbench.harness.core.cell import Cell
from coordbench.harness.statistics.paired import LEVEL
from coordbench.harness.statistics.spending import Design

Kind = Literal["exact", "direction", "figure", "control"]
Rank = Literal["primary", "secondary"]
Provenance = Literal["seed", "paper", "blog", "code"]
"""Where a published figure was read. `seed`: a summary of the paper, which itself was not read."""
Measure = Literal[
    "level", "difference", "reduction", "ratio", "decibels", "spread", "survival", "starts", "solves", "speedup",
    "residual",
]  # fmt: skip
DECIBELS = 0.2
"""The margin of errors in decibels [dB]: that of the PSNR in all tasks of deblurring, a ratio of 1.047."""
Relation = Literal[">", "<", "="]
Verdict = Literal["holds", "fails", "measured", "open", "not run"]


@dataclass(frozen=True)
class Side:
    """One arm: a variant and its backbone; `options` and `task` stand where they differ from the claim's.

    An exact side has shapes: a network from `input` (C, *size) to `output`, or, without a backbone, a layer of so many
    channels with its `kernel_size`. An option that is empty, as in `pixelwise[where=]`, stands for the default.
    """

    variant: str
    backbone: str = ""
    task: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    input: tuple[int, ...] = ()
    output: tuple[int, ...] = ()
    kernel_size: int = 3


@dataclass(frozen=True)
class Claim:
    """One sentence that could be wrong.

    `published` is what the paper reports, `provenance` where that was read; `setting` is the paper's, `differs` what is
    different here. `after` names the primary claim that must be decided before a secondary one is looked at. `requires`
    gives the least mean of metrics that both sides must reach before their difference means anything, `beyond` a
    reference of the task that the better side must pass. Where a claim is put in another way after it was asked, only
    seeds from `first_seed` on are judged, and `earlier_ways` counts what was asked before and is judged no longer.
    `needs` is what a preset that holds its arms lacks to test it.
    """

    id: str
    sentence: str
    left: Side
    relation: Relation
    value: float
    kind: Kind = "direction"
    rank: Rank = "primary"
    after: str = ""
    family: str = ""
    source: str = ""
    task: str = ""
    right: Side | None = None
    measure: Measure = "difference"
    metric: str = ""
    threshold: float = 0.0
    options: Mapping[str, str] = field(default_factory=dict)
    requires: Mapping[str, float] = field(default_factory=dict)
    beyond: str = ""
    first_seed: int = 0
    earlier_ways: int = 0
    needs: str = ""
    published: str = "no figure"
    provenance: Provenance | None = None
    setting: str = "not stated"
    differs: str = ""

    @property
    def sides(self) -> tuple[Side, ...]:
        """The left side, and the right one where there is one."""
        return (self.left,) if self.right is None else (self.left, self.right)


@dataclass(frozen=True)
class Finding:
    """What a run says to a claim.

    `p` is two-sided against `value`, None where the quantity is exact, only shown, or missing. `p_tied` is that against
    a difference beyond the `margin`, of claims that one side leads the other; `deviation` is over seeds.
    """

    claim: Claim
    verdict: Verdict
    measured: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    seeds: int = 0
    here: str = ""
    reason: str = ""
    p: float | None = None
    p_tied: float = 1.0
    margin: float = 0.0
    deviation: float = float("nan")
    error: float = float("nan")
    """The standard error of what was measured, over seeds and over what the test draws, photographs or lenses."""
    degrees: float = float("nan")
    """The degrees of freedom of that error."""
    limit: str = ""
    """What of the test, photographs or lenses, leaves more doubt than the seeds; "" where seeds do."""
    lone: bool = False
    """Whether a single seed makes most of the spread over seeds."""
    ways: int = 1
    """In how many ways it was tested, over all runs: its p counts as many times."""
    level: float = LEVEL
    """The level at which its p decides: what its family leaves to it."""
    arms: tuple[Cell, ...] = ()
    """The cells that it compares."""
    looks: Looks | None = None
    """Its looks, where there are several."""
    stuck: bool = False
    """Whether what it lacks is no seeds: a side has not converged, or the verdict went from one to another."""

    @property
    def unit(self) -> str:
        """What stands behind the measured number where that is no plain number of the claim's metric."""
        return " dB" if self.claim.measure == "decibels" else ""

    @property
    def decided(self) -> bool:
        """Whether seeds decided it."""
        return self.verdict in ("holds", "fails")


@dataclass(frozen=True)
class Looks:
    """Several looks at a claim: at how many seeds each, how many were taken, what was found at each."""

    design: Design
    taken: int
    path: tuple[Finding, ...] = ()
    final: bool = False

    @property
    def next(self) -> str:
        """Which look is next, in words; "" where there is none."""
        if self.final or self.taken >= len(self.design.looks):
            return ""
        return f"look {self.taken + 1} of {len(self.design.looks)} is next, at {self.design.looks[self.taken]} seeds"


def inequality(claim: Claim) -> str:
    """The claim as it is tested."""
    left, right = _named(claim.left, claim.right), _named(claim.right, claim.left) if claim.right else ""
    score = claim.metric or "score"
    form = {
        "level": f"{score}({left})",
        "difference": f"{score}({left}) - {score}({right})",
        "reduction": f"1 - {score}({left}) / {score}({right})",
        "ratio": f"{score}({left}) / {score}({right})",
        "spread": f"spread of {score}({right}) / spread of {score}({left})",
        "survival": f"time to collapse: {left} against {right}",
        "starts": f"share of seeds that start: {left} - {right}",
        "speedup": f"steps of {right} / steps of {left} until {score} reaches {claim.threshold:g}",
        "decibels": f"10 log10({score}({left}) / {score}({right}))",
        "solves": f"share of seeds that solve it, by a {score} of {claim.threshold:g}: {left} - {right}",
        "residual": f"residual of {left} (kernel {claim.left.kernel_size}) against {right}",
    }[claim.measure]
    return f"{form} {claim.relation} {claim.value:g}"


def _named(side: Side, other: Side | None) -> str:
    """The variant of a side; with its options, or its backbone, where both sides have the same one."""
    if other is None or side.variant != other.variant:
        return side.variant
    options = ", ".join(f"{name}={value or 'default'}" for name, value in side.options.items())
    return f"{side.variant} ({options or side.backbone or side.task})"


def agrees(spelled: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether the options of a canonical selector agree with wanted ones; "" stands for a default, not spelled out."""
    return all(spelled.get(name, "") == str(value) for name, value in wanted.items())


def meets(claim: Claim, measured: float) -> bool:
    """Whether a value is on the claimed side of the claim's own."""
    if claim.relation == "=":
        return abs(measured - claim.value) <= 1e-9 * max(1.0, abs(claim.value))
    return measured > claim.value if claim.relation == ">" else measured < claim.value
