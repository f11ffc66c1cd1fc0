"""The course of a metric over stored runs, drawn: one line per task, backbone and layer, one point per run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from coordbench.harness.analysis import summarize
from coordbench.harness.analysis.summarize import PLACE

WIDTH, HEIGHT = 640, 160
"""Of one drawing [px]."""

_TEMPLATES = Path(__file__).parents[1] / "templates"


def write_history(found: pd.DataFrame, metric: str, out: Path) -> Path:
    """Write `history-METRIC.html` from the rows of `harness.history`, and return its path."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    runs = list(dict.fromkeys(found["run"]))
    cells = found.groupby(["task", "backbone", "label", *PLACE], sort=False, dropna=False)
    telling = summarize.telling(found)
    drawings = [draw(group, runs, telling) for _, group in cells]
    name = re.sub(r"\W+", "-", metric).strip("-") or "metric"
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"history-{name}.html"
    page = environment.get_template("history.html").render(metric=metric, drawings=drawings, runs=runs)
    path.write_text(page, encoding="utf-8")
    return path


def draw(group: pd.DataFrame, runs: list[str], telling: Sequence[str] = ()) -> dict[str, Any]:
    """Where the points of one cell stand: runs from left to right, values from the smallest to the largest."""
    shown = group.fillna({"low": group["mean"], "high": group["mean"]})
    bottom, top = float(shown["low"].min()), float(shown["high"].max())
    span = (top - bottom) or abs(top) or 1.0

    def y(value: float) -> float:
        return HEIGHT - HEIGHT * (value - bottom + 0.05 * span) / (1.1 * span)

    points = [
        {
            "x": WIDTH * (runs.index(row["run"]) + 0.5) / len(runs),
            "y": y(row["mean"]),
            "low": y(row["low"]),
            "high": y(row["high"]),
            "row": row,
        }
        for row in shown.to_dict("records")
    ]
    first = group.iloc[0]
    title = f"{first['label']} in {first['backbone']} on {first['task']}{summarize.place(first, telling)}"
    line = " ".join(f"{point['x']:.1f},{point['y']:.1f}" for point in points)
    return {
        "title": title,
        "points": points,
        "line": line,
        "width": WIDTH,
        "height": HEIGHT,
        "top": top,
        "bottom": bottom,
        "unit": first["unit"],
    }
