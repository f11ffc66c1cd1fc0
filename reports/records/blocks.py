"""Marked parts of Markdown that are written from records: `<!-- results: NAME ARGUMENT .. -->` to `<!-- end -->`.

A mark may stand within a sentence, around a single number, or on a line of its own, around a table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from coordbench.harness.core.errors import UsageError

_BLOCK = re.compile(r"(<!-- results: ([^>\n]+?) -->)(.*?)(<!-- end -->)", re.DOTALL)
_OPEN = re.compile(r"<!-- results: [^>\n]+? -->|<!-- end -->")


@dataclass(frozen=True)
class Block:
    """A marked part: what it asks for, and what stands in it."""

    name: str
    arguments: tuple[str, ...]
    content: str

    @property
    def words(self) -> str:
        """What it asks for, as it is written."""
        return " ".join([self.name, *self.arguments])


def blocks(text: str) -> Iterator[Block]:
    """The marked parts of a text; raise UsageError where a mark has no end."""
    parts = list(_BLOCK.finditer(text))
    if 2 * len(parts) != len(_OPEN.findall(text)):
        raise UsageError("a mark `<!-- results: .. -->` has no `<!-- end -->`, or an end has no mark before it")
    for part in parts:
        name, *arguments = part[2].split()
        yield Block(name, tuple(arguments), part[3].strip())


def filled(text: str, write: Callable[[Block], str]) -> str:
    """The text with every marked part written anew; one that stands on lines of its own stays so."""
    listed = iter(list(blocks(text)))

    def replaced(part: re.Match[str]) -> str:
        content = write(next(listed))
        around = "\n" if part[3].startswith("\n") or "\n" in content else ""
        return f"{part[1]}{around}{content}{around}{part[4]}"

    return _BLOCK.sub(replaced, text)


def prose(text: str) -> str:
    """What is left of a text without its marked parts."""
    return _BLOCK.sub("", text)
