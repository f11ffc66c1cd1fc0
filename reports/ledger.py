"""What a run says to each claim: holds, fails, inconclusive or not run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from harness import statistics
from harness.compare import LEVEL
from reports.claims import Claim, Finding, inequality, read_claims
from reports.evidence import measure
from reports.runs import Run


def ledger(run: Run, claims: Sequence[Claim] | None = None) -> list[Finding]:
    """Decide all claims; those that rest on seeds are adjusted together by Holm."""
    drafts = [measure(run, claim) for claim in (read_claims() if claims is None else claims)]
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


def _decided(draft: Finding, p: float | None) -> Finding:
    if draft.verdict != "inconclusive" or draft.reason or np.isnan(draft.measured):
        return draft
    side = draft.measured > draft.claim.value if draft.claim.relation == ">" else draft.measured < draft.claim.value
    if p is not None and p >= LEVEL:
        return replace(draft, reason="seeds do not decide")
    return replace(draft, verdict="holds" if side else "fails")
