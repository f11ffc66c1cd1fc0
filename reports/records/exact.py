"""Exact claims as they were counted: a file of results, since no run holds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.reports.claims.exact import counted
from coordbench.reports.claims.reading import read_claims

FILE = "exact.json"


@dataclass(frozen=True)
class ExactCount:
    """A claim that is counted: its sentence, what came out, and what was published."""

    claim: str
    family: str
    sentence: str
    published: str
    measured: float
    verdict: str


def counts() -> list[ExactCount]:
    """Count all exact claims."""
    claims = [claim for claim in read_claims() if claim.kind == "exact"]
    findings = [counted(claim) for claim in claims]
    return [
        ExactCount(claim.id, claim.family, claim.sentence, claim.published, finding.measured, finding.verdict)
        for claim, finding in zip(claims, findings, strict=True)
    ]


def write_counts(folder: Path, listed: Sequence[ExactCount]) -> None:
    """Keep counts in a folder of results."""
    text = json.dumps([asdict(count) for count in listed], indent=1, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read_counts(folder: Path) -> list[ExactCount]:
    """The counts of a folder of results, none where there are none."""
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        return [ExactCount(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} holds no counts of exact claims: {error}") from error
