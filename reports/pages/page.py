"""Write the page of a run: one HTML file that needs no network, and the index over all runs."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from coordbench.harness.analysis import summarize
from coordbench.harness.core.errors import UsageError
from coordbench.harness.store.store import Store
from coordbench.reports.claims import claims, ledger, summary
from coordbench.reports.data import tables
from coordbench.reports.data.stored import Run
from coordbench.reports.figures import drawing, figures
from coordbench.reports.pages import (
    cards,
    comparison,
    contests,
    costs_section,
    findings,
    index,
    rendering,
    sentences,
)

MOST_COMPARED = 20_000
"""Trials and costs of a run that is set beside the last one unasked; larger ones by `write_comparison`."""


def write_report(store: Store, run: str, out: Path) -> Path:
    """Write `out/RUN.html` and the index beside it; return the page's path. Raise UsageError if that fails."""
    path = out / f"{run}.html"
    html = render(store, tables.load(run, store=store))
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
        _compare_with_last(store, run, out)
        index.write_index(store, out)
    except OSError as error:
        raise UsageError(f"report {str(path)!r} cannot be written: {error.strerror or error}") from error
    return path


def _compare_with_last(store: Store, run: str, out: Path) -> None:
    """Set a run beside the one before it of the same preset, where it is the newest and both are of a common size."""
    listed = summarize.runs(store)
    sizes = listed.set_index("run").drop(columns=["preset", "started", "finished", "commit", "command"]).sum(axis=1)
    for earlier, later in comparison.newest_pairs(listed):
        if later == run and sizes[[earlier, later]].max() <= MOST_COMPARED:
            comparison.write_comparison(store, earlier, later, out)


def render(store: Store, run: Run) -> str:
    """The page of a run as HTML."""
    judged, board = tables.verdicts(run), tables.leaderboard(run)
    aggregate = tables.aggregate(run)
    decided = ledger.ledger(run)
    counts = Counter(finding.verdict for finding in decided)
    template = rendering.environment().get_template("page.html.j2")
    return template.render(
        run=run,
        facts=run.facts,
        found=findings.findings(run, judged, aggregate, decided),
        ledger=decided,
        counts=counts,
        decided=counts["holds"] + counts["fails"],
        inequality=claims.inequality,
        claimed=summary.Summary(decided),
        coverage=tables.coverage(run),
        matrix=findings.matrix(run, judged, board),
        aggregate=aggregate,
        profile=_profile(run),
        colors={variant: run.variants.index(variant) % len(drawing.PALETTE) for variant in run.variants},
        contests=contests.sections(store, run, board),
        cards=cards.cards(run, board, judged),
        costs=costs_section.section(run, board),
        probes=costs_section.place(run),
        sentences=_sentences(run),
        failures=tables.failures(run),
        environment=tables.environment(run),
        family=len(judged),
        infinity=float("inf"),
        data=Markup(embedded(run, board, aggregate)),
    )


def embedded(run: Run, board: pd.DataFrame, aggregate: pd.DataFrame) -> str:
    """What the page's script works on, as JSON that cannot end its script element."""
    merits = tables.merit_table(run)
    pairs: dict[str, dict[str, dict[str, float]]] = {}
    seeds = [str(int(seed)) for seed in merits.columns]
    for (contest, variant), values in zip(merits.index, merits.to_numpy(float).tolist(), strict=True):
        known = {seed: _short(value) for seed, value in zip(seeds, values, strict=True) if value == value}
        pairs.setdefault(str(int(contest)), {})[str(variant)] = known
    facts = {
        str(number): {
            "suite": row.suite, "task": row.full_task, "backbone": row.full_backbone, "steps": int(row.steps_planned),
            "metric": row.metric, "unit": row.unit, "margin": row.margin, "better": row.better,
        }
        for number, row in run.contests.iterrows()
    }  # fmt: skip
    data = {
        "variants": run.variants,
        "baseline": run.baseline,
        "contests": facts,
        "merits": pairs,
        "improvements": _improvements(run, aggregate),
        "board": _board(board),
        "trials": _trials(run),
    }
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")


def _improvements(run: Run, aggregate: pd.DataFrame) -> dict[str, dict[str, list[float | None]]]:
    """Baseline -> variant -> probability of improvement and its interval; for every baseline where they are few."""
    known = aggregate.dropna(subset="improvement").assign(baseline=run.baseline)
    few = len(run.variants) <= 16
    frame = tables.improvements(run, tables.normalized_strata(run), run.variants) if few else known
    found: dict[str, dict[str, list[float | None]]] = {}
    for row in frame.itertuples():
        numbers = (row.improvement, row.improvement_low, row.improvement_high)
        found.setdefault(str(row.baseline), {})[str(row.variant)] = [_short(value) for value in numbers]
    return found


def _board(board: pd.DataFrame) -> dict[str, dict[str, list[float | None]]]:
    """Contest -> variant -> what is told when a mark is pointed at."""
    told = ["score", "low", "high", "seeds", "failed", *tables.COSTS, "converged"]
    found: dict[str, dict[str, list[float | None]]] = {}
    row: Any
    for row in board[["contest", "variant", *told]].astype(object).itertuples(index=False):
        found.setdefault(str(int(row.contest)), {})[str(row.variant)] = [_short(value) for value in row[2:]]
    return found


def _trials(run: Run) -> dict[str, Any]:
    """The table of all trials by columns; text as numbers of a list of words."""
    frame = run.trials
    words: dict[str, list[str]] = {}
    columns: dict[str, list[Any]] = {}
    for name in ("suite", "full_task", "full_backbone", "label", "status", "error"):
        codes, labels = pd.factorize(frame[name].fillna("").astype(str))
        columns[name], words[name] = codes.tolist(), list(labels)
    columns["contest"] = _whole(frame["contest"])
    columns["seed"] = _whole(frame["seed"])
    columns["converged"] = _whole(frame["converged"])
    for name in ("score", "normalized", "seconds"):
        columns[name] = [_short(value) for value in frame[name].to_numpy(float)]
    return {"columns": columns, "words": words}


def _whole(values: pd.Series[Any]) -> list[int | None]:
    """Whole numbers, null where one is missing."""
    return [
        None if value != value else int(value) for value in values.astype("Float64").to_numpy(float, na_value=np.nan)
    ]


def _short(value: Any) -> Any:
    """A number with six digits, null where it is missing or no number."""
    if pd.isna(value) or not math.isfinite(value):
        return None
    short = float(f"{float(value):.6g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _sentences(run: Run) -> list[str]:
    """What the tasks' own sentences say of the run; nothing where no trial ended well."""
    if run.trials.empty:
        return []
    return sentences.sentences(run.tables.trials, run.tables.scores, run.facts["tasks"])


def _profile(run: Run) -> Markup | None:
    if not tables.normalized_strata(run):
        return None
    return Markup(drawing.inline(figures.profiles(run), "Performance profile"))
