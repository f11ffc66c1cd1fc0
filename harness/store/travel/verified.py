"""Notes in a folder of records: how often a row was verified, on what machine, and by which revision."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.process import environment
from coordbench.harness.store.encoding import now

FILE = "verified.json"
_MOST_BYTES, _LONGEST = 1 << 20, 300


@dataclass(frozen=True)
class Verification:
    """What came of a row that was trained again, when, on what, and by which commit."""

    identity: str
    answer: str
    date: str
    processor: str
    commit: str


FIELDS = frozenset(field.name for field in fields(Verification))


def add(folder: Path, checks: Iterable[tuple[str, str]]) -> None:
    """Note what came of rows, given as identity and answer."""
    facts = environment.describe()
    revision = facts["revision"]
    commit = str(revision["commit"] or "")[:12] + (" with changes" if revision["dirty"] else "")
    fresh = [Verification(row, answer, now()[:10], str(facts["processor"]), commit) for row, answer in checks]
    _write(folder, [*read(folder), *fresh])


def forget_others(folder: Path, identities: Iterable[str]) -> None:
    """Drop the notes of rows that a folder holds no longer."""
    if notes := read(folder):
        known = set(identities)
        _write(folder, [note for note in notes if note.identity in known])


def _write(folder: Path, notes: Sequence[Verification]) -> None:
    (folder / FILE).write_text(json.dumps([asdict(note) for note in notes], indent=1) + "\n", encoding="utf-8")


def read(folder: Path) -> list[Verification]:
    """The notes of a folder, none where there are none; raise UsageError for a file that is no such thing."""
    path = folder / FILE
    if not path.exists():
        return []
    try:
        if path.is_symlink() or path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is a link, or larger than 1 MiB")
        return [_checked(row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error


def _checked(row: Mapping[str, object]) -> Verification:
    if not isinstance(row, dict) or set(row) != FIELDS:
        raise ValueError(f"a note has other fields than {', '.join(sorted(FIELDS))}")
    if not all(isinstance(value, str) and len(value) <= _LONGEST and value.isprintable() for value in row.values()):
        raise ValueError("a field of a note is no short text of one line")
    return Verification(**row)
