"""Values as every database takes them: text without NUL, JSON without NaN, arrays as bytes."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ENCODER = json.JSONEncoder(default=str, allow_nan=False)


class JsonText(str):
    """JSON that is text already, and is not encoded again."""

    __slots__ = ()


def text(value: str) -> str:
    """Text as every database takes it: PostgreSQL knows no NUL, and neither knows half a surrogate pair."""
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "").encode(errors="replace").decode()


def to_json(value: object) -> JsonText:
    """JSON as every database takes it: what is no number is null, what JSON does not know is its text."""
    if isinstance(value, JsonText):
        return value
    try:
        return JsonText(_ENCODER.encode(value) if value != {} else "{}")
    except ValueError:
        return JsonText(json.dumps(_without_nan(json.loads(json.dumps(value, default=str)))))


def now() -> str:
    """The time, in UTC, as text that sorts."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def pack(values: Sequence[float]) -> bytes:
    """Numbers as bytes."""
    return np.asarray(values, dtype="<f8").tobytes()


def unpack(array: bytes | None) -> NDArray[np.float64]:
    """The numbers of a stored series."""
    return np.frombuffer(array or b"", dtype="<f8")


def unpack_sample(data: bytes, dtype: str, shape: Sequence[int]) -> NDArray[np.generic]:
    """The array of a stored sample."""
    return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape)


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
