"""What is compared exactly, on a fixed input with fixed seeds: parameters, FLOPs, allocated bytes, output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordbench.harness.gate.both import Both
from coordbench.harness.gate.rows import GateRow, Outcome
from coordbench.harness.gate.settings import Settings
from coordbench.harness.gate.side.messages import Facts, Layer
from coordbench.harness.gate.sides import LayerError, Side, SideError
from coordbench.harness.profiling.recorded.fingerprint import Fingerprint

COUNTS = {"parameters": "", "flops": "FLOPs", "allocated_bytes": "bytes"}
"""Quantities that should not grow, with their units; 2 FLOPs per multiply-add."""

HASHES = {"output_hash": "output", "gradient_hash": "gradients", "buffers": "buffers"}
"""Quantities whose change is shown, and no more."""


@dataclass(frozen=True)
class Counted:
    """The facts of a layer on one side, or the reason why it has none; and what its step does, where that was asked."""

    facts: Facts | str
    step: Fingerprint | None = None


def count(both: Both, layers: tuple[Layer, Layer], settings: Settings, *, step: bool) -> tuple[Counted, Counted]:
    """Count a layer on both sides; a process that dies is given a second chance."""

    def facts(side: Side) -> Facts:
        return side.facts(_of(side, layers), settings.case)

    def fingerprint(side: Side) -> Fingerprint:
        return side.step(_of(side, layers), settings.case)

    answers = both.ask(facts)
    if any(map(_died, answers)):
        again = both.ask(facts)
        answers = [second if _died(first) else first for first, second in zip(answers, again, strict=True)]
    steps = both.ask(fingerprint) if step else (None, None)
    base, candidate = (_counted(*each) for each in zip(answers, steps, strict=True))
    return base, candidate


def _of(side: Side, layers: tuple[Layer, Layer]) -> Layer:
    return layers[side.tree.name != "base"]


def _died(answer: object) -> bool:
    return isinstance(answer, SideError) and not isinstance(answer, LayerError)


def _counted(facts: Facts | SideError, step: Fingerprint | SideError | None) -> Counted:
    if isinstance(facts, SideError):
        return Counted(f"{facts.reason}, twice" if _died(facts) else facts.reason)
    return Counted(facts, None if isinstance(step, SideError) else step)


def compare(label: str, base: Facts | str, candidate: Facts | str, settings: Settings) -> list[GateRow]:
    """Rows of one layer; a layer that works on the base side only has regressed."""
    if isinstance(base, str):
        return [GateRow(label, "costs", "layer", "not measured", note=f"the base side {base}")]
    if isinstance(candidate, str):
        note = f"the candidate side {candidate}"
        return [GateRow(label, "costs", "layer", "regressed", "works", "fails", note=note)]
    if base.output_shape != candidate.output_shape:
        before, after = ("x".join(map(str, side.output_shape)) for side in (base, candidate))
        return [GateRow(label, "costs", "output shape", "not comparable", before, after)]
    counts = [_count(label, name, getattr(base, name), getattr(candidate, name), settings) for name in COUNTS]
    hashes = [(title, getattr(base, name), getattr(candidate, name)) for name, title in HASHES.items()]
    changed = [(title, before, after) for title, before, after in hashes if before != after]
    return counts + [GateRow(label, "costs", *row[:1], "pass", *row[1:], note="changed") for row in changed]


def _count(label: str, name: str, base: int | None, candidate: int | None, settings: Settings) -> GateRow:
    unit = COUNTS[name]
    if base is None or candidate is None:
        missing = " and ".join(side for side, value in (("base", base), ("candidate", candidate)) if value is None)
        return GateRow(label, "costs", name, "listed", base, candidate, unit=unit, note=f"no formula on {missing}")
    change = (candidate - base) / base if base else float(candidate > base)
    margin = settings.growth(name)
    outcome: Outcome = "regressed" if change > margin else "improved" if change < 0 else "pass"
    return GateRow(label, "costs", name, outcome, base, candidate, change, margin=margin, unit=unit)


def broken(rows: Sequence[GateRow]) -> bool:
    """Whether a layer cannot be timed and trained on both sides."""
    return any(row.quantity in ("layer", "output shape") for row in rows)
