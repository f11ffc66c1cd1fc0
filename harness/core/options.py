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
from typing import Any, Literal

from coordbench.harness.core.errors import UsageError

Value = bool | int | float | str


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
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(kind))
    names = {bool: "true or false", int: "an integer", float: "a number", str: "text", Path: "a path that exists"}
    return "none" if kind is type(None) else names.get(kind, str(kind))
