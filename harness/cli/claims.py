"""`coordbench list claims`: the ledger by kind, exact claims decided; a claim that no preset tests is refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from coordbench.harness.store.store import open_store
from coordbench.harness.store.travel.archive import open_archive
from coordbench.reports.claims.across import Answer, answers, counts
from coordbench.reports.claims.arms import check_arms, presets_of
from coordbench.reports.claims.claims import Claim, Kind, inequality
from coordbench.reports.claims.exact import counted
from coordbench.reports.claims.reading import read_claims
from coordbench.reports.data.run import load
from coordbench.reports.records.records import folders
from coordbench.reports.text import known, number, plural, with_interval

Row = dict[str, object]
TITLES: dict[Kind, str] = {
    "exact": "exact: counted without training, at the published size where it is known",
    "direction": "direction: who leads; decided by the seeds of a run",
    "figure": "figure: a published number, shown beside what is measured",
    "control": "control: ours, in no count of the papers' claims",
}


def show_claims(*, as_json: bool) -> str:
    """The whole ledger as text, or as a JSON array."""
    claims = read_claims()
    check_arms(claims)
    return json.dumps([_row(claim) for claim in claims], indent=1) if as_json else _text(claims)


def show_answers(name: str, store: str | None, out: Path, *, as_json: bool) -> str:
    """What a run of a store, or the runs of record of a folder, say to each claim; and how many are decided."""
    with contextlib.ExitStack() as stack:
        if Path(name).is_dir():
            folder = Path(name)
            paths = folders(folder) or [folder]
            runs = {path.name: load(store=stack.enter_context(open_archive(path))) for path in paths}
        else:
            opened = stack.enter_context(open_store(store, out, existing=True))
            run = opened.resolve_run(name)
            runs = {run: load(run, store=opened)}
        given = answers(runs)
    if as_json:
        return json.dumps([_described(answer.claim) | _answer(answer) for answer in given], indent=1)
    width = max(len(answer.claim.id) for answer in given)
    blocks = []
    for kind in get_args(Kind):
        lines = [f"{a.claim.id:<{width}}  {_verdict(a)}  {a.claim.sentence}" for a in given if a.claim.kind == kind]
        blocks.append("\n".join([TITLES[kind], *lines]))
    return "\n\n".join([*blocks, "\n".join(counts(given, kind) for kind in ("exact", "direction"))])


def _answer(answer: Answer) -> Row:
    shown = {name: getattr(answer.finding, name) for name in ("verdict", "measured", "low", "high", "seeds", "here")}
    numbers = {name: None if value != value else value for name, value in shown.items()}  # JSON has no NaN
    return numbers | {"run": answer.run, "remark": answer.remark}


def _verdict(answer: Answer) -> str:
    finding = answer.finding
    seeds = f", {plural(finding.seeds, 'seed')} in {answer.run}" if answer.run else ""
    shown = with_interval(finding.measured, finding.low, finding.high)
    measured = f": {shown}{finding.unit}" if known(finding.measured) else ""
    remark = f" ({answer.remark})" if answer.remark else ""
    return f"[{finding.verdict}{measured}{seeds}{remark}]"


def _row(claim: Claim) -> Row:
    if claim.kind == "exact":
        finding = counted(claim)
        return _described(claim) | {"measured": finding.measured, "verdict": finding.verdict}
    return _described(claim)


def _described(claim: Claim) -> Row:
    names = ("kind", "family", "rank", "after", "source", "sentence", "published", "provenance", "setting", "differs")
    row: Row = {"name": claim.id} | {name: getattr(claim, name) for name in names} | {"inequality": inequality(claim)}
    return row if claim.kind == "exact" else row | {"presets": presets_of(claim)}


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
