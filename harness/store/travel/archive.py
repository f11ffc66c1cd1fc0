"""A folder of Parquet files that holds everything needed to use records again and to verify them, and no more.

Reading runs no code and trusts nothing: names, columns, types, sizes and hashes are checked before a row is taken.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sql

from coordbench.harness.store import checksum
from coordbench.harness.store.address import mask
from coordbench.harness.store.bulk import insert_all
from coordbench.harness.store.encoding import JsonText, pack, unpack
from coordbench.harness.store.schema import (
    environments,
    items,
    records,
    runs,
    samples,
    scores,
    series,
    sources,
)
from coordbench.harness.store.store import Store
from coordbench.harness.store.travel import verified
from coordbench.harness.store.travel.copying import Row, children, read_rows
from coordbench.harness.store.travel.manifest import (
    MANIFEST,
    ArchiveError,
    Manifest,
    TableFile,
    checked_note,
    read_manifest,
    sha256,
)

TABLES = (environments, sources, runs, items, records, scores, series, samples)
NAMES = [table.name for table in TABLES]
MOST_BYTES, MOST_ROWS = 256 << 20, 5_000_000
"""What one table may hold, unpacked: a folder that claims more is refused before it is read."""
_POINTS = 20
"""Points that are left of each curve."""
_NAME = re.compile(r"[\w.\[\]-]+")
_PLACE = re.compile(r" --out (?:'[^']*'|\S+)")
"""Where a run wrote to, on a machine that is nobody else's."""


def write_archive(
    store: Store, chosen: Sequence[str], folder: Path, *, with_samples: bool = False, note: str = ""
) -> Path:
    """Write the records of some runs as a folder; latencies and samples are left out unless asked for."""
    checked_note(note)
    folder.mkdir(parents=True, exist_ok=True)
    tables = _rows(store, chosen, with_samples)
    files = {}
    for table in TABLES:
        path = folder / f"{table.name}.parquet"
        pq.write_table(_arrow(table, tables[table.name]), path, compression="zstd", compression_level=9)
        files[table.name] = TableFile(sha256(path), len(tables[table.name]))
    Manifest(chosen, files, note).write(folder)
    verified.forget_others(folder, (str(row["identity"]) for row in tables["records"]))
    return folder


@contextmanager
def open_archive(folder: Path) -> Iterator[Store]:
    """The records of a folder as a store of their own, which is gone afterwards; raise ArchiveError for a bad one."""
    manifest = read_manifest(folder, NAMES)
    with tempfile.TemporaryDirectory(prefix="coordbench-archive-") as scratch:
        store = Store(sql.URL.create("sqlite", database=str(Path(scratch) / "archive.sqlite")))
        with store:
            for table in TABLES:
                rows = _read(folder, table, manifest)
                with store.writing() as connection:
                    insert_all(connection, table, rows)
            yield store


def _rows(store: Store, chosen: Sequence[str], with_samples: bool) -> dict[str, list[Row]]:
    with store.reading() as connection:
        listed = read_rows(connection, items, items.c.run.in_(chosen))
        numbers = sorted({int(str(row["record"])) for row in listed if row["record"] is not None})
        chosen_records = children(connection, records, numbers)
        keys = {name: {row[name] for row in chosen_records} for name in ("environment", "sources")}
        costs = {row["id"] for row in chosen_records if row["kind"] == "cost"}
        curves = [row for row in children(connection, series, numbers) if row["record"] not in costs]
        tables = {
            "runs": [_shown(row) for row in read_rows(connection, runs, runs.c.id.in_(chosen))],
            "items": listed,
            "records": chosen_records,
            "scores": children(connection, scores, numbers),
            "series": [_thinned(row) for row in curves],
            "samples": children(connection, samples, numbers) if with_samples else [],
            "environments": read_rows(connection, environments),
            "sources": [row for row in read_rows(connection, sources) if row["id"] in keys["sources"]],
        }
        used = keys["environment"] | {row["environment"] for row in tables["runs"]}
        tables["environments"] = [row for row in tables["environments"] if row["id"] in used]
    return tables


def _shown(row: Row) -> Row:
    """A run whose command tells neither passwords nor where its folder lay."""
    return row | {"command": _PLACE.sub("", mask(str(row["command"])))}


def _thinned(row: Row) -> Row:
    """A curve of at most 20 points, its first and last among them."""
    arrays = {name: unpack(_bytes(row[name])) for name in ("steps", "seconds", "values")}
    count = len(arrays["steps"])
    is_altered = checksum.of_parts(row["metric"], row["steps"], row["seconds"], row["values"]) != row["checksum"]
    if count <= _POINTS or is_altered:  # a curve that was changed by hand keeps its wrong checksum
        return row
    places = np.unique(np.linspace(0, count - 1, _POINTS).round().astype(int))
    thin: dict[str, object] = {name: pack(array[places].tolist()) for name, array in arrays.items()}
    return row | thin | {"checksum": checksum.of_parts(row["metric"], *thin.values())}


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _arrow(table: sql.Table, rows: Sequence[Row]) -> pa.Table:
    return pa.table({c.name: pa.array([row[c.name] for row in rows], _type(c)) for c in table.c})


def _type(column: sql.Column[object]) -> pa.DataType:
    kind = column.type
    if isinstance(kind, sql.Boolean):
        return pa.bool_()
    if isinstance(kind, sql.Integer):
        return pa.int64()
    if isinstance(kind, sql.Float):
        return pa.float64()
    return pa.binary() if isinstance(kind, sql.LargeBinary) else pa.string()


def _read(folder: Path, table: sql.Table, manifest: Manifest) -> list[Row]:
    path = folder / f"{table.name}.parquet"
    try:
        if path.is_symlink() or sha256(path) != manifest.tables[table.name].sha256:
            raise ArchiveError(f"{path} is not the file that {MANIFEST} names")
        file = pq.ParquetFile(path)
        expected = pa.schema([(c.name, _type(c)) for c in table.c])
        if not file.schema_arrow.equals(expected):
            raise ArchiveError(f"{path} has other columns than a table of {table.name}")
        rows = _bounded(file, path)
    except (OSError, KeyError, TypeError, pa.ArrowException) as error:
        raise ArchiveError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error
    return [_checked(row, table, path) for row in rows]


def _bounded(file: pq.ParquetFile, path: Path) -> list[Row]:
    """The rows, a few at a time: a page may unpack to a thousand times its size."""
    metadata = file.metadata
    unpacked = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    rows: list[Row] = []
    total = 0
    if metadata.num_rows <= MOST_ROWS and unpacked <= MOST_BYTES:
        for batch in file.iter_batches(batch_size=max(1, min(4096, MOST_BYTES // max(1, unpacked)))):
            total += batch.nbytes
            if total > MOST_BYTES:
                break
            rows += batch.to_pylist()
    if len(rows) < metadata.num_rows:
        raise ArchiveError(
            f"{path} claims {metadata.num_rows} rows and more than {MOST_BYTES >> 20} MiB, which is too much"
        )
    return rows


def _checked(row: Row, table: sql.Table, path: Path) -> Row:
    """A row with its JSON checked; a run's name becomes a file's name, so it may hold nothing of a path."""
    if table is runs and not _NAME.fullmatch(str(row["id"])):
        raise ArchiveError(f"{path}: {row['id']!r} is no name of a run")
    for column in table.c:
        value = row[column.name]
        if isinstance(column.type, sql.JSON) and value is not None:
            try:
                json.loads(str(value))
            except (ValueError, RecursionError) as error:
                raise ArchiveError(f"{path}: column {column.name} holds no JSON") from error
            row[column.name] = JsonText(str(value))
    return row
