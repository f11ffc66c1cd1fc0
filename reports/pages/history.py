"""The course of a metric over stored runs: one plot per task and backbone, a line per layer, a point per run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from coordbench.harness.analysis.cells import PLACE
from coordbench.harness.analysis.shifts import shifted
from coordbench.harness.core.cell import differing
from coordbench.reports.data.colors import COUNT, slots
from coordbench.reports.pages.embedded import Json, short
from coordbench.reports.pages.rendering import environment, write
from coordbench.reports.text import cost_reader, number


def write_history(points: pd.DataFrame, metric: str, out: Path) -> Path:
    """Write `history-METRIC.html` from the rows of `analysis.history`, and return its path."""
    runs = points.drop_duplicates("run")[["run", "started", "commit"]].astype(str)
    plots = _plots(points, runs["run"].tolist())
    data: dict[str, Json] = {
        "runs": [
            [run, started[:16].replace("T", " "), _commit(str(commit))] for run, started, commit in runs.to_numpy()
        ],
        "plots": plots,
        "unit": _unit(metric, points),
        "label": _label(metric, _unit(metric, points)),
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")
    template = environment().get_template("history.html.j2")
    html = template.render(
        metric=metric,
        plots=plots,
        runs=runs.to_numpy().tolist(),
        table=_table(points, metric),
        data=Markup(text),
        changed=_changed(points, metric),
    )
    name = re.sub(r"\W+", "-", metric).strip("-") or "metric"
    return write(html, out / f"history-{name}.html")


def _plots(points: pd.DataFrame, runs: Sequence[str]) -> list[dict[str, Json]]:
    """One plot per task, backbone and place: a line per layer, its values run by run, null where it took no part."""
    shades = slots(points["label"].astype(str))
    conditions = differing(points["cell"])
    plots: list[dict[str, Json]] = []
    for _, rows in points.groupby(["task", "backbone", *PLACE], sort=False, dropna=False):
        first = rows.iloc[0]
        several = rows["machine"].nunique() > 1
        order = rows["machine"].drop_duplicates().tolist()
        lines = {
            f"{label}, {machine}" if several else str(label): _line(values, runs, shades, order.index(machine))
            for (label, machine), values in rows.groupby(["label", "machine"], sort=False)
        }
        words = [f"{name} {first['cell'].conditions[name]}" for name in conditions if first["cell"].conditions[name]]
        title = ", ".join([str(first["task"]), str(first["backbone"]), *words])
        plots.append({"title": title, "lines": lines, "marks": _marks(rows, runs)})
    return plots


def _line(values: pd.DataFrame, runs: Sequence[str], shades: Mapping[str, int], machine: int) -> Json:
    """Means with bounds, the color of the layer, and which machine of the plot this is: others than 0 are dashed."""
    table = values.drop_duplicates("run").set_index("run").reindex(list(runs))
    columns = [[short(value) for value in table[name]] for name in ("mean", "low", "high")]
    return {"values": columns, "slot": shades[str(values["label"].iloc[0])] % COUNT, "machine": machine}


def _marks(rows: pd.DataFrame, runs: Sequence[str]) -> Json:
    """Where a level begins, with the step, and where the surroundings are not as they were, with what changed."""
    steps: dict[int, list[str]] = {}
    for _, row in shifted(rows).iterrows():
        steps.setdefault(runs.index(str(row["run"])), []).append(f"{row['label']} {row['change']:+.1%}")
    others = rows[rows["surroundings"].astype(bool)].drop_duplicates("run")
    around = {runs.index(str(row["run"])): str(row["surroundings"]) for _, row in others.iterrows()}
    marks: list[Json] = [[number, "step", ", ".join(texts)] for number, texts in steps.items()]
    marks += [[number, "surroundings", text] for number, text in around.items()]
    return marks


def _changed(points: pd.DataFrame, metric: str) -> list[tuple[str, ...]]:
    """Each change of level in words."""
    read = cost_reader(metric) if metric.endswith(("_seconds", "_bytes")) else number
    return [
        (
            f"{row['change']:+.1%}", read(row["before"]), str(row["label"]), f"{row['task']}, {row['backbone']}",
            str(row["machine"]), str(row["since"]), str(row["run"]), str(row["surroundings"]) or "nothing else",
        )
        for _, row in shifted(points).iterrows()
    ]  # fmt: skip


def _unit(metric: str, points: pd.DataFrame) -> str:
    """How values are read: seconds, bytes, or the metric's own unit."""
    for ending in ("seconds", "bytes"):
        if metric.endswith(f"_{ending}"):
            return ending
    return str(points["unit"].iloc[0]) if len(points) else ""


def _label(metric: str, unit: str) -> str:
    """What the axis is called; times and sizes have their unit beside each number."""
    name = metric.removesuffix(f"_{unit}").replace("_", " ")
    return f"{name} [{unit}]" if unit and unit not in ("seconds", "bytes") else name


def _commit(commit: str) -> str:
    return "" if commit in ("None", "nan", "") else commit[:10]


def _table(points: pd.DataFrame, metric: str) -> list[tuple[str, ...]]:
    """Every point in words, for who reads no plots."""
    read = cost_reader(metric) if metric.endswith(("_seconds", "_bytes")) else number
    columns = ["started", "commit", "task", "backbone", "label", "mean", "count"]
    return [
        (
            str(started)[:16].replace("T", " "),
            _commit(str(commit)),
            str(task),
            str(backbone),
            str(label),
            read(mean),
            str(n),
        )
        for started, commit, task, backbone, label, mean, n in points[columns].itertuples(index=False)
    ]
