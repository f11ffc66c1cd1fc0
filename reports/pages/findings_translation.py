"""What a run found about translation, told from its tables: are these networks invariant, and when?"""

from __future__ import annotations

from typing import Any

import pandas as pd

from coordbench.reports.text import number

EXACT = 1e-6
"""Relative errors below it are rounding."""


def findings(trials: pd.DataFrame, scores: pd.DataFrame) -> list[str]:
    """One sentence for each question that the run's trials answer; figures are means over seeds, on test."""
    cells = averages(trials, scores)
    questions = (_alone, _halving, _places, _pretraining, _readout, _sizes, _turns)
    return [sentence for question in questions if not cells.empty and (sentence := question(cells))]


def averages(trials: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """One row per task, backbone and variant that ended well: its number of seeds, and each metric's mean.

    `trials` and `scores` are those of a run; `trial` in `scores` is the row of `trials`.
    """
    cell = ["task", "task_options", "backbone", "backbone_options", "variant", "label"]
    own = trials[(trials["suite"] == "translation") & trials["variant"].notna() & (trials["status"] == "ok")]
    tested = scores[scores["split"] == "test"].pivot_table(index="trial", columns="metric", values="value")
    joined = own[[*cell, "seed"]].join(tested, how="inner")
    grouped = joined.groupby(cell, dropna=False)
    return grouped.mean(numeric_only=True).drop(columns="seed").assign(seeds=grouped["seed"].nunique()).reset_index()


def _alone(cells: pd.DataFrame) -> str:
    """Single layers as they were drawn: exact, wrong at the border, wrong everywhere."""
    own = _of(cells, "equivariance", ("error", "error@interior"), backbone="stack")
    own = own[~own["task_options"].str.contains("trained=true")]
    everywhere, inside = own["error"] < EXACT, own["error@interior"] < EXACT
    exact, border, away = own[everywhere], own[inside & ~everywhere], own[~inside & ~everywhere]
    parts = [
        f"exact to rounding {_names(exact)}" if len(exact) else "",
        f"wrong at the border alone {_listed(border, 'error')}" if len(border) else "",
        f"wrong in the interior too {_listed(away, 'error@interior')}" if len(away) else "",
    ]
    told = "; ".join(part for part in parts if part)
    return (
        f"How layers follow a shift before training (0 = exactly, 1 = not at all; {_seeds(own)}): {told}."
        if told
        else ""
    )


def _halving(cells: pd.DataFrame) -> str:
    """What each way to halve a map does to a shift by one pixel."""
    own = _of(cells, "equivariance", ("error@shift=1",), backbone="classifier")
    own = own[own["label"] == "conv[padding=circular]"]
    if own.empty:
        return ""
    downs = own["backbone_options"].str.extract(r"down=(\w+)")[0].fillna("stride")
    by_down = own.groupby(downs)["error@shift=1"].mean().sort_values()
    told = ", ".join(f"{how} {_error(value)}" for how, value in by_down.items())
    return f"Behind circular convolutions, one pixel of shift passes two halvings with errors {told} ({_seeds(own)})."


def _places(cells: pd.DataFrame) -> str:
    """Digits learned at one place: by head or halving, at that place and where no pixel is shared."""
    own = _of(cells, "unseen_places", ("accuracy@seen", "accuracy@unseen"))
    own = own[~own["task_options"].str.contains("places=")]
    if own.empty:
        return ""
    ranked = own.sort_values("accuracy@unseen", ascending=False)
    told = [
        f"{_where(row)} recognizes {_share(row['accuracy@unseen'])} elsewhere ({_share(row['accuracy@seen'])} there)"
        for _, row in ranked.iloc[[0, -1]].iterrows()
    ]
    return f"Of digits learned at one place, {told[0]} at best, and {told[1]} at worst ({_seeds(own)})."


def _pretraining(cells: pd.DataFrame) -> str:
    """What is left of invariance after fine-tuning at one place, against training there from scratch."""
    own = _of(cells, "forgetting", ("accuracy", "accuracy@seen"))
    fresh = own["task_options"].str.contains("pretrain=0")
    if not fresh.any() or fresh.all():
        return ""
    after, scratch = own[~fresh], own[fresh]
    told = ", ".join(f"{row['label']} {_share(row['accuracy'])}" for _, row in after.iterrows())
    return (
        f"After fine-tuning at one place, networks pretrained at all places recognize {told} of digits everywhere; "
        f"without pretraining at most {_share(scratch['accuracy'].max())} ({_seeds(own)})."
    )


def _readout(cells: pd.DataFrame) -> str:
    """How much of position a linear readout recovers, most first."""
    own = _of(cells, "position_readout", ("r2",))
    own = own[~own["task_options"].str.contains("trained=true")]
    if own.empty:
        return ""
    best = own.loc[own.groupby("label")["r2"].idxmax()].sort_values("r2", ascending=False)
    told = ", ".join(f"{row['label']} {number(max(row['r2'], 0), 2)}" for _, row in best.iterrows())
    return f"Before training, R^2 of absolute position at the best depth and layer: {told} ({_seeds(own)})."


def _sizes(cells: pd.DataFrame) -> str:
    """Whether accuracy survives canvases of another size."""
    own = _of(cells, "unseen_size", ("accuracy", "accuracy@seen", "refused"))
    if own.empty:
        return ""
    taking, refusing = own[own["refused"] == 0], own[own["refused"] > 0]
    falls = [f"{_share(row['accuracy@seen'])} to {_share(row['accuracy'])}" for _, row in taking.iterrows()]
    told = ", ".join(f"{_where(row)} {fall}" for (_, row), fall in zip(taking.iterrows(), falls, strict=True))
    no = f"; {', '.join(_where(row) for _, row in refusing.iterrows())} refuse them" if len(refusing) else ""
    return f"On canvases of unseen size accuracy goes from {told}{no} ({_seeds(own)})." if told else ""


def _turns(cells: pd.DataFrame) -> str:
    """How far networks are from following turns and zooms, and what augmentation does."""
    own = _of(cells, "scale_rotation", ("error@angle", "error@scale"))
    if own.empty:
        return ""
    plain = own[~own["task_options"].str.contains("trained=true")]
    plain = own if plain.empty else plain
    turns, zooms = (_range(plain[f"error@{kind}"]) for kind in ("angle", "scale"))
    return f"Turns are followed with errors of {turns}, zooms with {zooms}{_zooming(own)} ({_seeds(own)})."


def _range(values: pd.Series[float]) -> str:
    return f"{_error(values.min())} to {_error(values.max())}"


def _zooming(own: pd.DataFrame) -> str:
    if "accuracy@scale" not in own or own["accuracy@scale"].isna().all():
        return ""
    zoomed = own["task_options"].str.contains("augment=zoom")
    with_, without = (own.loc[chosen, "accuracy@scale"].mean() for chosen in (zoomed, ~zoomed))
    if with_ != with_ or without != without:
        return ""
    return f"; training with zooms takes the accuracy on zoomed digits from {_share(without)} to {_share(with_)}"


def _of(cells: pd.DataFrame, task: str, metrics: tuple[str, ...], backbone: str = "") -> pd.DataFrame:
    """The rows of a task that have all metrics; none where a metric is unknown."""
    if not set(metrics) <= set(cells.columns):
        return cells.iloc[:0].reindex(columns=[*cells.columns, *(m for m in metrics if m not in cells)])
    chosen = (cells["task"] == task) & cells[list(metrics)].notna().all(axis=1)
    return cells[chosen & (cells["backbone"] == backbone)] if backbone else cells[chosen]


def _names(rows: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(rows["label"]))


def _listed(rows: pd.DataFrame, metric: str) -> str:
    worst = rows.groupby("label")[metric].max().sort_values()
    return ", ".join(f"{label} {_error(value)}" for label, value in worst.items())


def _where(row: pd.Series[Any]) -> str:
    options = f"[{row['backbone_options']}]" if row["backbone_options"] else ""
    return f"{row['label']} in {row['backbone']}{options}"


def _error(value: float) -> str:
    return "0" if value < EXACT else number(value, 2)


def _share(value: object) -> str:
    return f"{100 * float(value):.0f} %"  # type: ignore[arg-type]


def _seeds(rows: pd.DataFrame) -> str:
    low, high = int(rows["seeds"].min()), int(rows["seeds"].max())
    count = str(low) if low == high else f"{low} to {high}"
    return f"{count} seed{'s' if count != '1' else ''}"
