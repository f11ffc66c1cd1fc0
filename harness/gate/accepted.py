"""Regressions that a team has accepted: `coordbench-accepted.toml`, committed and reviewed like code.

An entry covers its row up to the change that was measured when it was accepted, and until its date: whatever comes on
top of that regresses again.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import tomlkit

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate.output import save
from coordbench.harness.gate.rows import GateRow
from coordbench.harness.plan.validation import check_keys, read_toml, validate

FILE = "coordbench-accepted.toml"


@dataclass(frozen=True)
class Accepted:
    """A row by its name, the largest change that is accepted, why, and until when."""

    row: str
    change: float
    """Absolute value of what the change may have been at most, by its interval: relative, or in the unit of a score."""
    reason: str
    until: datetime.date | None = None

    def covers(self, row: GateRow, today: datetime.date) -> bool:
        """Whether a row is no worse than what was accepted, as far as its interval can tell."""
        if row.name != self.row or row.outcome != "regressed" or self.ended(today):
            return False
        return row.change is not None and _least(row) <= self.change

    def ended(self, today: datetime.date) -> bool:
        """Whether its date has passed."""
        return self.until is not None and self.until < today


def _bounds(row: GateRow) -> list[float]:
    return [value for value in (row.low, row.change, row.high) if value is not None]


def _least(row: GateRow) -> float:
    return min(abs(value) for value in _bounds(row))


def _most(row: GateRow) -> float:
    return max(abs(value) for value in _bounds(row))


def read_accepted(folder: Path) -> list[Accepted]:
    """What the project in `folder` has accepted; raise UsageError for a file that is wrong."""
    file = folder / FILE
    if not file.is_file():
        return []
    content = read_toml(file, "file")
    check_keys(content, ("accepted",), str(file))
    entries = content.get("accepted", [])
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise UsageError(f"{file}: accepted must be tables, each headed [[accepted]]")
    return [validate(Accepted, entry, f"{file}, entry {number}") for number, entry in enumerate(entries, 1)]


def apply(rows: Sequence[GateRow], entries: Sequence[Accepted], today: datetime.date) -> list[GateRow]:
    """The rows, those that an entry covers as accepted with its reason."""
    return [_applied(row, entries, today) for row in rows]


def _applied(row: GateRow, entries: Sequence[Accepted], today: datetime.date) -> GateRow:
    entry = next((entry for entry in entries if entry.covers(row, today)), None)
    if entry is None:
        return row
    until = f" until {entry.until}" if entry.until else ""
    return replace(
        row, outcome="accepted", note="; ".join(filter(None, (f"accepted{until}: {entry.reason}", row.note)))
    )


def notes(rows: Sequence[GateRow], entries: Sequence[Accepted], today: datetime.date) -> list[str]:
    """One line for each entry that no longer covers its row, which still regresses."""
    failing = {row.name for row in rows if row.outcome == "regressed"}
    return [
        f"{entry.row} was accepted until {entry.until}"
        if entry.ended(today)
        else f"{entry.row} was accepted up to {entry.change:.3g}, and is worse now"
        for entry in entries
        if entry.row in failing
    ]


def acknowledge(
    folder: Path, report: Path, name: str, reason: str, until: str | None, today: datetime.date
) -> Accepted:
    """Accept a row of the last gate's report: write it into the project's file, in place of an older entry of it."""
    if not reason.strip():
        raise UsageError("--acknowledge needs a --reason: it is read by whoever reviews the file")
    entry = Accepted(name, _most(_regressed(report, name)), reason.strip(), _date(until, today))
    others = [other for other in read_accepted(folder) if other.row != name]
    document = tomlkit.document()
    document.add("accepted", tomlkit.aot())
    for each in sorted((*others, entry), key=lambda item: item.row):
        values = {key: value for key, value in asdict(each).items() if value is not None}
        document["accepted"].append(tomlkit.item(values))
    save(tomlkit.dumps(document), folder / FILE)
    return entry


def _date(text: str | None, today: datetime.date) -> datetime.date | None:
    try:
        date = None if text is None else datetime.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--until {text!r} is no date; write one such as {today.isoformat()}") from error
    if date is not None and date < today:
        raise UsageError(f"--until {date} has passed; today is {today}")
    return date


def _regressed(report: Path, name: str) -> GateRow:
    """The row of the last report that is to be accepted."""
    try:
        stored = json.loads(report.read_text(encoding="utf-8"))["rows"]
        rows = [GateRow(**row) for row in stored if row["outcome"] in ("regressed", "accepted")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{report} holds no report of a gate; run `coordbench gate --base REVISION` first") from error
    chosen = next((row for row in rows if row.name == name and row.change is not None), None)
    if chosen is None:
        valid = ", ".join(repr(row.name) for row in rows if row.change is not None) or "none regressed by a number"
        raise UsageError(f"unknown row {name!r} in {report}; valid: {valid}")
    return chosen
