"""Tables of a TOML file as frozen dataclasses, by pydantic; whatever is wrong is one line that says what is valid."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from coordbench.harness.core.errors import UsageError

if TYPE_CHECKING:
    from dataclasses import Field as DataclassField

    from _typeshed import DataclassInstance

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(gt=0, lt=2**63)]
Names = Annotated[list[str], Field(min_length=1)]
"""Selectors, at least one."""

T = TypeVar("T", bound="DataclassInstance")

_RANGE = frozenset({"greater_than", "less_than", "finite_number"})
_SHOWN = 80


def read_toml(path: Path, what: str) -> dict[str, object]:
    """The tables of a TOML file; raise UsageError of one line where it is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise UsageError(f"{what} {str(path)!r} cannot be read: it is nested too deeply") from error
    except (OSError, ValueError) as error:  # ValueError: no TOML, no UTF-8, or a number of thousands of digits
        raise UsageError(f"{what} {str(path)!r} cannot be read: {' '.join(str(error).split())}") from error


def validate(kind: type[T], table: Mapping[str, object], where: str, given: Iterable[str] = ()) -> T:
    """Turn a table into a dataclass, types taken strictly; the caller adds the fields of `given`, a user may not."""
    check_keys(table, {item.name for item in fields(kind)}, where, given)
    missing = [item.name for item in fields(kind) if item.name not in table and _needed(item)]
    if missing:
        raise UsageError(f"{where}: missing keys {', '.join(missing)}")
    hints = get_type_hints(kind, include_extras=True)
    wanted = {key: value for key, value in table.items() if key not in set(given)}
    return kind(**{**table, **{key: _value(hints[key], value, f"{where}: {key}") for key, value in wanted.items()}})


def _value(hint: object, value: object, where: str) -> object:
    """A value of this type, as it is."""
    try:
        checked: object = _adapter(hint).validate_python(value, strict=True)
    except ValidationError as error:
        raise UsageError(f"{where}{_problem(hint, value, error)}") from error
    return checked


@functools.lru_cache(maxsize=256)
def _adapter(hint: object) -> TypeAdapter[object]:
    return TypeAdapter(hint)  # type: ignore[arg-type]  # a type of a field, which only the caller knows


def check_keys(table: Mapping[str, object], known: Iterable[str], where: str, given: Iterable[str] = ()) -> None:
    """Refuse keys that nobody knows."""
    names = set(known)
    for key in table:
        if key not in names:
            raise UsageError(f"{where}: unknown key {key!r}; valid: {', '.join(sorted(names - set(given)))}")


def _needed(item: DataclassField[object]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _problem(hint: object, value: object, error: ValidationError) -> str:
    """What is wrong with a value, after the name of its key."""
    types = {problem["type"] for problem in error.errors(include_url=False, include_input=False)}
    if types & _RANGE:
        return f"={show(value)} must be positive and finite"
    if "too_short" in types:
        return " must not be empty"
    return f"={show(value)} is not valid; expected {_expected(hint)}"


def show(value: object) -> str:
    """A value as an error repeats it: cut where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or lists in lists in lists
        return f"({type(value).__name__} too large to show)"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}.."


def _expected(hint: object) -> str:
    """A type in words, such as `list[str]` or `one of parameters, flops`, or how its field describes it."""
    if get_origin(hint) is Annotated:
        described = [
            item.description for item in get_args(hint)[1:] if isinstance(item, FieldInfo) and item.description
        ]
        return described[0] if described else _expected(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_expected(part) for part in get_args(hint) if part is not type(None))
    inside = ", ".join(map(_expected, get_args(hint)))
    name = str(getattr(hint, "__name__", hint))
    return f"{name}[{inside}]" if inside else name
