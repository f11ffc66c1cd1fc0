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
    lines = [f"# coordbench: {cell(run.name)}", "", *(f"- {cell(sentence)}" for sentence in sentences), ""]
    lines += [f"## Verdicts against {cell(run.baseline or 'nothing')}", ""]
    lines += [row("contest", *run.variants), rule(len(run.variants))]
    for line in matrix(run):
        cells = [f"{number(square.score)} {square.note}".strip() for square in line.cells]
        lines.append(row(f"{line.contest.title} ({line.contest.metric.name})", *cells))
    lines += ["", "## Leaderboards", ""]
    for contest in run.contests.values():
        lines += _leaderboard(run, contest)
    lines += ["## Claims", "", row("verdict", "claim", "measured", "published"), rule(3)]
    tried = [finding for finding in decided if finding.verdict != "not run"]
    lines += [
        row(f.verdict, f.claim.sentence, f"{number(f.measured)} {interval(f.low, f.high)}", f.claim.published)
        for f in tried
    ]
    missing = len(decided) - len(tried)
    return "\n".join([*lines, "", f"{plural(missing, 'claim')} not run.", "", _code(run.facts.command), ""])


def _leaderboard(run: Run, contest: Contest) -> list[str]:
    lines = [f"### {cell(contest.title)}", ""]
    lines += [row("variant", contest.metric.label, "95 %", "seeds", "failed", "parameters", "FLOPs"), rule(6)]
    rows = run.leaderboard[run.leaderboard["contest"] == contest.number]
    columns = ["variant", "score", "low", "high", "seeds", "failed", "parameters", "flops"]
    for variant, score, low, high, seeds, failed, parameters, flops in rows[columns].itertuples(index=False):
        lines.append(row(variant, number(score), interval(low, high), seeds, failed, big(parameters), big(flops)))
    return [*lines, ""]


def _code(text: str) -> str:
    """Text in one line of code, whatever backticks it holds."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if len(fence) > 1 else ""
    return f"{fence}{space}{' '.join(text.split())}{space}{fence}"


def row(*cells: object) -> str:
    """A row of a table."""
    return "| " + " | ".join(cell(str(each)) for each in cells) + " |"


def rule(columns: int) -> str:
    """The rule under a table's head: a column of words, and so many of numbers."""
    return "|---|" + "---:|" * columns


def cell(text: str) -> str:
    """Text that Markdown takes literally."""
    return re.sub(r"([\\`*<>|_]|(?<=\])\(|(?<=!)\[)", r"\\\1", " ".join(text.split()))
