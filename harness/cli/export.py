"""Write the tables of a run as Parquet, CSV or JSON files."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from coordbench.harness.cli.arguments import Format
from coordbench.harness.core.errors import UsageError


def export(tables: Mapping[str, pd.DataFrame], form: Format, out: Path) -> list[Path]:
    """Write each table to `out/NAME.FORM`; bytes become base64 text in CSV and JSON. Raise UsageError if that fails."""
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            path = out / f"{name}.{form}"
            _write(table, form, path)
            written.append(path)
    except OSError as error:
        raise UsageError(f"tables cannot be written to {str(out)!r}: {error.strerror or error}") from error
    return written


def _write(table: pd.DataFrame, form: Format, path: Path) -> None:
    plain = table.copy()
    for column in filter(lambda name: pd.api.types.is_object_dtype(plain[name]), plain.columns):
        plain[column] = plain[column].map(_plain if form != "parquet" else _parquet)
    if form == "parquet":
        plain.to_parquet(path, index=False)
    elif form == "csv":
        plain.to_csv(path, index=False)
    else:
        plain.to_json(path, orient="records", indent=1)


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return _parquet(value)


def _parquet(value: object) -> object:
    """Nested values differ from row to row; as text they fit a column."""
    return str(value) if isinstance(value, dict | list) else value
