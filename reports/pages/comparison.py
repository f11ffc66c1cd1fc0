"""Two runs side by side: what changed from the earlier to the later, and what cannot be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from coordbench.harness.analysis import summarize
from coordbench.harness.analysis.compare import RunComparison, compare_runs
from coordbench.harness.analysis.summarize import CELL
from coordbench.harness.core.errors import UsageError
from coordbench.harness.store.store import Store
from coordbench.reports.pages import rendering

ORDER = ["worse", "better", "open", "tied"]
UNITS = {"latency_forward_seconds": "seconds", "latency_step_seconds": "seconds", "peak_memory_bytes": "size"}


def write_comparison(store: Store, run_a: str, run_b: str, out: Path) -> Path:
    """Compare run b with run a, write `out/compare-A-B.html` and return its path. Raise UsageError if that fails."""
    return save(store, compare_runs(store, run_a, run_b), out)


def save(store: Store, found: RunComparison, out: Path) -> Path:
    """Write the page of a comparison that was made already."""
    path = out / page_name(found.a, found.b)
    about = [summarize.run_facts(store, run) for run in (found.a, found.b)]
    html = rendering.environment().get_template("compare.html.j2").render(**_told(found), about=about)
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"comparison {str(path)!r} cannot be written: {error.strerror or error}") from error
    return path


def page_name(run_a: str, run_b: str) -> str:
    """The file of a comparison."""
    return f"compare-{run_a}-{run_b}.html"


def newest_pairs(listed: pd.DataFrame) -> list[tuple[str, str]]:
    """The last two runs of each preset, the earlier first; `listed` are those of `summarize.runs`."""
    runs = [group["run"].astype(str).tolist() for _, group in listed.groupby("preset", sort=False)]
    return [(names[-2], names[-1]) for names in runs if len(names) > 1]


def scores(found: RunComparison) -> pd.DataFrame:
    """Rows about scores, what got worse first."""
    rows = found.rows[found.rows["quantity"] == "score"]
    place = rows["verdict"].map({verdict: i for i, verdict in enumerate(ORDER)})
    return rows.assign(place=place).sort_values(["place", *CELL], kind="stable").drop(columns="place")


def _told(found: RunComparison) -> dict[str, Any]:
    """What the template shows."""
    scored, costs = scores(found), found.rows[found.rows["quantity"] != "score"]
    only = {run: [line for line in found.unmatched if line.startswith(f"only in {run}:")] for run in (found.a, found.b)}
    return {
        "found": found,
        "scores": scored,
        "counts": scored["verdict"].value_counts().to_dict(),
        "sentences": _sentences(found, scored, costs),
        "changed": costs[costs["verdict"] == "changed"],
        "equal": int((costs["verdict"] == "equal").sum()),
        "trends": costs[costs["verdict"] == "trend"],
        "only": {run: [line.partition(": ")[2] for line in lines] for run, lines in only.items() if lines},
        "units": UNITS,
    }


def _sentences(found: RunComparison, scored: pd.DataFrame, costs: pd.DataFrame) -> list[str]:
    """What changed, in words, the weightiest first."""
    if scored.empty:
        return ["The runs share no contest, so nothing can be compared."]
    told = []
    for verdict, words in (("worse", "Worse"), ("better", "Better")):
        own = scored[scored["verdict"] == verdict]
        named = [f"{row.variant} on {row.task}" for row in own.head(3).itertuples()]
        more = f" and {len(own) - 3} more" if len(own) > 3 else ""
        told += [f"{words} than before: {', '.join(named)}{more}."] if len(own) else []
    if not told:
        told = ["No score is shown to have changed."]
    open_ones = int((scored["verdict"] == "open").sum())
    told += [f"{open_ones} of {len(scored)} comparisons of scores are open."] if open_ones else []
    changed = int((costs["verdict"] == "changed").sum())
    equal = int((costs["verdict"] == "equal").sum())
    if changed + equal:
        told.append(f"Of {changed + equal} exact costs {changed} changed.")
    return told + (["Times and memory were not compared: the machines differ."] if found.differences else [])
