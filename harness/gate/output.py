"""The findings of a gate as text for a terminal, Markdown for a pull request, and JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate.findings import CODES, Finding, Report

COLUMNS = ("layer", "quantity", "base", "candidate", "change", "verdict", "note")
_MARKS = {
    "regressed": "❌",
    "not comparable": "❌",
    "not measured": "⚠️",
    "inconclusive": "⚠️",
    "improved": "✅",
    "pass": "✅",
}


def text(report: Report) -> str:
    """A short table and the verdict."""
    rows = [COLUMNS, *map(_row, ordered(report))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *(f"note: {note}" for note in report.notes), _headline(report)])


def markdown(report: Report) -> str:
    """A comment for a pull request: the headline, what needs a look, and the rest folded."""
    found = ordered(report)
    urgent = [finding for finding in found if finding.verdict in CODES or finding.verdict == "improved"]
    rest = [finding for finding in found if finding not in urgent]
    parts = [f"### {_MARKS[report.verdict]} {_headline(report)}", *(f"> {_cell(note)}" for note in report.notes)]
    if urgent:
        parts.append(_table(urgent))
    if rest:
        parts.append(f"<details><summary>{len(rest)} other rows</summary>\n\n{_table(rest)}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def as_json(report: Report) -> str:
    """Everything, the pairs among it."""
    return json.dumps(_finite(report.plain()), indent=1, default=str)


def ordered(report: Report) -> list[Finding]:
    """The findings, those that fail the gate first."""
    rank = {verdict: i for i, verdict in enumerate((*CODES, "improved", "listed", "pass"))}
    return sorted(report.findings, key=lambda finding: rank[finding.verdict])


def save(content: str, file: Path, *, append: bool = False) -> None:
    """Write a file; raise UsageError naming it where that fails."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a" if append else "w", encoding="utf-8") as stream:
            stream.write(content)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from error


def save_markdown(report: Report, file: Path | None) -> None:
    """Write the Markdown to a file, and to the summary of a GitHub job where there is one."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        save(markdown(report), Path(summary), append=True)
    if file is not None:
        save(markdown(report), file)


def _headline(report: Report) -> str:
    return f"{report.verdict}: {report.candidate} against {report.base}"


def _row(finding: Finding) -> tuple[str, ...]:
    base, candidate = (quantity(value, finding.unit) for value in (finding.base, finding.candidate))
    return finding.layer, finding.quantity, base, candidate, change(finding), finding.verdict, finding.note


def _table(findings: Sequence[Finding]) -> str:
    head = [COLUMNS, ("---",) * len(COLUMNS)]
    rows = [*head, *(tuple(map(_cell, _row(finding))) for finding in findings)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(text: str) -> str:
    """Text of anyone's as plain text in a Markdown table."""
    for character in "\\`*_[]<>|&~#@":
        text = text.replace(character, f"&#{ord(character)};")
    return " ".join(text.split())


def quantity(value: object, unit: str) -> str:
    """A value with its unit, seconds as milliseconds."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value * 1e3:.3f} ms" if unit == "s" else f"{value:.4g} {unit}".strip()
    return f"{value:,} {unit}".strip() if isinstance(value, int) else str(value)


def change(finding: Finding) -> str:
    """The change with its bounds: in percent, or in the unit of a score."""
    if finding.change is None:
        return ""
    absolute = finding.stage == "accuracy"
    values = [value for value in (finding.change, finding.low, finding.high) if value is not None]
    shown = [f"{value:+.3g}" if absolute else f"{value:+.1%}" for value in values if not math.isnan(value)]
    return shown[0] + (f" ({shown[1]} .. {shown[2]})" if len(shown) == 3 else "")


def _finite(value: object) -> object:
    """Plain values with None for what JSON has no word for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
