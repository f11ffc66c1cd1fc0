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

Score = tuple[str, str, object]
"""Split, metric, value."""


def of_record(row: Mapping[str, object], scores: Iterable[Score]) -> str:
    """The checksum of a record's row and its scores, in any order."""
    return of_values([row[name] for name in FIELDS], scores)


def of_values(values: Sequence[object], scores: Iterable[Score]) -> str:
    """The checksum of the values of FIELDS and the scores."""
    listed = sorted(((split, metric, repr(_plain(value))) for split, metric, value in scores))
    return _digest(repr((list(map(_plain, values)), listed)).encode(errors="replace"))


def of_parts(*parts: object) -> str:
    """The checksum of a row that hangs on a record: texts, numbers and bytes."""
    return _digest(b"\0".join(part if isinstance(part, bytes) else repr(part).encode() for part in parts))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _plain(value: object) -> object:
    """A value as it comes back from every database: any number is a float, NaN is null, JSON is text."""
    kind = type(value)
    if value is None or kind is bool or kind is str:  # most values, cheaply
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Real):
        number = float(value)
        return None if math.isnan(number) else number
    return repr(value)
