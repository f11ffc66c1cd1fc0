"""The page of a gate: its verdict, every finding, and the pairs that it was decided by, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from coordbench.harness.gate.output import quantity

WIDTH, ROW = 560, 26
"""Of a drawing and of one comparison in it [px]."""

_TEMPLATES = Path(__file__).parents[1] / "templates"


def write_gate(report: Mapping[str, Any], out: Path) -> Path:
    """Write `gate.html` from the plain values of a gate's report, and return its path."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    drawn = [finding for finding in report["findings"] if finding["pairs"]]
    drawings = [(title, draw(rows)) for title, rows in _groups(drawn)]
    environment.globals["shown"] = quantity
    out.mkdir(parents=True, exist_ok=True)
    path = out / "gate.html"
    path.write_text(environment.get_template("gate.html").render(report=report, drawings=drawings), encoding="utf-8")
    return path


def draw(findings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where everything stands: one row per comparison, a dot per pair, the interval and the median, on one axis."""
    values = [value for finding in findings for value in (*finding["pairs"], finding["low"], finding["high"])]
    reach = 1.1 * max(max((abs(value) for value in values if value is not None), default=0.0), 1e-3)

    def x(value: float | None) -> float:
        return WIDTH / 2 * (1 + min(max((value or 0.0) / reach, -1.0), 1.0))

    rows = [
        {
            "finding": finding,
            "y": ROW * i + ROW / 2,
            "dots": [x(value) for value in finding["pairs"]],
            "low": x(finding["low"]),
            "high": x(finding["high"]),
            "middle": x(finding["change"]),
        }
        for i, finding in enumerate(findings)
    ]
    return {"width": WIDTH, "height": ROW * len(rows), "rows": rows, "reach": reach, "zero": x(0.0)}


def _groups(findings: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Findings that share an axis: all of speed, and each metric of its own."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        title = "Speed, relative change" if finding["stage"] == "speed" else f"Change of {finding['quantity']}"
        groups.setdefault(title, []).append(finding)
    return list(groups.items())
