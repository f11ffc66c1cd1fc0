"""What a run says to each claim: holds, fails, open or not run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from coordbench.harness.statistics.multiple import holm, holm_levels
from coordbench.harness.statistics.paired import LEVEL, MOST_SEEDS, more_seeds
from coordbench.reports.claims.claims import Claim, Finding, inequality, read_claims
from coordbench.reports.claims.evidence import measure
from coordbench.reports.data.stored import Run


def ledger(run: Run, claims: Sequence[Claim] | None = None) -> list[Finding]:
    """Decide all claims; those that rest on seeds are adjusted together by Holm, as differences and as ties."""
    drafts = [measure(run, claim) for claim in (read_claims() if claims is None else claims)]
    p_values = [draft.p for draft in drafts if draft.p is not None]
    ties = holm([draft.p_tied for draft in drafts if draft.p is not None])
    together = iter(zip(holm(p_values), ties, holm_levels(p_values, LEVEL), strict=True))
    return [_exact(draft) if draft.p is None else _tested(draft, *map(float, next(together))) for draft in drafts]


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


def _exact(draft: Finding) -> Finding:
    return draft if _void(draft) else _sided(draft)


def _tested(draft: Finding, p: float, p_tied: float, level: float) -> Finding:
    """Decide by adjusted p values; `level` is the claim's own, below which its p would decide."""
    if _void(draft):
        return draft
    margin = f"within a margin of {draft.margin:g}"
    if p < LEVEL:
        return replace(_sided(draft), reason=f"by little: {margin}" if p_tied < LEVEL else "")
    if p_tied < LEVEL:
        leads = _meets(draft.claim, draft.low if draft.claim.relation == ">" else draft.high)
        return replace(
            draft,
            verdict="open" if leads else "fails",
            reason=f"{'leads by little' if leads else 'tied'}: {margin}",
        )
    effect = draft.measured - draft.claim.value
    more = more_seeds(effect, draft.deviation, draft.seeds, draft.margin, level) if draft.deviation > 0 else None
    told = f"about {more} more like these would" if more else f"{MOST_SEEDS} like these would not either"
    return replace(draft, reason="seeds do not decide" + (f"; {told}" if draft.deviation > 0 else ""))


def _void(draft: Finding) -> bool:
    return draft.verdict != "open" or bool(draft.reason) or np.isnan(draft.measured)


def _sided(draft: Finding) -> Finding:
    return replace(draft, verdict="holds" if _meets(draft.claim, draft.measured) else "fails")


def _meets(claim: Claim, measured: float) -> bool:
    return measured > claim.value if claim.relation == ">" else measured < claim.value
