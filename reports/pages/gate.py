"""The page of a gate: its outcome, every row, and the pairs that it was decided by, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from coordbench.harness.gate import output
from coordbench.harness.gate.rows import GateRow, Report

WIDTH, ROW = 560, 26
"""Of a drawing and of one comparison in it [px]."""

_TEMPLATES = Path(__file__).parents[1] / "templates"


@dataclass(frozen=True)
class Strip:
    """Where one comparison stands in a drawing [px]: a dot per pair, the interval, the median, what is tolerated."""

    row: GateRow
    y: float
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

    @property
    def height(self) -> int:
        """Of the drawing [px]."""
        return ROW * len(self.strips)


def write_gate(report: Report, out: Path) -> Path:
    """Write `gate.html` and return its path."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("gate.html")
    page = template.render(
        report=report, rows=output.urgent(report.rows), folded=output.folded(report.rows), drawings=drawings(report),
        columns=output.COLUMNS, cells=output.cells, change=output.change, others=_others(report), width=WIDTH,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    path = out / "gate.html"
    path.write_text(page, encoding="utf-8")
    return path


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
    strips = [_strip(row, ROW * i + ROW / 2, reach) for i, row in enumerate(rows)]
    return Drawing(title, tuple(strips), reach, label)


def _strip(row: GateRow, y: float, reach: float) -> Strip:
    def x(value: float | None) -> float:
        return WIDTH / 2 * (1 + min(max((value or 0.0) / reach, -1.0), 1.0))

    margins = [] if row.margin is None else [row.margin] if row.stage == "speed" else [-row.margin, row.margin]
    return Strip(row, y, tuple(map(x, row.pairs)), x(row.low), x(row.high), x(row.change), tuple(map(x, margins)))


def _others(report: Report) -> list[GateRow]:
    return [row for row in output.ordered(report.rows) if row not in output.urgent(report.rows)]
