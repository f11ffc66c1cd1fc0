"""The ledger of claims: sentences of papers as inequalities over the tables, and what a run says to each.

A claim in `claims.toml` compares a left side, and a right side where it has one, seed by seed:

    level        the left side's metric                  reduction    1 - left / right
    difference   left - right                            ratio        left / right, of scores or of costs
    spread       spread of right over spread of left     survival     how long the left lives against the right

and says by `relation` and `value` what that must be. A side is a variant with its backbone; `options` fixes options of
the task, where "" stands for the default. Results that have not converged decide nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy import stats

from harness import statistics
from harness.spec import UsageError
from reports.runs import COSTS, Run

FILE = Path(__file__).parent / "claims.toml"
LEVEL = 0.05
FEWEST_SEEDS = 3
Measure = Literal["level", "difference", "reduction", "ratio", "spread", "survival"]
Verdict = Literal["holds", "fails", "inconclusive", "not run"]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Claim:
    """One sentence that could be wrong."""

    id: str
    source: str
    sentence: str
    task: str
    left: Mapping[str, str]
    relation: Literal[">", "<"]
    value: float
    right: Mapping[str, str] = field(default_factory=dict)
    paper: str = "not stated"
    setting: str = "not stated"
    measure: Measure = "difference"
    metric: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What a run says to a claim: `p` is two-sided against `value`, None where the quantity is exact or missing."""

    claim: Claim
    verdict: Verdict
    measured: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    seeds: int = 0
    here: str = ""
    reason: str = ""
    p: float | None = None


@cache
def read_claims(path: Path = FILE) -> tuple[Claim, ...]:
    """Read the ledger; raise UsageError where a claim is malformed."""
    known = {item.name for item in fields(Claim)}
    made = []
    for table in tomllib.loads(path.read_text(encoding="utf-8"))["claim"]:
        wrong = set(table) - known
        if wrong or table.get("measure", "level") not in get_args(Measure):
            raise UsageError(
                f"claim {table.get('id')!r}: {sorted(wrong) or table['measure']!r} is not valid; "
                f"valid keys: {', '.join(sorted(known))}; valid measures: {', '.join(get_args(Measure))}"
            )
        made.append(Claim(**table))
    return tuple(made)


def ledger(run: Run, claims: Sequence[Claim] | None = None) -> list[Finding]:
    """Decide all claims; those that rest on seeds are adjusted together by Holm."""
    drafts = [_measure(run, claim) for claim in (read_claims() if claims is None else claims)]
    tested = [i for i, draft in enumerate(drafts) if draft.p is not None]
    adjusted = dict(zip(tested, statistics.holm([drafts[i].p or 0.0 for i in tested]), strict=True))
    return [_decided(draft, adjusted.get(i)) for i, draft in enumerate(drafts)]


def decided_share(findings: Sequence[Finding]) -> float:
    """The share of all claims that hold or fail."""
    return sum(f.verdict in ("holds", "fails") for f in findings) / max(1, len(findings))


def table(run: Run) -> pd.DataFrame:
    """The ledger as a table."""
    rows = []
    for f in ledger(run):
        told: dict[str, Any] = {
            "id": f.claim.id,
            "source": f.claim.source,
            "sentence": f.claim.sentence,
            "paper": f.claim.paper,
        }
        told |= {"inequality": inequality(f.claim), "measured": f.measured, "low": f.low, "high": f.high}
        told |= {"seeds": f.seeds, "verdict": f.verdict, "here": f.here, "reason": f.reason, "setting": f.claim.setting}
        rows.append(told)
    return pd.DataFrame(rows)


def inequality(claim: Claim) -> str:
    """The claim as it is tested."""
    left, right = (side.get("variant", "") for side in (claim.left, claim.right))
    of = claim.metric or "score"
    form = {
        "level": f"{of}({left})",
        "difference": f"{of}({left}) - {of}({right})",
        "reduction": f"1 - {of}({left}) / {of}({right})",
        "ratio": f"{of}({left}) / {of}({right})",
        "spread": f"spread of {of}({right}) / spread of {of}({left})",
        "survival": f"time to collapse: {left} against {right}",
    }[claim.measure]
    return f"{form} {claim.relation} {claim.value:g}"


def _decided(draft: Finding, p: float | None) -> Finding:
    if draft.verdict != "inconclusive" or draft.reason or np.isnan(draft.measured):
        return draft
    side = draft.measured > draft.claim.value if draft.claim.relation == ">" else draft.measured < draft.claim.value
    if p is not None and p >= LEVEL:
        return _with(draft, reason="seeds do not decide")
    return _with(draft, verdict="holds" if side else "fails")


def _measure(run: Run, claim: Claim) -> Finding:
    """Draft a finding: measured and tested, not yet adjusted nor decided."""
    pair = next(_contests(run, claim), None)
    if pair is None:
        return Finding(claim, "not run", reason="no contest of this run is about it")
    left, right = pair
    backbones = dict.fromkeys(side.iloc[0]["full_backbone"] for side in (left, right) if side is not None)
    here = f"{left.iloc[0]['full_task']}, {' against '.join(backbones)}, {int(left.iloc[0]['steps_planned'])} steps"
    if claim.metric in COSTS:
        return _cost(claim, left, right, here)
    values = [_values(run, claim, side) for side in (left, right) if side is not None]
    if claim.measure == "survival":
        return _survival(run, claim, left, right, here)
    paired = pd.concat(values, axis=1, join="inner").dropna()
    draft = Finding(claim, "inconclusive", seeds=len(paired), here=here)
    if len(paired) == 0:
        return _with(draft, verdict="not run", reason="no seed ended well on all sides")
    both = pd.concat([side for side in (left, right) if side is not None])
    falling = int((both["converged"] == False).sum())  # noqa: E712  # nullable
    sides = [paired.iloc[:, i].to_numpy(float) for i in range(paired.shape[1])]
    draft = _tested(draft, sides, _margin(run, claim, left))
    if falling:
        return _with(draft, reason=f"{falling} of {len(both)} trials had not converged")
    if len(paired) < FEWEST_SEEDS:
        return _with(draft, reason=f"fewer than {FEWEST_SEEDS} seeds")
    return draft


def _tested(draft: Finding, sides: Sequence[Floats], margin: float) -> Finding:
    """Fill in value, interval and p of a measure over paired seeds."""
    claim = draft.claim
    if claim.measure == "spread":
        return _spread(draft, *sides)
    with np.errstate(divide="ignore", invalid="ignore"):
        samples = _samples(claim.measure, *sides)
    scale = float(np.mean(np.abs(sides[-1]))) if claim.measure in ("reduction", "ratio") else 1.0
    if not np.isfinite(samples).all() or scale == 0:
        return _with(draft, reason="a side is zero, so their ratio means nothing")
    low, high = statistics.mean_interval(samples)
    p = statistics.paired_t(samples - claim.value, smallest_deviation=margin / 4 / scale)
    return _with(draft, measured=float(samples.mean()), low=low, high=high, p=p)


def _samples(measure: Measure, left: Floats, right: Floats | None = None) -> Floats:
    if right is None:
        return left
    return {"difference": left - right, "reduction": 1 - left / right, "ratio": left / right}[measure]


def _spread(draft: Finding, left: Floats, right: Floats) -> Finding:
    """Ratio of standard deviations, right over left, with the interval of the F distribution."""
    n = len(left)
    if n < 2 or left.std() == 0 or right.std() == 0:
        return _with(draft, reason="no spread to compare")
    ratio = float(right.std(ddof=1) / left.std(ddof=1))
    edges = np.sqrt(stats.f.ppf([0.975, 0.025], n - 1, n - 1))
    tail = float(stats.f.sf((ratio / draft.claim.value) ** 2, n - 1, n - 1))
    return _with(draft, measured=ratio, low=ratio / edges[0], high=ratio / edges[1], p=2 * min(tail, 1 - tail))


def _survival(run: Run, claim: Claim, left: pd.DataFrame, right: pd.DataFrame | None, here: str) -> Finding:
    """Compare times to collapse; measured is the z of the log-rank test, positive where the left lives longer."""
    sides = []
    for side in (left, right):
        assert side is not None, "a claim about survival names two sides"
        scores = {name: _metric(run, side, name) for name in ("collapse_images", "collapse_state")}
        sides.append(pd.DataFrame(scores).dropna())
    seeds = min(map(len, sides))
    draft = Finding(claim, "inconclusive", seeds=seeds, here=here)
    if seeds < FEWEST_SEEDS:
        return _with(draft, reason=f"{seeds} seeds started on a side; {FEWEST_SEEDS} are needed")
    events = [argument for side in sides for argument in (side["collapse_images"], side["collapse_state"] == 1)]
    z, p = statistics.log_rank(*events)
    return _with(draft, measured=-z, p=p)


def _cost(claim: Claim, left: pd.DataFrame, right: pd.DataFrame | None, here: str) -> Finding:
    """Exact quantities of one machine: no seeds, no interval."""
    sides = [side[claim.metric].dropna() for side in (left, right) if side is not None]
    if any(side.empty for side in sides):
        return Finding(claim, "not run", here=here, reason=f"{claim.metric} was not measured")
    values = [np.array([float(side.iloc[0])]) for side in sides]
    return Finding(claim, "inconclusive", measured=float(_samples(claim.measure, *values)[0]), here=here)


def _contests(run: Run, claim: Claim) -> Iterator[tuple[pd.DataFrame, pd.DataFrame | None]]:
    """The trials of the left and the right side on a same task; the longest trained first."""
    sides = [_side(run, claim, side) for side in (claim.left, claim.right) if side]
    for contest, left in sorted(sides[0].items(), key=lambda item: -item[1]["steps_planned"].iloc[0]):
        if len(sides) == 1:
            yield left, None
            continue
        for other, right in sides[1].items():
            ours, theirs = left.iloc[0], right.iloc[0]
            task = claim.right.get("task") or claim.right.get("options")
            same = contest == other if claim.left.get("backbone") == claim.right.get("backbone") else True
            if same and (task or ours["full_task"] == theirs["full_task"]):
                yield left, right


def _side(run: Run, claim: Claim, side: Mapping[str, Any]) -> dict[float, pd.DataFrame]:
    """Contest -> ok trials of the variant that a side names."""
    trials = run.trials
    options = {**claim.options, **side.get("options", {})}
    named = (trials["task"] == side.get("task", claim.task)) & (trials["label"] == side["variant"])
    own = trials[named & (trials["status"] == "ok") & trials["contest"].notna()]
    own = own[_holds(own["task_options"], options)]
    if "backbone" in side:
        name, _, rest = str(side["backbone"]).partition("[")
        own = own[(own["backbone"] == name) & _holds(own["backbone_options"], _options(rest.rstrip("]")))]
    return dict(list(own.groupby("contest", sort=True)))


def _holds(texts: pd.Series[Any], wanted: Mapping[str, str]) -> pd.Series[Any]:
    """Which canonical options agree with the wanted ones; "" stands for a default, which is not spelled out."""
    known = texts.fillna("").astype(object)
    agrees = [all(_options(text).get(k, "") == str(v) for k, v in wanted.items()) for text in known]
    return pd.Series(agrees, index=texts.index, dtype=bool)


@cache
def _options(text: str) -> dict[str, str]:
    pairs = (part.split("=", 1) for part in text.split(", ") if "=" in part)
    return {name.strip(): value for name, value in pairs}


def _values(run: Run, claim: Claim, side: pd.DataFrame) -> pd.Series[Any]:
    return _metric(run, side, claim.metric) if claim.metric else side.set_index("seed")["score"].astype(float)


def _metric(run: Run, side: pd.DataFrame, metric: str) -> pd.Series[Any]:
    """Seed -> a test metric."""
    scores = run.tables.scores
    own = scores[(scores["metric"] == metric) & (scores["split"] == "test") & scores["trial"].isin(side.index)]
    return pd.Series(own["value"].to_numpy(float), index=side.loc[own["trial"], "seed"].to_numpy())


def _margin(run: Run, claim: Claim, side: pd.DataFrame) -> float:
    metrics = run.facts["tasks"][side.iloc[0]["full_task"]]["metrics"]
    return float(next((m["margin"] for m in metrics if m["name"] == claim.metric), metrics[0]["margin"]))


def _with(finding: Finding, **changes: Any) -> Finding:
    return Finding(**{**vars(finding), **changes})
