"""Which color stands for which variant: the same on every page, whoever else takes part there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

COUNT = 10
"""Colors that an eye can tell apart; the first is that of `conv`."""
_SALT = 306
"""Under this salt the layers that nearly every preset holds get colors of their own."""


def slots(variants: Iterable[str]) -> dict[str, int]:
    """Variant -> slot: its color is `slot % COUNT`, its line style `slot // COUNT`.

    The slot follows from the name alone, unless two names of one page want the same: then the later one, in the order
    of the alphabet, moves on to the next that is free.
    """
    taken: dict[int, str] = {}
    for name in sorted(set(variants)):
        slot = _wanted(name)
        level = len(taken) // COUNT * COUNT
        while slot + level in taken:
            slot, level = ((slot + 1) % COUNT, level) if _free(taken, level) else (slot, level + COUNT)
        taken[slot + level] = name
    return {name: slot for slot, name in taken.items()}


def _free(taken: dict[int, str], level: int) -> bool:
    return any(level + place not in taken for place in range(COUNT))


def _wanted(name: str) -> int:
    if name == "conv":
        return 0
    digest = hashlib.sha256(f"{_SALT}{name}".encode()).digest()
    return 1 + int.from_bytes(digest[:4], "big") % (COUNT - 1)
