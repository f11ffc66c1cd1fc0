"""What a run's comparisons stand at after a look: the verdicts of its page and its claims, for who trains the next."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.selector import Selector
from coordbench.harness.run.looks import Judge, Standing
from coordbench.harness.store.store import Store
from coordbench.reports.claims.claims import Finding
from coordbench.reports.claims.ledger import ledger
from coordbench.reports.claims.looking import TESTED
from coordbench.reports.claims.reading import read_claims
from coordbench.reports.data.run import Run, load

LAYERS = "layers"
"""The family of a page: every variant of every contest against the baseline."""


def judge(store: Store, families: Sequence[str] | None) -> Judge:
    """What judges a run of a store after a look, by these families, or by all that it is about."""
    check_families(families or ())
    return functools.partial(_standings, store, tuple(families or families_known()))


def families_known() -> list[str]:
    """All families: that of the page, and those of the claims."""
    return [LAYERS, *dict.fromkeys(claim.family for claim in read_claims())]


def check_families(families: Sequence[str]) -> None:
    """Raise UsageError for a family that nobody knows."""
    known = families_known()
    for family in families:
        if family not in known:
            raise UsageError(f"families: unknown family {family!r}; valid: {', '.join(known)}")


def _standings(store: Store, families: Sequence[str], run: str) -> list[Standing]:
    loaded = load(run, store=store)
    layers = _layers(loaded) if LAYERS in families else ()
    return [*layers, *_claims(loaded, families)]


def _layers(run: Run) -> Iterator[Standing]:
    columns = ["contest", "variant", "baseline", "p", "p_tied", "final"]
    for contest, variant, baseline, p, p_tied, final in run.verdicts[columns].itertuples(index=False):
        cell = run.contests[contest].cell
        arms = tuple(replace(cell, variant=Selector.parse(str(name))) for name in (variant, baseline))
        yield Standing(arms, None if final else min(p, p_tied))


def _claims(run: Run, families: Sequence[str]) -> Iterator[Standing]:
    claims = [claim for claim in read_claims() if claim.kind in TESTED and claim.family in families]
    for finding in ledger(run, claims):
        if finding.looks is not None and finding.arms:
            yield Standing(finding.arms, None if finding.looks.final or _stuck(finding) else _p(finding))


def _stuck(finding: Finding) -> bool:
    """Whether more seeds cannot help, as where a side has not converged."""
    return finding.looks is not None and finding.looks.taken > 0 and finding.stuck


def _p(finding: Finding) -> float:
    return 1.0 if finding.p is None else min(finding.p, finding.p_tied)
