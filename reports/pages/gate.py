"""The page of a gate: its outcome, every row, and the pairs that it was decided by, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coordbench.harness.gate import output
from coordbench.harness.gate.rows import GateRow, Report
from coordbench.reports.pages import rendering

WIDTH, HEIGHT = 560, 26
"""Of the drawing of one comparison [px], on a screen that has the room."""


@dataclass(frozen=True)
class Strip:
    """Where one comparison stands along its drawing [px]: a dot per pair, interval, median, what is tolerated."""

    row: GateRow
    dots: tuple[float, ...]
    low: float
    high: float
    middle: float
    limits: tuple[float, ...]


@dataclass(frozen=True)
class Drawing:
    """Comparisons on one axis from -`reach` to `reach`, which is written as `label`."""

    title: str
    strips: tuple[Strip, ...]
    reach: float
    label: str


def write_gate(report: Report, out: Path) -> Path:
    """Write `gate.html` and return its path; raise UsageError if that fails."""
    page = rendering.environment().get_template("gate.html.j2").render(
        report=report, rows=output.urgent(report.rows), folded=output.folded(report.rows), drawings=drawings(report),
        columns=output.COLUMNS, cells=output.cells, change=output.change, others=_others(report), width=WIDTH,
        height=HEIGHT, quantity=output.quantity, reasons=output.reasons(report.rows),
    )  # fmt: skip
    return rendering.write(page, out / "gate.html")


def drawings(report: Report) -> list[Drawing]:
    """One drawing for all of speed, and one for each metric; those that need a look stand first."""
    groups: dict[str, list[GateRow]] = {}
    for row in output.ordered(report.rows):
        if row.pairs:
            title = "Speed, relative change" if row.stage == "speed" else f"Change of {row.quantity}"
            groups.setdefault(title, []).append(row)
    return [draw(title, rows) for title, rows in groups.items()]


def draw(title: str, rows: Sequence[GateRow]) -> Drawing:
    """Where everything stands."""
    values = [value for row in rows for value in (*row.pairs, row.low, row.high, row.margin)]
    reach = 1.1 * max(max((abs(value) for value in values if value is not None), default=0.0), 1e-3)
    label = f"{100 * reach:.3g} %" if rows[0].stage == "speed" else f"{reach:.3g} {rows[0].unit}".strip()
    strips = [_strip(row, reach) for row in rows]
    return Drawing(title, tuple(strips), reach, label)


def _strip(row: GateRow, reach: float) -> Strip:
    def x(value: float | None) -> float:
        return WIDTH / 2 * (1 + min(max((value or 0.0) / reach, -1.0), 1.0))

    margins = [] if row.margin is None else [row.margin] if row.stage == "speed" else [-row.margin, row.margin]
    return Strip(row, tuple(map(x, row.pairs)), x(row.low), x(row.high), x(row.change), tuple(map(x, margins)))


def _others(report: Report) -> list[GateRow]:
    return [row for row in output.ordered(report.rows) if not output.is_urgent(row)]
