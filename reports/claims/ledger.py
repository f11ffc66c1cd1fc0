"""What a run says to each claim: holds, fails, open or not run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from coordbench.harness.statistics.hierarchy import hierarchical
from coordbench.harness.statistics.multiple import holm
from coordbench.harness.statistics.paired import LEVEL, smallest_detectable_effect
from coordbench.harness.statistics.sequential import over_looks
from coordbench.reports.claims.claims import Claim, Finding, Kind, inequality, meets
from coordbench.reports.claims.looking import concluded, drafts
from coordbench.reports.claims.reading import read_claims
from coordbench.reports.data.stored import Stored
from coordbench.reports.text import number

NOWHERE = -1
"""The place of a primary claim that a run does not test."""

RESERVE = 0.2
"""The share of a family's level that is kept for secondary claims: a primary one that is tied hands nothing on."""


def ledger(run: Stored, claims: Sequence[Claim] | None = None) -> list[Finding]:
    """What one run says to all claims."""
    return decide([drafts(run, claim) for claim in (read_claims() if claims is None else claims)])


def decide(histories: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Decide claims by their drafts at each look: exact ones by counting, directions and controls family by family.

    Figures are only shown. Where several looks are planned each family is judged look by look, and what is decided
    stays as it is.
    """
    findings = [history[-1] for history in histories]
    families: dict[tuple[str, Kind], list[int]] = {}
    for i, finding in enumerate(findings):
        families.setdefault((finding.claim.family, finding.claim.kind), []).append(i)
    for places in families.values():
        paths = over_looks([histories[i] for i in places], _judged, lambda finding: finding.decided)
        for i, finding in zip(places, concluded(paths), strict=True):
            findings[i] = finding
    return findings


def of_page(run: Stored) -> list[Finding]:
    """The same for a page; it counts no exact claim where the run tests no other, since it then shows none."""
    claims = read_claims()
    trained = ledger(run, [claim for claim in claims if claim.kind != "exact"])
    if all(finding.verdict == "not run" for finding in trained):
        return trained
    return [*trained, *ledger(run, [claim for claim in claims if claim.kind == "exact"])]


def _judged(drafts: Sequence[Finding]) -> list[Finding]:
    """Decide the claims of one family and kind; a secondary one is looked at once its primary one is decided, or tied.

    Claims that this run does not test count as tested and not decided: what several runs decide, each of a part of the
    family, then keeps the family's level together.
    """
    parents = _parents(drafts)
    p_values = [1.0 if draft.p is None or _void(draft) else draft.p for draft in drafts]
    adjusted, shares = hierarchical(p_values, parents, RESERVE, LEVEL)
    ties = holm([1.0 if draft.p is None else draft.p_tied for draft in drafts])
    settled = np.minimum(adjusted, ties)
    judged = []
    for draft, parent, p, tied, share in zip(drafts, parents, adjusted, ties, shares, strict=True):
        if draft.p is None:
            judged.append(_counted(draft))
        elif parent is None or (parent != NOWHERE and settled[parent] < LEVEL):
            judged.append(_tested(draft, float(p), float(tied), LEVEL * float(share)))
        else:
            judged.append(_waiting(draft))
    return judged


def _parents(drafts: Sequence[Finding]) -> list[int | None]:
    """Where the primary claim of each stands: None for a primary one, NOWHERE where it is not among them."""
    ids = [draft.claim.id for draft in drafts]
    after = [None if draft.claim.rank == "primary" else draft.claim.after for draft in drafts]
    return [None if name is None else ids.index(name) if name in ids else NOWHERE for name in after]


def _waiting(draft: Finding) -> Finding:
    return draft if _void(draft) else replace(draft, reason=f"looked at only once {draft.claim.after} is decided")


def table(run: Stored) -> pd.DataFrame:
    """The ledger as a table."""
    return pd.DataFrame([_row(finding) for finding in ledger(run)])


def _row(finding: Finding) -> dict[str, str | float]:
    claim = finding.claim
    described: dict[str, str | float] = {
        name: getattr(claim, name) for name in ("id", "family", "kind", "rank", "source", "sentence", "published")
    }
    described |= {"provenance": claim.provenance or "", "inequality": inequality(claim)}
    described |= {name: getattr(finding, name) for name in ("measured", "low", "high", "seeds", "verdict", "here")}
    return described | {"reason": finding.reason, "setting": claim.setting, "differs": claim.differs}


def _counted(draft: Finding) -> Finding:
    """A draft that rests on no seeds: an exact claim is decided by what was counted, others stay as they are."""
    return draft if _void(draft) else _sided(draft)


def _tested(draft: Finding, p: float, p_tied: float, level: float) -> Finding:
    """Decide by adjusted p values; `level` is the claim's own, below which its p would decide."""
    if _void(draft):
        return draft
    margin = f"within a margin of {draft.margin:g}"
    if p < LEVEL:
        return replace(_sided(draft), reason=f"by little: {margin}" if p_tied < LEVEL else "")
    if p_tied < LEVEL:
        leads = meets(draft.claim, draft.low if draft.claim.relation == ">" else draft.high)
        return replace(
            draft,
            verdict="open" if leads else "fails",
            reason=f"{'leads by little' if leads else 'tied'}: {margin}",
        )
    if draft.looks is not None or not draft.deviation > 0:
        return replace(draft, reason="" if draft.looks else "seeds do not decide", level=level)
    detectable = number(smallest_detectable_effect(draft.deviation, draft.seeds, level))
    return replace(draft, reason=f"these seeds could only detect a change of {detectable} or more")


def _void(draft: Finding) -> bool:
    return draft.verdict != "open" or bool(draft.reason) or np.isnan(draft.measured)


def _sided(draft: Finding) -> Finding:
    return replace(draft, verdict="holds" if meets(draft.claim, draft.measured) else "fails")
