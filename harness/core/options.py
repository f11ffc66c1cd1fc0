"""Options of a registered function: its keyword arguments, written and read as text."""

from __future__ import annotations

import difflib
import inspect
import math
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from coordbench.harness.core.errors import UsageError

OptionValue = bool | int | float | str | Path | None


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
    annotation: object
    default: OptionValue

    def convert(self, text: str, where: str) -> OptionValue:
        """Turn the text of a selector into a value of this option's type, or raise a UsageError."""
        for candidate in _alternatives(self.annotation):
            try:
                return _convert(text, candidate)
            except ValueError:
                continue
        raise UsageError(f"{where}: option {self.name}={text!r} is not valid; expected {self.describe()}")

    @property
    def range(self) -> Range | None:
        """The range that a number must lie in, if one is declared."""
        return next((limits for kind in _alternatives(self.annotation) for limits in _ranges(kind)), None)

    def holds(self, kind: type) -> bool:
        """Whether values of a type are valid, such as `int` of a width that counts channels."""
        return kind in map(_bare, _alternatives(self.annotation))

    def describe(self) -> str:
        """What a user may write for this option."""
        return " or ".join(_describe(kind) for kind in _alternatives(self.annotation))


def options_of_function(function: Callable[..., object], hidden: tuple[str, ...]) -> tuple[Option, ...]:
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


def show(value: OptionValue) -> str:
    """A value as a selector writes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def valid(wrong: str, names: Iterable[str]) -> str:
    """The end of an error about a name: the closest valid one, and all."""
    names = sorted(names)
    close = difflib.get_close_matches(wrong, names, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid: {', '.join(names) or 'none'}"


def _alternatives(annotation: object) -> tuple[object, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (str,) if annotation is inspect.Parameter.empty else (annotation,)


def _convert(text: str, kind: object) -> OptionValue:
    """Text as a value of one type; raise ValueError where it is none."""
    if typing.get_origin(kind) is Annotated:
        value = _convert(text, typing.get_args(kind)[0])
        if not all(value in limits for limits in _ranges(kind)):
            raise ValueError(text)
        return value
    if kind is bool or kind is type(None):
        return _CONSTANTS[kind][text.lower()] if text.lower() in _CONSTANTS[kind] else _refuse(text)
    if typing.get_origin(kind) is Literal:
        choices: dict[str, OptionValue] = {str(choice): choice for choice in typing.get_args(kind)}
        return choices[text] if text in choices else _refuse(text)
    if kind is Path:
        return path if (path := Path(text)).exists() else _refuse(text)
    value = _NUMBERS[kind](text) if kind in _NUMBERS else text
    return value if not isinstance(value, float) or math.isfinite(value) else _refuse(text)


_CONSTANTS: Mapping[object, Mapping[str, OptionValue]] = {
    bool: {"true": True, "false": False},
    type(None): {"none": None},
}

_NUMBERS: Mapping[object, Callable[[str], OptionValue]] = {int: int, float: float}


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


def _bare(kind: object) -> object:
    """A type without its range."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def _ranges(kind: object) -> tuple[Range, ...]:
    return tuple(item for item in typing.get_args(kind)[1:] if isinstance(item, Range))


def _describe(kind: object) -> str:
    if typing.get_origin(kind) is Annotated:
        return " ".join([_describe(typing.get_args(kind)[0]), *(str(limits) for limits in _ranges(kind))])
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(kind))
    return _WORDS.get(kind, str(kind))


_WORDS: Mapping[object, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "text",
    Path: "a path that exists",
    type(None): "none",
}
