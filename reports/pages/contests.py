"""One section per contest: leaderboard, curves, trade-offs, gallery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from coordbench.harness.core.scores import State
from coordbench.harness.statistics.intervals import mean_interval
from coordbench.harness.store.store import Store
from coordbench.reports.data import series, survival, tables
from coordbench.reports.data.stored import Run
from coordbench.reports.figures import drawing, figures
from coordbench.reports.figures.gallery import gallery

GALLERY_BYTES = 1_700_000
"""Pictures of a page; beyond it contests show fewer examples, and none only where one each is too much."""
MOST_DRAWN = 16


def sections(store: Store, run: Run, board: pd.DataFrame) -> list[dict[str, Any]]:
    """What the page shows of each contest."""
    if run.contests.empty:
        return []
    points, measured = series.curves(store, run), series.latencies(store, run)
    bands = figures.bands(points)
    references = tables.references(run)
    targets = time_to_target(run, points)
    swept = _conditions(run)
    pictures = _galleries(store, run)
    lives, measured_over_time = survival.lives(run), figures.bands(series.measures(store, run))
    made = []
    for contest, facts in _each(run):
        own = board[board["contest"] == contest]
        drawn = own[own["variant"].isin(_drawn(run, own))]
        cells = {v: (facts["full_task"], facts["full_backbone"], v) for v in own["variant"]}
        timed = {v: measured[cell] for v, cell in cells.items() if cell in measured}
        made.append(
            {
                "contest": contest,
                "facts": facts,
                "task": run.facts["tasks"][facts["full_task"]],
                "board": own.assign(target=[targets.get((contest, v), np.nan) for v in own["variant"]]),
                "drawn": len(drawn),
                "references": references[references["full_task"] == facts["full_task"]],
                "curves": _curves(run, contest, bands[bands["variant"].isin(drawn["variant"])]),
                "tradeoffs": _tradeoffs(run, contest, drawn, timed),
                "conditions": _condition_figures(run, contest, swept, drawn["variant"].tolist()),
                "stability": _stability(run, lives[lives["contest"] == contest]),
                "measures": _measures(run, contest, measured_over_time, drawn["variant"].tolist()),
                "plane": _plane(run, contest, drawn["variant"].tolist()),
                "gallery": pictures.get(contest, []),
            }
        )
    return made


def time_to_target(run: Run, points: pd.DataFrame) -> dict[tuple[int, str], float]:
    """Median seconds until a variant reaches the baseline's last validation score; infinite where it never does."""
    found: dict[tuple[int, str], float] = {}
    points = points[points["metric"].str.startswith("validation/")]
    for contest in run.contests.index:
        own = points[points["contest"] == contest]
        last = own[own["variant"] == run.baseline].sort_values("step").groupby("seed")["value"].last()
        if last.empty:
            continue
        sign = 1.0 if run.contests.loc[contest, "better"] == "higher" else -1.0
        reached = own[own["value"] * sign >= last.median() * sign]
        first = reached.groupby(["variant", "seed"])["seconds"].min()
        for variant, seeds in own.groupby("variant")["seed"].unique().items():
            times = [first.get((variant, seed), np.inf) for seed in seeds]
            found[int(contest), str(variant)] = float(np.median(times))
    return found


def _drawn(run: Run, board: pd.DataFrame) -> list[str]:
    """The variants that figures show: the best of a contest and the baseline, as many as an eye can tell apart."""
    best = board.sort_values("rank")["variant"].tolist()
    return [*[v for v in best if v != run.baseline][: MOST_DRAWN - 1], str(run.baseline)]


def _each(run: Run) -> Iterator[tuple[int, pd.Series[Any]]]:
    return ((int(number), run.contests.loc[number]) for number in run.contests.index)


def _title(run: Run, contest: int) -> str:
    facts: Any = run.contests.loc[contest]
    return f"{facts['full_task']}, {facts['full_backbone']}"


def _curves(run: Run, contest: int, bands: pd.DataFrame) -> Markup | None:
    own = bands[bands["contest"] == contest]
    if own["step"].nunique() < 2:  # nothing was trained, or looked at once
        return None
    title = f"Learning curves of {_title(run, contest)}"
    return Markup(drawing.inline(figures.curves(run, contest, own), title))


def _tradeoffs(run: Run, contest: int, board: pd.DataFrame, timed: dict[str, Any]) -> Markup | None:
    if not board[list(figures.COSTS)].notna().any(axis=None) or board["score"].isna().all():
        return None
    title = f"Score against costs, {_title(run, contest)}"
    return Markup(drawing.inline(figures.tradeoffs(run, contest, board, timed), title))


def _conditions(run: Run) -> pd.DataFrame:
    """Test scores that hold at a level of an axis, such as `mse` at m = 8."""
    scores = run.tables.scores
    leveled = scores[(scores["split"] == "test") & scores["level"].notna()]
    contestants = run.trials.dropna(subset="contest")[["contest", "label"]].rename(columns={"label": "variant"})
    return leveled.join(contestants, on="trial", how="inner")


def _condition_figures(run: Run, contest: int, swept: pd.DataFrame, drawn: list[str]) -> list[Markup]:
    own = swept[(swept["contest"] == contest) & swept["variant"].isin(drawn)]
    made = []
    for cell, rows in own.groupby(["of", "axis"], sort=False):
        metric, condition = map(str, tuple(cell))
        if rows["level"].nunique() < 3:
            continue
        leveled = rows.rename(columns={"level": "x"}).groupby(["variant", "x"])
        values = leveled["value"].agg(["mean", mean_interval]).reset_index()
        values[["low", "high"]] = values["mean_interval"].tolist()
        values = values.rename(columns={"mean": "value"})
        figure = figures.conditions(run, values, metric, condition)
        made.append(Markup(drawing.inline(figure, f"{metric} by {condition}, contest {contest}")))
    return made


def _stability(run: Run, own: pd.DataFrame) -> dict[str, Any] | None:
    """The table of fates and the survival curves of one contest; None where it knows no fates."""
    if own.empty:
        return None
    started = own[own["fate"] != State.NEVER_STARTED]
    title = f"Share not collapsed, contest {int(own['contest'].iloc[0])}"
    drawn = None if started.empty else Markup(drawing.inline(figures.survival(run, started), title))
    return {"fates": survival.fates(own, run.baseline), "figure": drawn}


def _measures(run: Run, contest: int, bands: pd.DataFrame, drawn: list[str]) -> Markup | None:
    """The measures of generated images over time, beside what real images reach on the same validation data."""
    own = bands[(bands["contest"] == contest) & bands["variant"].isin(drawn)]
    if own["step"].nunique() < 2:
        return None
    own = own.sort_values("metric", key=lambda names: names.map(series.MEASURES.index), kind="stable")
    ceilings = _of_references(run, contest, "validation", ["ceiling"])
    return Markup(drawing.inline(figures.measures(run, own, ceilings), f"Measures over time, {_title(run, contest)}"))


def _plane(run: Run, contest: int, drawn: list[str]) -> Markup | None:
    """Density against coverage on test data: means and 95 % intervals over seeds, floor and ceiling beside them."""
    values = plane_values(run, contest, "coverage", "density")
    values = values[values["variant"].isin(drawn)]
    if values.empty:
        return None
    found = _of_references(run, contest, "test", ["ceiling", "floor"])
    marks = {name: (v["coverage"], v["density"]) for name, v in found.items() if {"coverage", "density"} <= set(v)}
    figure = figures.plane(run, values, marks, "coverage", "density")
    return Markup(drawing.inline(figure, f"Density against coverage, {_title(run, contest)}"))


def plane_values(run: Run, contest: int, x: str, y: str) -> pd.DataFrame:
    """Variant, then mean and interval over seeds of two test metrics: x, x_low, x_high, y, y_low, y_high."""
    own = run.trials[run.trials["contest"] == contest]
    scores = run.tables.scores
    scores = scores[(scores["split"] == "test") & scores["metric"].isin([x, y])].join(
        own["label"], on="trial", how="inner"
    )
    rows = []
    for variant, found in scores.groupby("label", sort=False):
        told: dict[str, Any] = {"variant": variant}
        for side, metric in (("x", x), ("y", y)):
            values = found.loc[found["metric"] == metric, "value"].dropna().to_numpy(float)
            if len(values):
                told |= {side: values.mean()} | dict(
                    zip((f"{side}_low", f"{side}_high"), mean_interval(values), strict=True)
                )
        rows.append(told)
    columns = ["variant", "x", "x_low", "x_high", "y", "y_low", "y_high"]
    return pd.DataFrame(rows, columns=columns).dropna(subset=["x", "y"])


def _of_references(run: Run, contest: int, split: str, kinds: list[str]) -> dict[str, dict[str, float]]:
    """Reference -> metric -> mean score, of the contest's references of these kinds."""
    task = run.contests.loc[contest, "full_task"]
    named = [name for name, kind in run.facts["tasks"][task]["references"].items() if kind in kinds]
    own = run.trials[(run.trials["full_task"] == task) & run.trials["reference"].isin(named)]
    scores = run.tables.scores
    found = scores[scores["split"] == split].join(own["reference"], on="trial", how="inner")
    means = found.groupby(["reference", "metric"])["value"].mean().unstack("metric")
    return {str(name): {str(m): float(v) for m, v in row.dropna().items()} for name, row in means.iterrows()}


def _galleries(store: Store, run: Run) -> dict[int, list[dict[str, Any]]]:
    """Galleries of one seed for each contest, within the page's budget of bytes: the largest lose examples first."""
    found = {}
    for contest in run.contests.index:
        chosen = _shown_trials(run, contest)
        samples = series.samples(store, chosen.values())
        found[contest] = gallery({name: samples[record] for name, record in chosen.items() if record in samples})
    sizes = {contest: [_bytes(row) for row in rows] for contest, rows in found.items()}
    while sum(map(sum, sizes.values())) > GALLERY_BYTES:
        largest = max(sizes, key=lambda contest: (len(sizes[contest]) > 1, sum(sizes[contest])))
        sizes[largest].pop()
    return {contest: rows[: len(sizes[contest])] for contest, rows in found.items()}


def _shown_trials(run: Run, contest: int) -> dict[str, int]:
    """Name -> record of the variants at the first seed where most of them ended well, and of the references there."""
    task = run.contests.loc[contest, "full_task"]
    trials = run.trials[(run.trials["full_task"] == task) & (run.trials["status"] == "ok")].dropna(subset="record")
    own = trials[trials["contest"] == contest]
    if own.empty:
        return {}
    seed = own.groupby("seed").size().idxmax()
    order = {variant: i for i, variant in enumerate(run.variants)}
    shown = own[own["seed"] == seed].sort_values("label", key=lambda labels: labels.map(order))
    beside = trials[trials["reference"].notna() & (trials["seed"] == seed)]
    both = pd.concat([shown, beside])
    return {str(label): int(record) for label, record in zip(both["label"], both["record"], strict=True)}


def _bytes(row: dict[str, Any]) -> int:
    return sum(len(picture["drawn"]) for cell in row["cells"] for picture in cell["pictures"])
