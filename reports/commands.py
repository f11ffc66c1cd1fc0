"""Commands that reproduce a part of a run."""

from __future__ import annotations

import shlex

_REPLACED = ("--tasks", "--variants", "--seeds", "--workers", "--cluster", "--dry-run", "--explain", "--fresh")
"""Options that say what part of a preset is run, or how; a reproducing command sets its own."""


def base(command: str) -> str:
    """The command that started a run without what narrowed it: a reproducing command goes on from here."""
    words = _words(command)
    if words[:2] != ["coordbench", "run"]:
        return "coordbench run"
    chosen: list[str] = []
    dropping = False
    for word in words:
        if word.startswith("--"):
            dropping = word.split("=")[0] in _REPLACED
        if not dropping:
            chosen.append(word)
    return shlex.join(chosen)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # an open quotation mark: somebody's own text
        return []
