"""The ledger of claims: sentences of papers as inequalities over the tables.

A claim in `claims.toml` compares a left side, and a right side where it has one, seed by seed:

    level        the left side's metric                  reduction    1 - left / right
    difference   left - right                            ratio        left / right, of scores or of costs
    spread       spread of right over spread of left     survival     how long the left lives against the right

and says by `relation` and `value` what that must be. A side is a variant with its backbone; `options` fixes options of
the task, where "" stands for the default. `evidence` measures a claim in a run, `ledger` decides all of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from coordbench.harness.core.errors import UsageError

FILE = Path(__file__).parent / "claims.toml"
Measure = Literal["level", "difference", "reduction", "ratio", "spread", "survival"]
Relation = Literal[">", "<"]
Verdict = Literal["holds", "fails", "open", "not run"]


@dataclass(frozen=True)
class Claim:
    """One sentence that could be wrong."""

    id: str
    source: str
    sentence: str
    task: str
    left: Mapping[str, str]
    relation: Relation
    value: float
    right: Mapping[str, str] = field(default_factory=dict)
    paper: str = "not stated"
    setting: str = "not stated"
    measure: Measure = "difference"
    metric: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What a run says to a claim.

    `p` is two-sided against `value`, None where the quantity is exact or missing. `p_tied` is that against a difference
    beyond the `margin`, of claims that one side leads the other; `deviation` is over seeds.
    """

    claim: Claim
    verdict: Verdict
    measured: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    seeds: int = 0
    here: str = ""
    reason: str = ""
    p: float | None = None
    p_tied: float = 1.0
    margin: float = 0.0
    deviation: float = float("nan")


@cache
def read_claims(path: Path = FILE) -> tuple[Claim, ...]:
    """Read the ledger; raise UsageError where a claim is malformed."""
    made = []
    for table in tomllib.loads(path.read_text(encoding="utf-8")).get("claim", []):
        wrong = _wrong(table)
        if wrong:
            raise UsageError(f"claim {table.get('id')!r} in {path.name}: {wrong}")
        made.append(Claim(**table))
    return tuple(made)


def _wrong(table: Mapping[str, Any]) -> str:
    """What is wrong with a claim as it was written, and what is valid; "" where nothing is."""
    known = {item.name for item in fields(Claim)}
    needed = {item.name for item in fields(Claim) if item.default is MISSING and item.default_factory is MISSING}
    for names, why in ((set(table) - known, "unknown"), (needed - set(table), "missing")):
        if names:
            return f"{why}: {', '.join(sorted(names))}; valid keys: {', '.join(sorted(known))}"
    for key, valid in (("measure", get_args(Measure)), ("relation", get_args(Relation))):
        if table.get(key, valid[0]) not in valid:
            return f"{key} = {table[key]!r} is not valid; valid: {', '.join(valid)}"
    if isinstance(table["value"], bool) or not isinstance(table["value"], int | float):
        return f"value = {table['value']!r} is not a number"
    measure = table.get("measure", "difference")
    if measure != "level" and "right" not in table:
        return f"measure {measure!r} compares two sides, but there is no `right`"
    sides = [table[side] for side in ("left", "right") if side in table]
    return "" if all("variant" in side for side in sides) else "each side needs a `variant`"


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
