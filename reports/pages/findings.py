"""What a run found, in a few sentences, the most important first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from coordbench.harness.statistics.paired import FEWEST_PAIRS
from coordbench.reports.claims.claims import Finding
from coordbench.reports.claims.summary import Summary
from coordbench.reports.data.run import Run
from coordbench.reports.text import finite, number, plural, with_interval

MOST_NAMED = 4


def findings(run: Run, ledger: Sequence[Finding]) -> list[str]:
    """A few sentences that say what was found."""
    statuses = run.trials["status"]
    if not len(statuses):
        return ["Nothing was planned, so nothing was found."]
    altered = [sentence for sentence in [_altered(run), _unsteady(run)] if sentence]
    if not int((statuses == "ok").sum()):
        none = f"No trial ended well: all {plural(len(statuses), 'trial')} failed or were not run. See Failures."
        return [*altered, none]
    sentences = (_leader(run), *_never_ended(run), *_standings(run), _claims(ledger), _doubt(run), _again(run))
    return [*altered, *(sentence for sentence in sentences if sentence)]


def _altered(run: Run) -> str:
    """Which records are no longer what was stored, before anything else is believed."""
    trials = run.trials[run.trials["altered"].astype(bool)]
    costs = run.tables.costs["altered"].astype(bool)
    names = [f"{label}, seed {seed}" for label, seed in trials[["label", "seed"]].head(MOST_NAMED).to_numpy().tolist()]
    if not len(trials) and not costs.any():
        return ""
    measured = f" and {plural(int(costs.sum()), 'measurement')} of costs" if costs.any() else ""
    which = f" ({'; '.join(names)}{', ..' if len(trials) > MOST_NAMED else ''})" if names else ""
    return f"Altered after it was stored, do not trust: {plural(len(trials), 'trial')}{which}{measured}."


def _unsteady(run: Run) -> str:
    """Which layers gave other bits when the first steps of a trial were trained again from the same seed."""
    trials = run.trials[run.trials["unsteady"].astype(str) != ""].drop_duplicates("label")
    named = [
        f"{label} ({where})" for label, where in trials[["label", "unsteady"]].head(MOST_NAMED).to_numpy().tolist()
    ]
    if not named:
        return ""
    more = ", .." if len(trials) > MOST_NAMED else ""
    return f"Not deterministic, trained twice from one seed: {'; '.join(named)}{more}."


def cost_of(run: Run, variant: str) -> float | None:
    """The training step of a variant as a multiple of the baseline's, the geometric mean over contests."""
    ratios = [ratio for (_, name), ratio in run.step_ratios.items() if name == variant and ratio > 0]
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else None


def failed_share(run: Run) -> dict[str, int]:
    """How many trials of each variant failed."""
    bad = run.trials[run.trials["failed"].astype(bool)]
    return {str(label): int(count) for label, count in bad.groupby("label").size().items()}


def _leader(run: Run) -> str:
    """Who leads, over whom, and at what cost."""
    ranked = run.aggregate[run.aggregate["complete"]]
    if len(ranked) < 2:
        return ""
    first, second = (_scored(ranked.iloc[place]) for place in (0, 1))
    contests, seeds = int(ranked["of"].iloc[0]), int(ranked["seeds"].iloc[0])
    names = ranked["variant"].astype(str).tolist()
    whom = "" if len(ranked) == len(run.variants) else f"Of the {len(ranked)} variants that ended well there, "
    sentence = f"{whom}{names[0]} has the highest normalized score over {plural(contests, 'contest')}, {first}"
    if finite(ranked["low"].iloc[0]) is None:
        sentence += ", from one seed: nothing can be said about how sure that is"
    elif seeds < FEWEST_PAIRS:
        sentence += f", before {names[1]} with {second}; {plural(seeds, 'seed')} prove no order"
    else:
        clear = float(ranked["low"].iloc[0]) > float(ranked["high"].iloc[1])
        sentence += f", {'clear of' if clear else 'not clear of'} {names[1]} with {second}"
    cost = cost_of(run, names[0])
    if cost is not None and names[0] != run.baseline:
        sentence += f". Its training step takes {number(cost, 2)} x that of {run.baseline}"
    return f"{sentence}."


def _scored(row: pd.Series[float]) -> str:
    return with_interval(row["iqm"], row["low"], row["high"], 2)


def _never_ended(run: Run) -> list[str]:
    """A line for each variant of which no trial ended well."""
    lines = []
    for variant in run.never_ended:
        rows = run.trials[(run.trials["label"] == variant) & run.trials["contest"].notna()]
        status = str(rows["status"].mode().iloc[0]).replace("_", " ")
        lines.append(f"{variant} has no score: all {plural(len(rows), 'trial')} failed ({status}).")
    if len(lines) > MOST_NAMED:
        lines[MOST_NAMED:] = [f"{len(lines) - MOST_NAMED} other variants have no score either. See Failures."]
    return lines


def _claims(ledger: Sequence[Finding]) -> str:
    """How many sentences of the papers stand; nothing where the run is about none of them."""
    claimed = Summary(ledger)
    count = len(claimed.directions)
    if not claimed.tested:
        return ""
    if not claimed.decided:
        return f"None of the papers' {count} claims of who leads is decided by this run."
    return f"Of the papers' {count} claims of who leads this run upholds {claimed.holds} and refutes {claimed.fails}."


def _standings(run: Run) -> list[str]:
    """Who is better and who is worse than the baseline, and where most clearly."""
    judged = run.verdicts
    undecided = judged["verdict"] == "open"
    few = judged["pairs"].max() < FEWEST_PAIRS if len(judged) else False
    groups = {
        f"Better than {run.baseline}": judged["verdict"] == "better",
        f"Worse than {run.baseline}": judged["verdict"] == "worse",
        f"Leaning ahead of {run.baseline}, not decided": few & undecided & (judged["low"] > 0),
        f"Leaning behind {run.baseline}, not decided": few & undecided & (judged["high"] < 0),
    }
    over = plural(judged["contest"].nunique(), "contest")
    counted = {title: judged.loc[rows, "variant"].value_counts() for title, rows in groups.items()}
    return [f"{title}: {_counts(counts)} of {over}." for title, counts in counted.items() if len(counts)]


def _counts(counts: pd.Series[int]) -> str:
    named = ", ".join(f"{variant} in {count}" for variant, count in counts.head(MOST_NAMED).items())
    return f"{named} and {plural(len(counts) - MOST_NAMED, 'other')}" if len(counts) > MOST_NAMED else named


def _every(comparisons: int) -> str:
    return "the only comparison is" if comparisons == 1 else f"all {comparisons} comparisons are"


def _doubt(run: Run) -> str:
    judged = run.verdicts
    if not len(judged):
        return _none_beside(run)
    most = int(judged["pairs"].max())
    if most < 2:
        return "One seed gives no interval and no verdict; run more seeds."
    undecided = int((judged["verdict"] == "open").sum())
    if not undecided:
        return ""
    if most < FEWEST_PAIRS:
        opening = _every(len(judged)).capitalize()
        return f"{opening} open: fewer than {FEWEST_PAIRS} seeds each decide nothing."
    finals = _finals(judged) if run.facts.planned else ""
    if undecided == len(judged):
        return f"No difference and no tie is shown: {_every(undecided)} open.{finals}"
    some = f"{undecided} of {plural(len(judged), 'comparison')} are open"
    return f"{some}: neither a difference nor a tie is shown.{finals}"


def _none_beside(run: Run) -> str:
    """Why no layer is compared with the baseline: none was planned beside it, or none ended well there."""
    planned = run.trials[run.trials["contest"].notna()].groupby("contest")["label"].nunique()
    if planned.max() == 1:
        return "Each contest holds one layer, so that none is compared with another here; claims may compare contests."
    return "There is nothing to compare: no variant ended well beside its baseline."


def _finals(judged: pd.DataFrame) -> str:
    """How many verdicts do not change any more, and which look may change the others."""
    ahead = {one.next for one in judged["looks"]} - {""}
    more = f"; {min(ahead)}" if ahead else ""
    return f" {int(judged['final'].sum())} of {plural(len(judged), 'verdict')} are final{more}."


def _again(run: Run) -> str:
    """That earlier runs looked at seeds of this one, which nobody planned."""
    earlier = sorted({look for one in run.facts.looks.values() for look in one.earlier})
    if not earlier:
        return ""
    counts = ", ".join(map(str, earlier))
    return (
        f"Earlier runs looked at these seeds, at {counts} of them; this look is paid for, so its bounds are stricter."
    )
