"""Compare two stored runs: scores by pairs of equal seeds, exact costs exactly, times as a trend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import pandas as pd

from coordbench.harness.analysis import cells
from coordbench.harness.analysis.runs import looks, run_facts, sources
from coordbench.harness.analysis.surroundings import differences
from coordbench.harness.analysis.tables import Tables, tables
from coordbench.harness.core.cell import Cell, describe
from coordbench.harness.plan.looks import CellLooks
from coordbench.harness.statistics.paired import FEWEST_PAIRS, Comparison, Verdict, decide, measure
from coordbench.harness.statistics.sequential import at_look, failed_as_worst
from coordbench.harness.statistics.spending import Design
from coordbench.harness.store.store import Store

EXACT = ("parameters", "flops")
TRENDS = ("latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes")
Finding = Literal[Verdict, "equal", "changed", "trend", "refused"]
Outcome = Literal["not comparable", "worse", "nothing shared", "open", "not worse"]
_NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """One quantity of one cell in both runs."""

    cell: Cell
    quantity: str
    a: float
    b: float
    change: float
    verdict: Finding
    note: str = ""
    low: float = _NAN
    high: float = _NAN
    pairs: float = _NAN


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

    def plain(self) -> dict[str, object]:
        """Everything as plain values; what is not a number becomes null."""
        rows = self.rows.astype(object).where(self.rows.notna(), None).to_dict("records")
        return {"a": self.a, "b": self.b, "differences": self.differences, "unmatched": self.unmatched, "rows": rows,
                "sources": self.sources}  # fmt: skip

    @property
    def outcome(self) -> Outcome:
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


@dataclass(frozen=True)
class _Side:
    """The trials of variants that one run tried, and what it knows of the tasks."""

    run: str
    tables: Tables
    by_cell: dict[Cell, pd.DataFrame]
    tasks: dict[str, Any]
    looks: dict[Cell, CellLooks]


def compare_runs(store: Store, a: str, b: str) -> RunComparison:
    """Compare what two runs of a store share.

    Scores are judged by pairs of equal seeds, parameters and FLOPs compared exactly. Times and memory of two jobs are
    a trend and get no verdict; where hardware, torch, dtype or threads differ they are refused.
    """
    sides = _side(store, a), _side(store, b)
    refused = differences(a, b, *(side.tables for side in sides))
    shared = [cell for cell in sides[0].by_cell if cell in sides[1].by_cell]
    rows = [*_score_rows(shared, *sides), *_cost_rows(shared, *sides, refused=bool(refused))]
    return RunComparison(a, b, _frame(rows), refused, _unmatched(set(shared), *sides), _changed_sources(store, a, b))


def _changed_sources(store: Store, a: str, b: str) -> list[str]:
    """What the records of both runs depend on by one name, and which is not the same in both."""
    sides = [sources(store, run) for run in (a, b)]
    return sorted(
        name for name in sides[0].keys() & sides[1].keys() if sides[0][name] != sides[1][name] and " " in name
    )


def _side(store: Store, run: str) -> _Side:
    read = tables(store, run, series=False)
    tried = read.trials[read.trials["reference"].isna() & (read.trials["status"] != "skipped")]
    by_cell: dict[Any, pd.DataFrame] = dict(list(tried.groupby("cell", sort=False)))
    facts = run_facts(store, run)
    return _Side(run, read, by_cell, facts["tasks"], looks(facts))


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as a table: the cell in columns, then the quantity."""
    names = ["quantity", "a", "b", "change", "low", "high", "pairs", "verdict", "note"]
    values = [[getattr(row, item.name) for item in fields(Row)] for row in rows]
    quantities = pd.DataFrame(values, columns=[item.name for item in fields(Row)])[names]
    return pd.concat([cells.columns(row.cell for row in rows), quantities], axis=1)


def _score_rows(shared: Sequence[Cell], a: _Side, b: _Side) -> Iterator[Row]:
    """One row per cell, judged together; the later run knows the metrics."""
    metrics = {task: known["metrics"][0] for task, known in (a.tasks | b.tasks).items()}
    primary = [metrics[str(cell.task)] for cell in shared]
    signs = [1.0 if metric["better"] == "higher" else -1.0 for metric in primary]
    pairs = [_pairs(a.by_cell[cell], b.by_cell[cell]) for cell in shared]
    family = [failed_as_worst(pair["b"] * sign, pair["a"] * sign) for pair, sign in zip(pairs, signs, strict=True)]
    designs = [_design(cell, len(d), a, b) for cell, d in zip(shared, family, strict=True)]
    measured = [measure(d, float(metric["margin"])) for d, metric in zip(family, primary, strict=True)]
    paid = [
        at_look(evidence, design, len(design.looks) - 1 if design else 0)
        for evidence, design in zip(measured, designs, strict=True)
    ]
    judged = decide(paid)
    for cell, pair, sign, comparison, design in zip(shared, pairs, signs, judged, designs, strict=True):
        low, high = sorted((sign * comparison.low, sign * comparison.high))
        filled = _with_failed(pair, sign)
        means = float(filled["a"].mean()), float(filled["b"].mean())
        note = "; ".join(filter(None, [_failures(pair), _missing(comparison), _again(design)]))
        change = sign * comparison.mean
        yield Row(cell, "score", *means, change, comparison.verdict, note, low, high, comparison.pairs)


def _pairs(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The scores of equal seeds side by side; nan where a trial failed."""
    sides = [side.drop_duplicates("seed").set_index("seed")["score"].astype(float) for side in (a, b)]
    return pd.concat(sides, axis=1, keys=["a", "b"], join="inner").sort_index()


def _with_failed(pair: pd.DataFrame, sign: float) -> pd.DataFrame:
    """Failed seeds as the worst score that either side saw; a seed that failed on both sides tells nothing."""
    worst = (pair * sign).min().min() * sign
    return pair.dropna(how="all").fillna(worst)


def _failures(pair: pd.DataFrame) -> str:
    failed = int(pair.isna().any(axis=1).sum())
    return f"{failed} seed{'s' * (failed > 1)} failed on a side and count as the worst" if failed else ""


def _missing(comparison: Comparison) -> str:
    """What an open comparison could have shown."""
    if comparison.verdict != "open":
        return ""
    few = f"fewer than {FEWEST_PAIRS} pairs decide nothing; " if comparison.pairs < FEWEST_PAIRS else ""
    return f"{few}these seeds could only detect a change of {comparison.detectable:.3g} or more"


def _design(cell: Cell, pairs: int, *sides: _Side) -> Design | None:
    """The looks at these pairs that nobody planned: earlier runs of fewer seeds could be compared, too."""
    known = [side.looks[cell] for side in sides if cell in side.looks]
    earlier = {look for one in known for look in one.earlier if look < pairs}
    return Design((*sorted(earlier), pairs)) if earlier else None


def _again(design: Design | None) -> str:
    """That this is not the first look."""
    if design is None:
        return ""
    before = ", ".join(map(str, design.looks[:-1]))
    return f"look {len(design.looks)} at these seeds, after {before}: each is paid for"


def _cost_rows(shared: Sequence[Cell], a: _Side, b: _Side, *, refused: bool) -> Iterator[Row]:
    """Exact quantities: equal or changed. Times and memory: a ratio without a verdict, or refused."""
    for cell in shared:
        ours, theirs = (side.by_cell[cell].iloc[0] for side in (a, b))
        for name in (*EXACT, *TRENDS):
            if not pd.isna(ours[name]) and not pd.isna(theirs[name]):
                yield _cost_row(cell, name, float(ours[name]), float(theirs[name]), refused=refused)


def _cost_row(cell: Cell, name: str, a: float, b: float, *, refused: bool) -> Row:
    if name in EXACT:
        return Row(cell, name, a, b, b - a, "equal" if a == b else "changed")
    if refused:
        return Row(cell, name, np.nan, np.nan, np.nan, "refused", "not comparable")
    return Row(cell, name, a, b, b - a, "trend", f"x {b / a:.3g}; two jobs, so no verdict" if a else "")


def _unmatched(shared: set[Cell], *sides: _Side) -> list[str]:
    """Cells that only one of the runs holds."""
    return [
        f"only in {side.run}: {describe(cell)}, {cell.budget.steps} steps"
        for side in sides
        for cell in side.by_cell
        if cell not in shared
    ]
