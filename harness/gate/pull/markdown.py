"""A report as Markdown for a pull request: what needs a look first, anyone's text as text, and never too long."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from coordbench.harness.gate.output import (
    COLUMNS,
    cells,
    folded,
    headline,
    is_equal,
    is_urgent,
    ordered,
    reasons,
    save,
    urgent,
)
from coordbench.harness.gate.rows import GateRow, Outcome, Report

LONGEST = 60_000
"""Characters of a text; GitHub refuses a comment of more than 65,536."""

MARKS: dict[Outcome, str] = {
    "regressed": "❌",
    "not comparable": "❌",
    "not measured": "⚠️",
    "inconclusive": "⚠️",
    "accepted": "✅",
    "improved": "✅",
    "pass": "✅",
}
_ESCAPED = {ord(character): f"&#{ord(character)};" for character in "\\`*_[]<>|&~#@"}
_REFERENCE = re.compile(r"[@#]|:(?=//)|\bwww(?=\.)|\bGH(?=-\d)", re.IGNORECASE)
"""Where GitHub, after it has resolved all escapes, would still notify a user, refer to an issue or link a page."""

_SIZES = (200, 50, 10, 2)
"""How many rows, notes and layers are shown, by turns, until the text is short enough."""

_CELL, _LINE = 300, 1000
_TOO_LONG = "The rows are too long for a comment; the report holds them."


def markdown(report: Report) -> str:
    """The headline, what needs a look, and the rest folded; as many rows as there is room for."""
    texts = (_compose(report, shown) for shown in _SIZES)
    return next((text for text in texts if len(text) <= LONGEST), f"{_title(report)}\n\n{_TOO_LONG}\n")


def save_markdown(report: Report, file: Path | None) -> None:
    """Write the Markdown to a file, and to the summary of a GitHub job where there is one."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        save(markdown(report), Path(summary), append=True)
    if file is not None:
        save(markdown(report), file)


def plain(text: str, longest: int = _CELL) -> str:
    """Anyone's text as one line that does nothing: no control characters, no escapes of a terminal, cut to a length."""
    first = text[: 4 * longest]  # a text of megabytes is not gone through
    words = " ".join("".join(map(_visible, first)).split())
    return words if len(words) <= longest and first == text else f"{words[:longest]}.."


def _visible(character: str) -> str:
    kind = unicodedata.category(character)
    return " " if kind in ("Cc", "Zl", "Zp") else "" if kind in ("Cf", "Cs", "Co") else character


def escaped(text: str, longest: int = _CELL) -> str:
    """Anyone's text as plain text in Markdown, and as no link, mention or reference of GitHub's."""
    return _REFERENCE.sub(lambda match: f"{match[0]}\u200b", plain(text, longest)).translate(_ESCAPED)


def _compose(report: Report, shown: int) -> str:
    first = urgent(report.rows)
    rest = [row for row in ordered(report.rows) if not is_urgent(row) and not is_equal(row)]
    changed = list(reasons(report.rows).items())
    parts = [_title(report)]
    parts += [f"> {escaped(note, _LINE)}" for note in report.notes[:shown]] + _more(report.notes, shown, "notes")
    if first:
        parts.append(_table(first, shown))
    parts += [_why(layer, why) for layer, why in changed[:shown]] + _more(changed, shown, "layers that changed")
    parts += [escaped(line, _LINE) for line in folded([row for row in report.rows if is_equal(row)])]
    if rest:
        summary = f"<summary>{len(rest)} other rows</summary>"
        parts.append(f"<details>{summary}\n\n{_table(rest, shown)}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def _title(report: Report) -> str:
    return f"### {MARKS[report.outcome]} {escaped(headline(report), _LINE)}"


def _why(layer: str, lines: Sequence[str]) -> str:
    return "\n".join([f"Why {escaped(layer)} changed:", *(f"- {escaped(line, _LINE)}" for line in lines[:5])])


def _table(rows: Sequence[GateRow], shown: int) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(tuple(map(escaped, cells(row))) for row in rows[:shown])]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([table, *_more(rows, shown, "rows")])


def _more(items: Sequence[object], shown: int, what: str) -> list[str]:
    """How many are left out, where any are."""
    more = len(items) - shown
    return [f"and {more:,} more {what}, which the report holds"] if more > 0 else []
