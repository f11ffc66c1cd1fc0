"""Options of a registered function: its keyword arguments, written and read as text."""

from __future__ import annotations

import difflib
import inspect
import math
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from coordbench.harness.core.errors import UsageError

Value = bool | int | float | str


@dataclass(frozen=True)
class Range:
    """The values that an option may have, written into its annotation: `Annotated[int, Range(1)]`.

    From `least` to `most`, both included; `above` is a bound that is not.
    """

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf

    def __contains__(self, value: object) -> bool:
        """Whether a value lies within the range."""
        return isinstance(value, int | float) and self.least <= value <= self.most and value > self.above

    def __str__(self) -> str:
        """The range in words, as they follow the name of a type."""
        if math.isfinite(self.above):
            return f"above {self.above:g}" + (f", at most {self.most:g}" if math.isfinite(self.most) else "")
        if math.isfinite(self.least) and math.isfinite(self.most):
            return f"from {self.least:g} to {self.most:g}"
        return f"of at least {self.least:g}" if math.isfinite(self.least) else f"of at most {self.most:g}"


Count = Annotated[int, Range(1)]
"""How many of something: at least one."""
Share = Annotated[float, Range(0, 1)]
"""A part of a whole, or a probability."""
Positive = Annotated[float, Range(above=0)]
"""A width, a weight or a rate."""
NotNegative = Annotated[float, Range(0)]
"""A strength or a length, which may be 0."""


@dataclass(frozen=True)
class Option:
    """A keyword argument of a registered function: its type as written and its default."""

    name: str
    annotation: Any
    default: Any

    def convert(self, text: str, where: str) -> Any:
        """Turn the text of a selector into a value of this option's type, or raise a UsageError."""
        for candidate in _alternatives(self.annotation):
            try:
                return _convert(text, candidate)
            except ValueError:
                continue
        raise UsageError(f"{where}: option {self.name}={text!r} is not valid; expected {self.describe()}")

    def describe(self) -> str:
        """What a user may write for this option."""
        return " or ".join(_describe(kind) for kind in _alternatives(self.annotation))


def options_of_function(function: Callable[..., Any], hidden: tuple[str, ...]) -> tuple[Option, ...]:
    """The keyword-only arguments of a function, but for the `hidden` ones, as options."""
    namespace = vars(sys.modules[function.__module__])
    options = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY or parameter.name in hidden:
            continue
        annotation = parameter.annotation
        if isinstance(annotation, str):  # one by one: other annotations may name what exists for type checkers only
            annotation = eval(annotation, namespace)  # a user's own source text, which has just been imported
        if parameter.default is inspect.Parameter.empty:
            raise UsageError(f"option {parameter.name!r} of {function.__qualname__} needs a default")
        options.append(Option(parameter.name, annotation, parameter.default))
    return tuple(options)


def show(value: Any) -> str:
    """A value as a selector writes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def valid(wrong: str, names: Any) -> str:
    """The end of an error about a name: the closest valid one, and all."""
    names = sorted(names)
    close = difflib.get_close_matches(wrong, names, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid: {', '.join(names) or 'none'}"


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (str,) if annotation is inspect.Parameter.empty else (annotation,)


def _convert(text: str, kind: Any) -> Value | Path | None:
    if typing.get_origin(kind) is Annotated:
        plain, *notes = typing.get_args(kind)
        converted = _convert(text, plain)
        if any(isinstance(note, Range) and converted not in note for note in notes):
            raise ValueError(text)
        return converted
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    if kind is type(None):
        if text.lower() != "none":
            raise ValueError(text)
        return None
    if typing.get_origin(kind) is Literal:
        for choice in typing.get_args(kind):
            if str(choice) == text:
                return typing.cast(Value, choice)
        raise ValueError(text)
    value = kind(text)
    if (kind is float and not math.isfinite(value)) or (kind is Path and not value.exists()):
        raise ValueError(text)
    return typing.cast(Value, value)


def _describe(kind: Any) -> str:
    if typing.get_origin(kind) is Annotated:
        plain, *notes = typing.get_args(kind)
        return " ".join([_describe(plain), *(str(note) for note in notes if isinstance(note, Range))])
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(kind))
    names = {bool: "true or false", int: "an integer", float: "a number", str: "text", Path: "a path that exists"}
    return "none" if kind is type(None) else names.get(kind, str(kind))
