"""The result of a run in a terminal: the grid of verdicts in text, one line per variant."""

from __future__ import annotations

from collections import Counter

from coordbench.reports.data.run import Run
from coordbench.reports.pages.findings import cost_of
from coordbench.reports.text import number, plural

_ORDER = ("better", "worse", "tied", "open")


def grid(run: Run) -> str:
    """One line per variant, such as `rotary_gate: better 2, worse 1, tied 1 of 4; 1.9 x conv's step`."""
    others = [variant for variant in run.variants if variant != run.baseline]
    lines = [f"{variant}: {_line(run, variant)}" for variant in others]
    if not lines:
        return ""
    return "\n".join([f"against {run.baseline}, by {plural(_seeds(run), 'seed')}:", *(f"  {line}" for line in lines)])


def _line(run: Run, variant: str) -> str:
    if variant in run.never_ended:
        rows = run.trials[(run.trials["label"] == variant) & run.trials["contest"].notna()]
        return f"no score, all {plural(len(rows), 'trial')} failed"
    judged = run.verdicts[run.verdicts["variant"] == variant]
    counts = Counter(judged["verdict"].astype(str))
    verdicts = ", ".join(f"{verdict} {counts[verdict]}" for verdict in _ORDER if counts[verdict])
    cost = cost_of(run, variant)
    step = f"; {number(cost, 2)} x {run.baseline}'s step" if cost is not None else ""
    failed = int(run.trials.loc[run.trials["label"] == variant, "failed"].sum())
    lost = f"; {plural(failed, 'trial')} failed" if failed else ""
    return f"{verdicts or 'no verdict'} of {len(judged)}{step}{lost}"


def _seeds(run: Run) -> int:
    return int(run.trials.dropna(subset=["contest"])["seed"].nunique())
