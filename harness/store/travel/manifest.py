"""The file that says what a folder of records holds: its tables with their hashes, its runs, a note."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.store.schema import SCHEMA_VERSION

MANIFEST = "manifest.json"
_MOST_BYTES, _LONGEST = 1 << 20, 300


class ArchiveError(UsageError):
    """A folder that is no sound archive; the message says which file and why."""


@dataclass(frozen=True)
class TableFile:
    """A table's file: its hash, and how many rows it has."""

    sha256: str
    rows: int


@dataclass(frozen=True)
class Manifest:
    """What a folder of records holds."""

    runs: Sequence[str]
    tables: Mapping[str, TableFile]
    note: str = ""

    def write(self, folder: Path) -> None:
        """Write it into its folder."""
        tables = {name: asdict(table) for name, table in self.tables.items()}
        content = {"schema_version": SCHEMA_VERSION, "runs": list(self.runs), "note": self.note, "tables": tables}
        (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def is_archive(folder: Path) -> bool:
    """Whether a folder says that it holds records."""
    return (folder / MANIFEST).is_file()


def checked_note(note: str) -> str:
    """A note of one short line; raise UsageError for another text."""
    if len(note) > _LONGEST or not (note.isprintable() or not note):
        raise UsageError(f"a note is one line of at most {_LONGEST} characters, which {note[:50]!r} is not")
    return note


def read_manifest(folder: Path, names: Sequence[str]) -> Manifest:
    """The manifest of a folder that holds tables of these names; raise ArchiveError where it is none."""
    path = folder / MANIFEST
    if path.is_file() and path.stat().st_size > _MOST_BYTES:
        raise ArchiveError(f"{path} is larger than 1 MiB and is not read")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, tables = content["schema_version"], content["tables"]
        note, runs = content.get("note", ""), content["runs"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArchiveError(f"{str(folder)!r} is no folder of records: {MANIFEST} cannot be read") from error
    if version != SCHEMA_VERSION:
        raise ArchiveError(f"{path} has schema version {version!r}; this version reads {SCHEMA_VERSION}")
    if not isinstance(tables, dict) or set(tables) != set(names):
        raise ArchiveError(f"{path} does not list the tables {', '.join(names)}")
    if not isinstance(note, str) or not isinstance(runs, list) or not all(isinstance(run, str) for run in runs):
        raise ArchiveError(f"{path}: `note` is no text, or `runs` are no names")
    return Manifest(runs, {name: _table(path, name, table) for name, table in tables.items()}, checked_note(note))


def _table(path: Path, name: str, table: object) -> TableFile:
    if isinstance(table, dict) and isinstance(table.get("sha256"), str) and isinstance(table.get("rows"), int):
        return TableFile(table["sha256"], table["rows"])
    raise ArchiveError(f"{path} does not give the hash and the rows of the table {name}")


def sha256(file: Path) -> str:
    """The hash of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
