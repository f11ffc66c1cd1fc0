"""A report that comes from a job which ran foreign code: data, whose types and sizes are checked before it is read."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate.rows import Report

LARGEST = 8 * 2**20
"""Bytes of a file that is read at all."""

_LARGEST_NUMBER = 2**63
_MOST_ROWS = 10_000


def read_report(path: Path) -> Report:
    """Read a `gate.json`; raise UsageError of one line where it is no result of a gate. Its outcome is derived anew."""
    try:
        if path.is_symlink() or not path.is_file():
            raise UsageError(f"{str(path)!r} is no file; it should be the gate.json that `coordbench gate` wrote")
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{str(path)!r} has {path.stat().st_size:,} bytes; at most {LARGEST:,} are read")
        report = TypeAdapter(Report).validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"][:4])
        raise UsageError(f"{str(path)!r} is no result of a gate: {where or 'it'}: {first['msg'][:120]}") from error
    _check_size(path, report)
    return report


def _check_size(path: Path, report: Report) -> None:
    """Refuse more rows than a gate has, and whole numbers that no measurement gives, which only cost time to print."""
    numbers = [value for row in report.rows for value in (row.base, row.candidate) if isinstance(value, int)]
    if len(report.rows) > _MOST_ROWS:
        raise UsageError(f"{str(path)!r} is no result of a gate: {len(report.rows):,} rows, more than {_MOST_ROWS:,}")
    if any(abs(number) >= _LARGEST_NUMBER for number in numbers):
        raise UsageError(f"{str(path)!r} is no result of a gate: a whole number of more than 63 bits")
