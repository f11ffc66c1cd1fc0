"""A submission: the records of somebody's layer beside its source, its hash and the preset; read as data, never run.

A folder `NAME/` holds `submission.json`, `preset.toml`, the plug-in with what it imports beside it, and `records/`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy as sql

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.sources import source_digest
from coordbench.harness.plan.validation import validate
from coordbench.harness.store.altered import altered_records
from coordbench.harness.store.schema import items, records, sources
from coordbench.harness.store.store import Store
from coordbench.harness.store.travel import verified
from coordbench.harness.store.travel.archive import NAMES, open_archive
from coordbench.harness.store.travel.manifest import MANIFEST, sha256

FILE, PRESET, RECORDS = "submission.json", "preset.toml", "records"
MOST_BYTES = 3 << 20
"""A submission, all its files together."""
_MOST_SOURCE = 256 << 10
_NAME = re.compile(r"[A-Za-z_]\w{0,63}\.py", re.ASCII)
_TEXT = 4 << 10


@dataclass(frozen=True)
class Submission:
    """What a submission says of itself."""

    plugin: str
    """The file that registers the layer; `sources` has it and what it imports beside it, each with its SHA-256."""
    sources: dict[str, str]
    variants: list[str]
    preset: str
    preset_sha256: str
    suite: str
    command: str


def is_submission(folder: Path) -> bool:
    """Whether a folder says that it is one."""
    return (folder / FILE).is_file()


def write_submission(folder: Path, submission: Submission, files: Sequence[Path], preset: str) -> None:
    """Write everything but the records."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if file.resolve() != (folder / file.name).resolve():
            shutil.copyfile(file, folder / file.name)
    (folder / PRESET).write_text(preset, encoding="utf-8")
    (folder / FILE).write_text(json.dumps(asdict(submission), indent=1) + "\n", encoding="utf-8")


def check_submission(folder: Path) -> tuple[Submission, int]:
    """Read a submission as data and return it with the number of its records; raise UsageError for an unsound one."""
    _check_files(folder)
    submission = _read(folder / FILE)
    _check_names(folder, submission)
    for name, digest in {**submission.sources, PRESET: submission.preset_sha256}.items():
        if sha256(folder / name) != digest:
            raise UsageError(f"{folder / name} is not the file that {FILE} names")
    with open_archive(folder / RECORDS) as store:
        return submission, _check_records(folder, submission, store)


def _check_files(folder: Path) -> None:
    """Refuse links, files that have no place there, and more bytes than a submission may have."""
    total = 0
    for path in _walk(folder):
        if path.is_symlink() or not (path.is_file() or path == folder / RECORDS):
            raise UsageError(f"{path} is a link, or no plain file")
        total += path.stat().st_size
        if total > MOST_BYTES:
            raise UsageError(f"{folder} holds more than {MOST_BYTES >> 20} MiB")


def _walk(folder: Path) -> Iterator[Path]:
    yield from folder.iterdir()
    yield from (folder / RECORDS).iterdir() if (folder / RECORDS).is_dir() else ()


def _read(path: Path) -> Submission:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} is no table")
    submission = validate(Submission, content, str(path))
    texts = (submission.preset, submission.suite, submission.command, *submission.variants)
    if not all(len(text) <= _TEXT and (text.isprintable() or not text) for text in texts):
        raise UsageError(f"{path} holds a text that is no line of at most {_TEXT} characters")
    return submission


def _check_names(folder: Path, submission: Submission) -> None:
    """Every file has its place, and every place its file."""
    names = {*submission.sources, submission.plugin}
    if wrong := sorted(name for name in names if not _NAME.fullmatch(name)):
        raise UsageError(f"{folder / FILE}: {wrong[0]!r} is no name of a Python file in the folder itself")
    if submission.plugin not in submission.sources:
        raise UsageError(f"{folder / FILE}: no hash is given of the plug-in {submission.plugin!r}")
    places = {FILE, PRESET, RECORDS, *submission.sources}
    tables = {MANIFEST, *(f"{name}.parquet" for name in NAMES)}
    present = {path.name for path in folder.iterdir()}
    inside = {path.name for path in (folder / RECORDS).iterdir()} if RECORDS in present else set()
    if odd := sorted((present ^ places) | (inside - {verified.FILE}) ^ tables):
        raise UsageError(f"{folder}: {odd[0]!r} is missing, or has no place there")


def _check_records(folder: Path, submission: Submission, store: Store) -> int:
    """Every record is what was stored, and that of the layer depends on the sources that lie beside it."""
    with store.reading() as connection:
        numbers = list(connection.scalars(sql.select(records.c.id)))
        if altered := altered_records(connection, numbers):
            raise UsageError(f"{folder}: {len(altered)} records are no longer what was stored")
    digests = {f"source {name}": _source(folder / name) for name in submission.sources}
    query = sql.select(sources.c.parts, sql.cast(items.c.job, sql.Text).label("job")).distinct()
    query = query.join(records, records.c.sources == sources.c.id).join(items, items.c.record == records.c.id)
    count = 0
    for row in store.read(query):
        if json.loads(row.job).get("variant") not in submission.variants:
            continue
        count += 1
        if wrong := sorted(name for name, digest in digests.items() if row.parts.get(name) != digest):
            raise UsageError(f"{folder}: a record was made by another {wrong[0]}")
    if not count:
        raise UsageError(f"{folder} holds no record of {', '.join(submission.variants) or 'any layer'}")
    return len(numbers)


def _source(file: Path) -> str:
    """The digest of a source file, which is parsed and not run."""
    try:
        if file.stat().st_size > _MOST_SOURCE:
            raise ValueError(f"it is larger than {_MOST_SOURCE >> 10} KiB")
        return source_digest(file)
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise UsageError(f"{file} cannot be read: {' '.join(str(error).split())[:200]}") from error
