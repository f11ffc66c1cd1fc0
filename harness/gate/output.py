"""The rows of a gate as text for a terminal and as JSON, and what its pages share."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate.rows import CODES, GateRow, Quantity, Report

COLUMNS = ("layer", "quantity", "base", "candidate", "change", "tolerated", "outcome", "note")
WIDTH = 80
_RANK = {outcome: i for i, outcome in enumerate((*CODES, "accepted", "improved", "listed", "pass"))}


def text(report: Report) -> str:
    """Each row that needs a look in two lines of at most 80 columns, the others in one, and the outcome."""
    lines = [line for row in urgent(report.rows) for line in _entry(row)]
    lines += [textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in folded(report.rows)]
    return "\n".join([*lines, *(f"note: {note}" for note in report.notes), headline(report)])


def _entry(row: GateRow) -> list[str]:
    first = f"{row.outcome:<14} {row.layer}: {row.quantity}  {change(row)}".rstrip()
    sides = " -> ".join(filter(None, (quantity(row.base, row.unit), quantity(row.candidate, row.unit))))
    margin = f"up to {tolerated(row)} is tolerated" if tolerated(row) else ""
    second = "; ".join(filter(None, (sides, margin, row.note)))
    lines = (second, *(f"why: {reason}" for reason in row.why))
    wrapped = [textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ") for line in lines]
    return [first, *(piece for pieces in wrapped for piece in pieces)]


def reasons(rows: Sequence[GateRow]) -> dict[str, tuple[str, ...]]:
    """Layer -> why it changed, for every layer that did."""
    return {row.layer: row.why for row in rows if row.why}


def as_json(report: Report) -> str:
    """Everything, the pairs among it."""
    return json.dumps(_finite(report.plain()), indent=1, default=str)


def ordered(rows: Sequence[GateRow]) -> list[GateRow]:
    """The rows, those that fail the gate first."""
    return sorted(rows, key=lambda row: _RANK[row.outcome])


def urgent(rows: Sequence[GateRow]) -> list[GateRow]:
    """The rows that need a look: those that fail the gate, then what was accepted or improved."""
    return [row for row in ordered(rows) if is_urgent(row)]


def is_urgent(row: GateRow) -> bool:
    """Whether a row needs a look."""
    return row.outcome in CODES or row.outcome in ("accepted", "improved")


def folded(rows: Sequence[GateRow]) -> list[str]:
    """All other rows in as few lines as there are things to say: which layers are equal, which passed in what."""
    others = [row for row in rows if not is_urgent(row)]
    equal = [row.layer for row in others if is_equal(row)]
    layers = "layer" if len(equal) == 1 else "layers"
    lines = [f"{len(equal)} {layers} with identical sources: {', '.join(equal)}"] if equal else []
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for row in others:
        if not is_equal(row):
            kinds.setdefault((row.outcome, row.layer, "changed" if row.note == "changed" else ""), []).append(
                f"{row.quantity} ({row.note})" if row.outcome == "listed" else row.quantity
            )
    return lines + [
        f"{outcome} {layer}: {', '.join(quantities)}{f' {note}' if note else ''}"
        for (outcome, layer, note), quantities in kinds.items()
    ]


def is_equal(row: GateRow) -> bool:
    """Whether a row says no more than that a layer's sources are the same."""
    return row.stage == "layer" and row.quantity == "sources"


def save(content: str, file: Path, *, append: bool = False) -> None:
    """Write a file; raise UsageError naming it where that fails."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a" if append else "w", encoding="utf-8") as stream:
            stream.write(content)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from error


def headline(report: Report) -> str:
    """The outcome, and of what."""
    return f"{report.outcome}: {report.candidate} against {report.base}"


def cells(row: GateRow) -> tuple[str, ...]:
    """A row as text, one piece per column."""
    base, candidate = (quantity(value, row.unit) for value in (row.base, row.candidate))
    return row.layer, row.quantity, base, candidate, change(row), tolerated(row), row.outcome, row.note


def quantity(value: Quantity, unit: str) -> str:
    """A value with its unit: seconds as milli- or microseconds, many bytes as MiB."""
    if value is None:
        return ""
    if isinstance(value, float):
        return _seconds(value) if unit == "s" else f"{value:.4g} {unit}".strip()
    if isinstance(value, int) and unit == "bytes" and value >= 2**20:
        return f"{value / 2**20:,.2f} MiB"
    return f"{value:,} {unit}".strip() if isinstance(value, int) else str(value)


def _seconds(value: float) -> str:
    return f"{value * 1e3:.3f} ms" if value >= 1e-4 else f"{value * 1e6:.3f} µs"


def change(row: GateRow) -> str:
    """The change with its bounds: in percent, or in the unit of a score."""
    values = [value for value in (row.change, row.low, row.high) if value is not None and not math.isnan(value)]
    if row.change is None or not values:
        return ""
    if row.stage == "accuracy":
        shown = [f"{value:+.3g}" for value in values]
        shown[0] += f" {row.unit}".rstrip()
    else:
        shown = [f"{100 * value:+.1f} %" for value in values]
    return shown[0] + (f" ({shown[1]} .. {shown[2]})" if len(shown) == 3 else "")


def tolerated(row: GateRow) -> str:
    """The margin: what is tolerated of a change for the worse."""
    if row.margin is None:
        return ""
    return f"{row.margin:g} {row.unit}".strip() if row.stage == "accuracy" else f"{100 * row.margin:g} %"


def _finite(value: object) -> object:
    """Plain values with None for what JSON has no word for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
