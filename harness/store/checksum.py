"""A checksum over what is stored of a record, so that a number changed by hand is seen.

No seal against a forger, who can compute it too: a guard against slips, half-finished repairs and merges gone wrong.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

FIELDS = (
    *("kind", "key", "identity", "status", "error", "converged", "seconds", "steps", "peak_memory_bytes"),
    *("fate", "fate_start", "fate_time", "epoch_steps", "parameters", "flops"),
    *("latency_forward_seconds", "latency_step_seconds", "facts"),
)
"""The columns of a record that its checksum covers, beside its scores."""

_SAME = {str, bool, type(None)}

Score = tuple[str, str, object]
"""Split, metric, value."""


def of_record(row: Mapping[str, object], scores: Iterable[Score]) -> str:
    """The checksum of a record's row and its scores, in any order."""
    return of_columns([[row[name]] for name in FIELDS], [scores])[0]


def of_columns(columns: Sequence[Sequence[object]], scores: Iterable[Iterable[Score]]) -> list[str]:
    """The checksums of records out of the columns FIELDS and the scores of each; many at once cost far less."""
    rows = zip(*map(_plain_column, columns), strict=True)
    pairs = zip(rows, scores, strict=True)
    return [_digest(repr((list(row), _listed(each))).encode(errors="replace")) for row, each in pairs]


def _listed(scores: Iterable[Score]) -> list[tuple[str, str, str]]:
    return sorted([(split, metric, repr(_plain(value))) for split, metric, value in scores])


def of_parts(*parts: object) -> str:
    """The checksum of a row that hangs on a record: texts, numbers and bytes."""
    return _digest(b"\0".join(part if isinstance(part, bytes) else repr(part).encode() for part in parts))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _plain_column(values: Sequence[object]) -> Sequence[object]:
    """The values of a column as `_plain` makes them; a column of texts is so already."""
    return values if set(map(type, values)) <= _SAME else list(map(_plain, values))


def _plain(value: object) -> object:
    """A value as it comes back from every database: any number is a float, NaN is null, JSON is text."""
    kind = type(value)
    if kind in _SAME:  # cheap questions first: whether it is a Real takes far longer
        return value
    if kind is float:
        return value if value == value else None
    if kind is int:
        return float(value)  # type: ignore[arg-type]
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Real):
        number = float(value)
        return None if math.isnan(number) else number
    return repr(value)
