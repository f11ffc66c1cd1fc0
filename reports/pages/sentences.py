"""The sentences that tasks bring for a page, filled in with the means of a run's test scores."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from coordbench.harness.core.description import Column, Part, Sentence, Where
from coordbench.reports.text import number

EXACT = 1e-6
"""Relative errors below it are rounding."""
_CELL = ["task", "task_options", "backbone", "backbone_options", "variant", "variant_options", "label"]
_WORDS = ("layer", "network", "group")
"""What an item may name beside scores."""


class Figure(float):
    """A number that knows the formats of a part's items."""

    def __format__(self, wanted: str) -> str:
        """Write the number as a share in percent, as an error, or with two digits."""
        match wanted:
            case "share":
                return f"{100 * self:.0f} %"
            case "error":
                return "0" if self < EXACT else number(float(self), 2)
            case "positive":
                return number(max(float(self), 0.0), 2)
            case _:
                return number(float(self), 2)


def sentences(trials: pd.DataFrame, scores: pd.DataFrame, tasks: Mapping[str, Any]) -> list[str]:
    """Every sentence of every task that the trials answer; `tasks` are the facts of a run, by selector."""
    texts = []
    plains = {str(facts.get("name", task)): facts.get("sentences", ()) for task, facts in tasks.items()}
    for task, listed in plains.items():
        if not listed:
            continue
        cells = averages(trials, scores, task)
        texts += [text for plain in listed if (text := fill(Sentence.read(plain), cells))]
    return texts


def averages(trials: pd.DataFrame, scores: pd.DataFrame, task: str) -> pd.DataFrame:
    """One row per cell of a task that ended well: its number of seeds, and each score's mean, on test.

    `trial` in `scores` is the row of `trials`.
    """
    ended = trials[(trials["task"] == task) & trials["variant"].notna() & (trials["status"] == "ok")]
    tested = scores[(scores["split"] == "test") & scores["trial"].isin(ended.index)]
    tested = tested.pivot_table(index="trial", columns="metric", values="value")
    grouped = ended[[*_CELL, "seed"]].join(tested, how="inner").groupby(_CELL, dropna=False)
    means = grouped.mean(numeric_only=True).drop(columns="seed", errors="ignore")
    return means.assign(seeds=grouped["seed"].nunique()).reset_index()


def fill(sentence: Sentence, cells: pd.DataFrame) -> str:
    """The sentence in words; empty where its cells are missing, or a part that it needs."""
    cells = _chosen(cells, sentence.where)
    for part in sentence.parts:  # all parts speak of the cells that have every score they name
        cells = _complete(cells, part)
    if cells.empty:
        return ""
    parts = [_words(part, cells) for part in sentence.parts]
    if not any(parts) or any(part.needed and not text for part, text in zip(sentence.parts, parts, strict=True)):
        return ""
    seeds = _seeds(cells)
    opening, end = (text.replace("{seeds}", seeds) for text in (sentence.opening, sentence.end))
    return opening + sentence.between.join(filter(None, parts)) + end


def _words(part: Part, cells: pd.DataFrame) -> str:
    chosen = _chosen(cells, part.where)
    if chosen.empty:
        return ""
    rows = _picked(part, _grouped(part, chosen))
    items = [part.item.format_map(_named(row)) for row in rows]
    joined = (" to " if part.pick == "range" else part.between).join(dict.fromkeys(items) if part.by else items)
    return part.words.replace("{items}", joined) if len(items) >= part.least else ""


def _grouped(part: Part, cells: pd.DataFrame) -> pd.DataFrame:
    """The cells, or one row of each group with its scores' mean, lowest or highest."""
    named = cells.assign(group=cells["label"])
    if part.by is None:
        return named
    kinds = {"mean": "mean", "highest": "max", "lowest": "min"}
    grouped = named.assign(group=_column(cells, part.by)).groupby("group", sort=False)
    values = grouped.agg(kinds[part.reduce], numeric_only=True)
    return values.join(grouped[["label", "backbone", "backbone_options"]].first()).reset_index()


def _picked(part: Part, rows: pd.DataFrame) -> list[dict[str, Any]]:
    if part.order or part.by:
        rows = rows.sort_values(part.order or "group", ascending=not part.descending, kind="stable")
    places = {"all": range(len(rows)), "lowest": (0,), "highest": (-1,), "range": (0, -1)}[part.pick]
    return [{str(name): value for name, value in rows.iloc[place].items()} for place in places]


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    """What an item may say of a row."""
    options = f"[{row['backbone_options']}]" if row["backbone_options"] else ""
    figures = {name: Figure(value) for name, value in row.items() if isinstance(value, float)}
    words = {"layer": row["label"], "network": f"{row['label']} in {row['backbone']}{options}", "group": row["group"]}
    return figures | words


def _chosen(cells: pd.DataFrame, wheres: Iterable[Where]) -> pd.DataFrame:
    for where in wheres:
        values = _column(cells, where.column)
        if where.values:
            cells = cells[values.isin(where.values) != where.but]
        if where.least is not None or where.below is not None:
            numbers = values.reindex(cells.index).astype(float)
            low = float("-inf") if where.least is None else where.least
            cells = cells[(numbers >= low) & (numbers < (float("inf") if where.below is None else where.below))]
    return cells


def _column(cells: pd.DataFrame, column: Column) -> pd.Series[Any]:
    if column.of == "score":
        return cells.get(column.name, pd.Series(float("nan"), index=cells.index))
    if not column.name:
        return cells["label" if column.of == "variant" else column.of]
    return cells[f"{column.of}_options"].map(lambda text: _option(text, column))


def _option(text: str, column: Column) -> str:
    pairs = dict(part.split("=", 1) for part in (text or "").split(", ") if "=" in part)
    return pairs.get(column.name, column.default)


def _complete(cells: pd.DataFrame, part: Part) -> pd.DataFrame:
    """The cells that have every score that a part names."""
    named = {name for _, name, _, _ in string.Formatter().parse(part.item) if name and name not in _WORDS}
    named |= {where.column.name for where in part.where if where.column.of == "score"}
    named |= {part.order} - {""}
    if not named <= set(cells.columns):
        return cells.iloc[:0]
    return cells.dropna(subset=sorted(named))


def _seeds(cells: pd.DataFrame) -> str:
    low, high = int(cells["seeds"].min()), int(cells["seeds"].max())
    count = str(low) if low == high else f"{low} to {high}"
    return f"{count} seed{'s' if count != '1' else ''}"
