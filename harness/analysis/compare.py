"""Compare two stored runs: scores by pairs of equal seeds, exact costs exactly, times as a trend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from coordbench.harness.analysis import summarize
from coordbench.harness.analysis.summarize import CELL
from coordbench.harness.statistics.paired import FEWEST_PAIRS, MOST_SEEDS, judge
from coordbench.harness.store.store import Store

_COLUMNS = [*CELL, "quantity", "a", "b", "change", "low", "high", "pairs", "verdict", "note"]
_EXACT = ("parameters", "flops")
_TRENDS = ("latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes")
_COMPARABLE = ("processor", "cores", "gpu", "device", "versions.torch", "settings.OMP_NUM_THREADS")
"""What must be equal on both sides before their times may be looked at together."""


@dataclass(frozen=True)
class RunComparison:
    """Run b against run a: `rows` has one row per cell and quantity, `differences` says why times were refused.

    `sources` are the files, settings and libraries on which the records of the runs depend and which are not the same.
    """

    a: str
    b: str
    rows: pd.DataFrame
    differences: list[str]
    unmatched: list[str]
    sources: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Everything as plain values; what is not a number becomes null."""
        rows = self.rows.astype(object).where(self.rows.notna(), None).to_dict("records")
        return {"a": self.a, "b": self.b, "differences": self.differences, "unmatched": self.unmatched, "rows": rows,
                "sources": self.sources}  # fmt: skip

    @property
    def outcome(self) -> Literal["not comparable", "worse", "nothing shared", "open", "not worse"]:
        """What it comes to, the weightiest first."""
        scores = self.rows[self.rows["quantity"] == "score"]
        verdicts = set(scores["verdict"])
        if self.differences:
            return "not comparable"
        if "worse" in verdicts:
            return "worse"
        if not (scores["pairs"] > 1).any():
            return "nothing shared"
        return "open" if "open" in verdicts else "not worse"


def compare_runs(store: Store, a: str, b: str) -> RunComparison:
    """Compare what two runs of a store share.

    Scores are judged by pairs of equal seeds, parameters and FLOPs compared exactly. Times and memory of two jobs are
    a trend and get no verdict; where hardware, torch, dtype or threads differ they are refused.
    """
    sides = [_cells(store, run) for run in (a, b)]
    differences = _differences(store, a, b, *sides)
    shared = sides[0][CELL].drop_duplicates().merge(sides[1][CELL].drop_duplicates())
    margins = _margins(store, a, b)
    rows = [*_score_rows(shared, sides[0], sides[1], margins), *_cost_rows(shared, *sides, refused=bool(differences))]
    table, unmatched = pd.DataFrame(rows, columns=_COLUMNS), _unmatched(shared, a, b, *sides)
    return RunComparison(a, b, table, differences, unmatched, _changed_sources(store, a, b))


def _changed_sources(store: Store, a: str, b: str) -> list[str]:
    """What the records of both runs depend on by one name, and which is not the same in both."""
    sides = [summarize.sources(store, run) for run in (a, b)]
    return sorted(
        name for name in sides[0].keys() & sides[1].keys() if sides[0][name] != sides[1][name] and " " in name
    )


def _cells(store: Store, run: str) -> pd.DataFrame:
    """The trials of variants that were run, with their full selectors and budgets."""
    trials = summarize.cells(store, run, summarize.tables(store, run, series=False).trials)
    return trials[trials["reference"].isna() & (trials["status"] != "skipped")].reset_index(drop=True)


def _margins(store: Store, a: str, b: str) -> dict[str, tuple[float, float]]:
    """Task -> sign of its primary metric (higher is better: 1) and its margin, as the later run knows them."""
    tasks = summarize.run_facts(store, a)["tasks"] | summarize.run_facts(store, b)["tasks"]
    primary = {task: facts["metrics"][0] for task, facts in tasks.items()}
    return {task: (1.0 if m["better"] == "higher" else -1.0, float(m["margin"])) for task, m in primary.items()}


def _score_rows(
    shared: pd.DataFrame, a: pd.DataFrame, b: pd.DataFrame, margins: dict[str, tuple[float, float]]
) -> list[dict[str, Any]]:
    cells = [tuple(row) for row in shared.itertuples(index=False)]
    scores = [frame.set_index([*shared.columns, "seed"])["score"].sort_index() for frame in (a, b)]
    pairs = [pd.concat([s.loc[cell] for s in scores], axis=1, keys=["a", "b"], join="inner") for cell in cells]
    signs = [margins[cell[0]][0] for cell in cells]
    kept = [_with_failed(pair, sign) for pair, sign in zip(pairs, signs, strict=True)]
    family = [((pair["b"] - pair["a"]) * sign).to_numpy() for pair, sign in zip(kept, signs, strict=True)]
    judged = judge(family, [margins[cell[0]][1] for cell in cells])
    rows = []
    for cell, pair, whole, sign, found in zip(cells, kept, pairs, signs, judged, strict=True):
        low, high = sorted((sign * found.low, sign * found.high))
        failed = int(whole.isna().any(axis=1).sum())
        note = f"{failed} seed{'s' * (failed > 1)} failed on a side and count as the worst" if failed else ""
        if found.verdict == "open":
            more = f"{found.more_seeds}" if found.more_seeds else f"more than {MOST_SEEDS}"
            few = f"fewer than {FEWEST_PAIRS} pairs decide nothing" if found.pairs < FEWEST_PAIRS else ""
            wanted = f"{more} more seeds needed, {found.detectable:.3g} was detectable"
            note = "; ".join(filter(None, [note, few, wanted]))
        rows.append(
            dict(zip(shared.columns, cell, strict=True))
            | {"quantity": "score", "a": pair["a"].mean(), "b": pair["b"].mean(), "change": sign * found.mean}
            | {"low": low, "high": high, "pairs": found.pairs, "verdict": found.verdict, "note": note}
        )
    return rows


def _with_failed(pair: pd.DataFrame, sign: float) -> pd.DataFrame:
    """Failed seeds as the worst score that either side saw; a seed that failed on both sides tells nothing."""
    worst = (pair * sign).min().min() * sign
    return pair.dropna(how="all").fillna(worst)


def _cost_rows(shared: pd.DataFrame, a: pd.DataFrame, b: pd.DataFrame, *, refused: bool) -> list[dict[str, Any]]:
    """Exact quantities: equal or changed. Times and memory: a ratio without a verdict, or refused."""
    columns = list(shared.columns)
    known = [frame.drop_duplicates(columns)[[*columns, *_EXACT, *_TRENDS]] for frame in (a, b)]
    both = shared.merge(known[0], on=columns).merge(known[1], on=columns, suffixes=("_a", "_b"))
    rows = []
    for row in both.to_dict("records"):
        cell = {name: row[name] for name in columns}
        for name in (*_EXACT, *_TRENDS):
            ours, theirs = row[f"{name}_a"], row[f"{name}_b"]
            if pd.isna(ours) or pd.isna(theirs):
                continue
            told: dict[str, Any] = {"quantity": name, "a": ours, "b": theirs, "change": theirs - ours}
            if name in _EXACT:
                told |= {"verdict": "equal" if ours == theirs else "changed", "note": ""}
            elif refused:
                told |= {"b": np.nan, "a": np.nan, "change": np.nan, "verdict": "refused", "note": "not comparable"}
            else:
                told |= {"verdict": "trend", "note": f"x {theirs / ours:.3g}; two jobs, so no verdict" if ours else ""}
            rows.append(cell | told)
    return rows


def _differences(store: Store, a: str, b: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """One line per fact of the surroundings that is not the same on both sides."""
    facts = [summarize.tables(store, run, series=False).environment for run in (a, b)]
    values = [{n: set(f.loc[f["name"] == n, "value"]) for n in _COMPARABLE} for f in facts]
    for side, frame in zip(values, (ours, theirs), strict=True):
        side |= {"dtype": set(frame["dtype"])}
    names = [name for name in (*_COMPARABLE, "dtype") if values[0][name] != values[1][name]]
    told = [[", ".join(sorted(side[name])) or "unknown" for side in values] for name in names]
    return [f"{name}: {x} in {a}, {y} in {b}" for name, (x, y) in zip(names, told, strict=True)]


def _unmatched(shared: pd.DataFrame, a: str, b: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """Cells that only one of the runs holds."""
    known = {tuple(row) for row in shared.itertuples(index=False)}
    told = []
    for run, frame in ((a, ours), (b, theirs)):
        cells = frame[list(shared.columns)].drop_duplicates().itertuples(index=False)
        told += [f"only in {run}: {c[2]} in {c[1]} on {c[0]}, {c[3]} steps" for c in cells if tuple(c) not in known]
    return told
