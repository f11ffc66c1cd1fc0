"""Results in a terminal, at most 80 columns wide: the grid of verdicts, and what changed between two runs."""

from __future__ import annotations

from collections import Counter
from textwrap import fill

from coordbench.harness.analysis.compare import RunComparison
from coordbench.reports.data.run import Run
from coordbench.reports.pages.comparison import Changes, changes
from coordbench.reports.pages.findings import cost_of
from coordbench.reports.text import cost_reader, interval, number, plural, signed

WIDTH = 80
_MOST_LINES = 30

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


def compared(comparison: RunComparison) -> str:
    """What changed from the earlier to the later run: scores first, then exact costs; what did not is counted."""
    moved = changes(comparison)
    sentences = [fill(sentence, WIDTH, subsequent_indent="  ") for sentence in moved.sentences]
    refused = [
        fill(f"times and memory refused: {line}", WIDTH, subsequent_indent="  ") for line in comparison.differences
    ]
    same = [f"{plural(moved.unchanged, 'score')} and {moved.equal_costs} exact costs are the same"]
    lines = [*sentences, *_scores(moved), *_costs(moved), *same, *refused, *_unmatched(comparison)]
    return "\n".join(lines)


def _scores(moved: Changes) -> list[str]:
    lines = []
    columns = ["verdict", "variant", "task", "backbone", "a", "b", "change", "low", "high", "pairs"]
    for verdict, variant, task, backbone, a, b, change, low, high, pairs in moved.scores[columns].itertuples(
        index=False
    ):
        lines.append(fill(f"{verdict:<7}{variant} in {backbone} on {task}", WIDTH, subsequent_indent=" " * 7))
        ends = interval(low, high)
        lines.append(f"       {number(a)} -> {number(b)}, {signed(change)} {ends} from {plural(int(pairs), 'pair')}")
    return _cut(lines)


def _costs(moved: Changes) -> list[str]:
    lines = []
    for variant, task, cost, a, b in moved.costs[["variant", "task", "quantity", "a", "b"]].itertuples(index=False):
        read = cost_reader(str(cost))
        lines.append(fill(f"{cost} of {variant} on {task}: {read(a)} -> {read(b)}", WIDTH, subsequent_indent="  "))
    return _cut(lines)


def _unmatched(comparison: RunComparison) -> list[str]:
    return _cut([fill(line, WIDTH, subsequent_indent="  ") for line in comparison.unmatched], 5)


def _cut(lines: list[str], most: int = _MOST_LINES) -> list[str]:
    return [*lines[:most], f"and {len(lines) - most} more lines"] if len(lines) > most else lines
