"""A law: a function of a layer factory that returns what it looked at and raises where the law is broken."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from coordbench.harness.core.entries import Layer


@dataclass(frozen=True)
class Law:
    """A property that every layer must have: what it means, and how a layer that lacks it is mended."""

    name: str
    meaning: str
    mend: str
    examine: Callable[[Layer], str]


LAWS: dict[str, Law] = {}


def law(mend: str) -> Callable[[Callable[[Layer], str]], Callable[[Layer], str]]:
    """Register a law under the name of its function, whose docstring says what it means."""

    def register(examine: Callable[[Layer], str]) -> Callable[[Layer], str]:
        meaning = " ".join((inspect.getdoc(examine) or "").split())
        LAWS[examine.__name__] = Law(examine.__name__, meaning, mend, examine)
        return examine

    return register
