"""The grammar of names: `name[option=value, ...]`, parsed once and printed once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from coordbench.harness.core.errors import UsageError

_GRAMMAR = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\[(.*)\])?\s*", re.DOTALL)


@dataclass(frozen=True, order=True)
class Selector:
    """A name with its options as text, such as `conv[padding=circular]`.

    Only the registry knows which options a name has: `registry.select` checks a selector and makes it canonical
    (options sorted, defaults left out), so that two selectors are equal where they name the same thing.
    """

    name: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Read a selector by its syntax alone; raise UsageError that repeats the text."""
        match = _GRAMMAR.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is no selector; write name or name[option=value, option=value]")
        options = tuple(_pairs(text, match[2] or ""))
        keys = [key for key, _ in options]
        for key in keys:
            if keys.count(key) > 1:
                raise UsageError(f"{text!r}: option {key!r} is given twice")
        return cls(match[1], options)

    @property
    def options_text(self) -> str:
        """The text between the brackets, empty without options."""
        return ", ".join(f"{key}={value}" for key, value in self.options)

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return f"{self.name}[{self.options_text}]" if self.options else self.name


def _pairs(text: str, inside: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, (part.strip() for part in inside.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise UsageError(f"{text!r}: option {key!r} has no value; write {key}=VALUE")
        yield key, value
