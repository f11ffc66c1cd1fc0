"""The blocks of the documents: commands, files and Python, as a reader would copy them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "results" / "README.md"])
OUTSIDE = ("pip install", "nox -s", "git ", "dask ", "python -m tests.benchmarks")
"""Lines that no test of documents runs: they change the environment, start servers, or are sessions of their own."""


@dataclass(frozen=True)
class Block:
    """A piece of a document: the words of a command, a file with its name, or a script."""

    kind: Literal["command", "file", "script"]
    text: str
    name: str = ""

    @property
    def words(self) -> list[str]:
        """The words of a command behind `coordbench`."""
        return shlex.split(self.text, comments=True)[1:]


def blocks(document: Path) -> Iterator[Block]:
    """The blocks of a document in their order."""
    for token in MarkdownIt().parse(document.read_text(encoding="utf-8")):
        if token.type == "fence" and token.info in ("python", "toml"):
            yield _file(token.info, token.content)
        elif token.type == "code_block":
            yield from _commands(token.content)


def _commands(text: str) -> Iterator[Block]:
    for line in text.splitlines():
        if line.strip().startswith("coordbench ") and not line.strip().startswith("coordbench COMMAND"):
            yield Block("command", line.strip())


def _file(language: str, text: str) -> Block:
    """A plug-in is named after what it registers, a preset by its first comment; other Python is a script."""
    registered = re.search(r'^@(?:variant|task)\("(\w+)"', text, re.MULTILINE)
    named = re.match(r"# ([\w.]+)\n", text)
    if language == "python" and not registered:
        return Block("script", text)
    return Block("file", text, f"{registered[1]}.py" if registered else named[1] if named else "")
