"""What was found, as Markdown: sentences, the grid of verdicts, leaderboards, the claims that were decided."""

from __future__ import annotations

import re

from coordbench.reports.claims import ledger
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.run import Run
from coordbench.reports.pages import findings
from coordbench.reports.pages.matrix import matrix
from coordbench.reports.text import big, interval, number, plural


def markdown(run: Run) -> str:
    """The summary of a run."""
    decided = ledger.ledger(run)
    sentences = findings.findings(run, decided)
    lines = [f"# coordbench: {_cell(run.name)}", "", *(f"- {_cell(sentence)}" for sentence in sentences), ""]
    lines += [f"## Verdicts against {_cell(run.baseline or 'nothing')}", ""]
    lines += [_row("contest", *run.variants), _rule(len(run.variants))]
    for line in matrix(run):
        cells = [f"{number(cell.score)} {cell.note}".strip() for cell in line.cells]
        lines.append(_row(f"{line.contest.title} ({line.contest.metric.name})", *cells))
    lines += ["", "## Leaderboards", ""]
    for contest in run.contests.values():
        lines += _leaderboard(run, contest)
    lines += ["## Claims", "", _row("verdict", "claim", "measured", "published"), _rule(3)]
    tried = [finding for finding in decided if finding.verdict != "not run"]
    lines += [
        _row(f.verdict, f.claim.sentence, f"{number(f.measured)} {interval(f.low, f.high)}", f.claim.published)
        for f in tried
    ]
    missing = len(decided) - len(tried)
    return "\n".join([*lines, "", f"{plural(missing, 'claim')} not run.", "", f"`{run.facts.command}`", ""])


def _leaderboard(run: Run, contest: Contest) -> list[str]:
    lines = [f"### {_cell(contest.title)}", ""]
    lines += [_row("variant", contest.metric.label, "95 %", "seeds", "failed", "parameters", "FLOPs"), _rule(6)]
    rows = run.leaderboard[run.leaderboard["contest"] == contest.number]
    columns = ["variant", "score", "low", "high", "seeds", "failed", "parameters", "flops"]
    for variant, score, low, high, seeds, failed, parameters, flops in rows[columns].itertuples(index=False):
        lines.append(_row(variant, number(score), interval(low, high), seeds, failed, big(parameters), big(flops)))
    return [*lines, ""]


def _row(*cells: object) -> str:
    return "| " + " | ".join(_cell(str(cell)) for cell in cells) + " |"


def _rule(columns: int) -> str:
    return "|---|" + "---:|" * columns


def _cell(text: str) -> str:
    """Text that Markdown takes literally."""
    return re.sub(r"([\\`*<>|_])", r"\\\1", " ".join(text.split()))
