"""What the page's script works on: merits, verdict rules, curves and the table of trials, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from coordbench.reports import commands
from coordbench.reports.data import series
from coordbench.reports.data.colors import COUNT
from coordbench.reports.data.overall import improvements
from coordbench.reports.data.run import Run
from coordbench.reports.data.stored import COSTS
from coordbench.reports.figures import curves
from coordbench.reports.pages.contests import Sections
from coordbench.reports.pages.matrix import judged_of, note_of, why_of
from coordbench.reports.text import finite

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
MOST_SINGLE_CURVES = 1500
"""Curves of single trials that a page carries; a larger run shows their means alone."""
_FEW = 16
"""Variants of which every one can be chosen as the baseline of the probability of improvement."""


def embedded(run: Run, sections: Sections) -> str:
    """The data as JSON that cannot end its script element."""
    data: dict[str, Json] = {
        "run": run.name,
        "variants": run.variants,
        "baseline": run.baseline,
        "slots": {variant: slot % COUNT for variant, slot in run.slots.items()},
        "judged": _judged(run),
        "command": commands.base(run.facts.command),
        "contests": _contests(run),
        "merits": _merits(run),
        "improvements": _improvements(run),
        "board": _board(run),
        "curves": _curves(run, sections),
        "trials": _trials(run, sections.points),
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def _contests(run: Run) -> dict[str, Json]:
    return {
        str(c.number): {
            "suite": c.suite, "task": c.task, "backbone": c.backbone, "steps": c.steps, "metric": c.metric.name,
            "unit": c.metric.unit, "margin": c.metric.margin, "better": c.metric.better,
        }
        for c in run.contests.values()
    }  # fmt: skip


def _judged(run: Run) -> Json:
    """Baseline -> contest -> variant -> its verdict, where looks are paid for; null where the page judges by itself."""
    if not run.facts.several:
        return None
    chosen = run.variants if len(run.variants) <= _FEW else [run.baseline or ""]
    return {baseline: _judged_against(run, baseline) for baseline in chosen}


def _judged_against(run: Run, baseline: str) -> Json:
    rows: dict[str, dict[str, Json]] = {}
    for (contest, variant), row in judged_of(run.against(baseline)).items():
        rows.setdefault(str(contest), {})[variant] = {
            "verdict": row.verdict, "pairs": row.pairs, "mean": short(row.mean), "low": short(row.low),
            "high": short(row.high), "note": note_of(row, planned=run.facts.planned), "why": why_of(row),
        }  # fmt: skip
    return dict(rows)


def _merits(run: Run) -> dict[str, Json]:
    """Contest -> variant -> seed -> merit."""
    seeds = [f"{seed:g}" for seed in sorted(run.trials.dropna(subset=["contest", "merit", "seed"])["seed"].unique())]
    pairs: dict[str, dict[str, Json]] = {}
    for (contest, variant), values in run.merits.items():
        known = {seed: short(value) for seed, value in zip(seeds, values, strict=False) if value == value}
        pairs.setdefault(str(contest), {})[variant] = known
    return dict(pairs)


def _improvements(run: Run) -> dict[str, Json]:
    """Baseline -> variant -> probability of improvement and its interval; for every baseline where they are few."""
    frame = run.aggregate.dropna(subset="improvement").assign(baseline=run.baseline)
    if len(run.variants) <= _FEW:
        frame = improvements(run.strata, run.variants)
    chances: dict[str, dict[str, Json]] = {}
    columns = ["baseline", "variant", "improvement", "improvement_low", "improvement_high"]
    for baseline, variant, *numbers in frame[columns].itertuples(index=False):
        chances.setdefault(str(baseline), {})[str(variant)] = [short(value) for value in numbers]
    return dict(chances)


def _board(run: Run) -> dict[str, Json]:
    """Contest -> variant -> what is shown when a mark is pointed at."""
    columns = ["score", "low", "high", "seeds", "failed", *COSTS, "converged"]
    rows: dict[str, dict[str, Json]] = {}
    frame = run.leaderboard[["contest", "variant", *columns]].astype(object)
    for contest, variant, *values in frame.itertuples(index=False):
        rows.setdefault(str(int(contest)), {})[str(variant)] = [short(value) for value in values]
    return dict(rows)


def _curves(run: Run, sections: Sections) -> dict[str, Json]:
    """Contest -> its learning curves: label, steps, and of each variant the means with their intervals."""
    drawn: dict[str, Json] = {}
    for section in sections.all:
        if section.has_curves:
            names = sections.drawn(section.contest)
            band = sections.bands[sections.bands["contest"] == section.contest.number]
            band = band[band["variant"].isin(names)]
            steps = sorted(band["step"].unique().tolist())
            lines = {str(v): _aligned(rows, steps) for v, rows in band.groupby("variant", sort=False)}
            label = curves.curve_label(section.contest, band)
            low, high = curves.frame(band["mean"].to_numpy(float), section.contest.metric)
            drawn[str(section.contest.number)] = {
                "label": label, "steps": [short(step) for step in steps], "series": lines,
                "stepsLabel": section.contest.steps_label, "epochSteps": short(section.contest.epoch_steps),
                "range": [short(low), short(high)],
                "bounds": {"floor": short(section.contest.floor), "ceiling": short(section.contest.ceiling)},
            }  # fmt: skip
    return drawn


def _aligned(rows: pd.DataFrame, steps: list[float]) -> list[Json]:
    """Mean, low and high at each step; null where a variant was not looked at."""
    table = rows.drop_duplicates("step").set_index("step").reindex(steps)
    return [[short(value) for value in table[name]] for name in ("mean", "low", "high")]


def _trials(run: Run, points: pd.DataFrame) -> dict[str, Json]:
    """The table of all trials by columns; text as numbers of a list of words."""
    frame = run.trials
    words: dict[str, Json] = {}
    columns: dict[str, Json] = {}
    for name in ("suite", "full_task", "full_backbone", "label", "status", "error"):
        codes, labels = pd.factorize(frame[name].fillna("").astype(str))
        columns[name], words[name] = codes.tolist(), list(labels)
    for name in ("contest", "seed", "converged", "score", "normalized", "seconds", "steps"):
        columns[name] = [short(value) for value in frame[name].astype(object)]
    keys = zip(frame["contest"], frame["label"].astype(str), strict=True)
    known = {key: rate.rate for key, rate in run.rates.items()}
    columns["rate"] = [short(known.get((int(c), v))) if c == c else None for c, v in keys]
    return {"columns": columns, "words": words, "curves": _single_curves(run, points), "logs": _logs(run)}


def _rows(run: Run) -> dict[int, int]:
    """Record -> row of its trial."""
    return {int(record): place for place, record in enumerate(run.trials["record"].astype("Int64")) if pd.notna(record)}


def _logs(run: Run) -> dict[str, Json]:
    """Row of a failed trial -> what its process wrote last."""
    rows = _rows(run)
    return {str(rows[record]): log for record, log in series.logs(run).items()}


def _single_curves(run: Run, points: pd.DataFrame) -> dict[str, Json]:
    """Row of a trial -> steps and values of its own curve, where they are few enough."""
    groups = points.groupby("record", sort=False)
    if points.empty or groups.ngroups > MOST_SINGLE_CURVES:
        return {}
    rows = _rows(run)
    return {
        str(rows[int(str(record))]): [[short(v) for v in curve["step"]], [short(v) for v in curve["value"]]]
        for record, curve in groups
        if int(str(record)) in rows
    }


def short(value: object) -> int | float | None:
    """A number with six digits, null where it is missing or no finite number."""
    number = finite(value)
    if number is None:
        return None
    rounded = float(f"{number:.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
