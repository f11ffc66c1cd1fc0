"""`coordbench list claims`: the ledger by kind, exact claims decided; a claim that no preset tests is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import get_args

from coordbench.reports.claims.arms import check_arms, presets_of
from coordbench.reports.claims.claims import Claim, Kind, inequality
from coordbench.reports.claims.exact import counted
from coordbench.reports.claims.reading import read_claims
from coordbench.reports.text import number

Row = dict[str, object]
TITLES: dict[Kind, str] = {
    "exact": "exact: counted at the published size, without training",
    "direction": "direction: who leads; decided by the seeds of a run",
    "figure": "figure: a published number, shown beside what is measured",
    "control": "control: ours, in no count of the papers' claims",
}


def show_claims(*, as_json: bool) -> str:
    """The whole ledger as text, or as a JSON array."""
    claims = read_claims()
    check_arms(claims)
    return json.dumps([_row(claim) for claim in claims], indent=1) if as_json else _text(claims)


def _row(claim: Claim) -> Row:
    names = ("kind", "family", "rank", "after", "source", "sentence", "published", "provenance", "setting", "differs")
    row: Row = {"name": claim.id} | {name: getattr(claim, name) for name in names} | {"inequality": inequality(claim)}
    if claim.kind == "exact":
        finding = counted(claim)
        return row | {"measured": finding.measured, "verdict": finding.verdict}
    return row | {"presets": presets_of(claim)}


def _text(claims: Sequence[Claim]) -> str:
    blocks, width = [], max(len(claim.id) for claim in claims)
    for kind in get_args(Kind):
        chosen = [claim for claim in claims if claim.kind == kind]
        lines = [f"{claim.id:<{width}}  {claim.sentence}{_note(claim)}" for claim in chosen]
        blocks.append("\n".join([f"{len(chosen)} {TITLES[kind]}", *lines]))
    counts = ", ".join(f"{sum(claim.kind == kind for claim in claims)} {kind}" for kind in get_args(Kind))
    return "\n\n".join([*blocks, f"{len(claims)} claims: {counts}"])


def _note(claim: Claim) -> str:
    """What decides it, or what it waits for."""
    if claim.kind == "exact":
        finding = counted(claim)
        return f"  [{finding.verdict}: {number(finding.measured)}; published: {claim.published}]"
    if claim.kind == "figure":
        return f"  [published: {claim.published} ({claim.provenance})]"
    return f"  [{claim.rank}{f', after {claim.after}' if claim.after else ''}]" if claim.kind == "direction" else ""
