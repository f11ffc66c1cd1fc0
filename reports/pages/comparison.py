"""Two runs side by side: what changed from the earlier to the later, and what cannot be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from coordbench.harness.analysis.cells import CELL
from coordbench.harness.analysis.compare import RunComparison, compare_runs
from coordbench.harness.analysis.runs import run_facts
from coordbench.harness.store.store import Store
from coordbench.reports.data.facts import RunFacts
from coordbench.reports.pages.rendering import environment, write
from coordbench.reports.text import number, plural

ORDER = ["worse", "better", "open", "tied"]
UNITS = {"latency_forward_seconds": "seconds", "latency_step_seconds": "seconds", "peak_memory_bytes": "size"}
_MOST_NAMED = 3
_MOST_SOURCES = 6


@dataclass(frozen=True)
class Changes:
    """What a comparison comes to: scores that moved, those that are equal to the last digit, costs, and the rest.

    `only` are the cells that one of the runs alone holds.
    """

    scores: pd.DataFrame
    unchanged: int
    costs: pd.DataFrame
    equal_costs: int
    trends: pd.DataFrame
    only: Mapping[str, list[str]]
    sentences: list[str]


def write_comparison(store: Store, run_a: str, run_b: str, out: Path) -> Path:
    """Compare run b with run a, write `out/compare-A-B.html` and return its path. Raise UsageError if that fails."""
    return save(store, compare_runs(store, run_a, run_b), out)


def save(store: Store, comparison: RunComparison, out: Path) -> Path:
    """Write the page of a comparison."""
    about = [RunFacts.read(run_facts(store, run)) for run in (comparison.a, comparison.b)]
    template = environment().get_template("compare.html.j2")
    html = template.render(comparison=comparison, changes=changes(comparison), about=about, units=UNITS)
    return write(html, out / page_name(comparison.a, comparison.b))


def page_name(run_a: str, run_b: str) -> str:
    """The file of a comparison."""
    return f"compare-{run_a}-{run_b}.html"


def newest_pairs(listed: pd.DataFrame) -> list[tuple[str, str]]:
    """The last two runs of each preset, the earlier first; `listed` are those of `analysis.runs`."""
    runs = [group["run"].astype(str).tolist() for _, group in listed.groupby("preset", sort=False)]
    return [(names[-2], names[-1]) for names in runs if len(names) > 1]


def changes(comparison: RunComparison) -> Changes:
    """Sort the rows of a comparison: what got worse first, what did not move at all counted and not shown."""
    rows = comparison.rows
    scores, costs = rows[rows["quantity"] == "score"], rows[rows["quantity"] != "score"]
    place = scores["verdict"].map({verdict: i for i, verdict in enumerate(ORDER)}).astype(float)
    size = -(scores["b"] - scores["a"]).astype(float).abs().fillna(0.0)
    ranked = scores.assign(place=place, size=size).sort_values(["place", "size", *CELL], kind="stable")
    moved = ranked[(ranked["a"] != ranked["b"]) | ranked["verdict"].isin(["worse", "better"])]
    changed = costs[costs["verdict"] == "changed"]
    equal = int((costs["verdict"] == "equal").sum())
    return Changes(
        moved.drop(columns=["place", "size"]),
        len(scores) - len(moved),
        changed,
        equal,
        costs[costs["verdict"] == "trend"],
        _only(comparison),
        _sentences(comparison, moved, len(scores), len(changed), equal),
    )


def _only(comparison: RunComparison) -> dict[str, list[str]]:
    lines: dict[str, list[str]] = {}
    for run in (comparison.a, comparison.b):
        start = f"only in {run}: "
        cells = [line.removeprefix(start) for line in comparison.unmatched if line.startswith(start)]
        if cells:
            lines[run] = cells
    return lines


def _sentences(comparison: RunComparison, moved: pd.DataFrame, scores: int, changed: int, equal: int) -> list[str]:
    """What changed, in words, the weightiest first."""
    if not scores:
        return ["The runs share no contest, so nothing can be compared."]
    sentences = []
    for verdict, words in (("worse", "Worse"), ("better", "Better")):
        rows = moved[moved["verdict"] == verdict]
        if len(rows):
            sentences.append(f"{words} than before: {_named(rows)}.")
    if moved.empty:
        sentences.append(f"All {plural(scores, 'score')} are equal to the last digit.")
    elif not sentences:
        sentences.append(f"No change of a score is proven. {_largest(moved)}")
    undecided = int((moved["verdict"] == "open").sum())
    if undecided:
        sentences.append(f"{undecided} of {plural(scores, 'comparison')} of scores are open.")
    if changed + equal:
        sentences.append(f"Of {changed + equal} exact costs {changed} changed.")
    if comparison.sources:
        sentences.append(f"Changed in between: {_shortened(comparison.sources)}.")
    refused = ["Times and memory were not compared: the machines differ."] if comparison.differences else []
    return sentences + refused


def _largest(moved: pd.DataFrame) -> str:
    """The largest move, so that a reader sees how much `not proven` may hide."""
    variant, task, before, after, pairs = moved.iloc[0][["variant", "task", "a", "b", "pairs"]]
    seeds = plural(int(pairs), "pair")
    return (
        f"The largest: {variant} on {task}, {number(before)} before and {number(after)} after, from {seeds} of seeds."
    )


def _shortened(sources: list[str]) -> str:
    """The files that changed by their names, other parts as they are called."""
    names = [name.removeprefix("source ").rpartition("/")[2] for name in sources]
    more = f" and {len(names) - _MOST_SOURCES} more" if len(names) > _MOST_SOURCES else ""
    return ", ".join(names[:_MOST_SOURCES]) + more


def _named(rows: pd.DataFrame) -> str:
    names = zip(rows["variant"].head(_MOST_NAMED), rows["task"].head(_MOST_NAMED), strict=True)
    more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
    return ", ".join(f"{variant} on {task}" for variant, task in names) + more
