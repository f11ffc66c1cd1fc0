"""A law: a function of a layer factory that returns what it looked at and raises where the law is broken."""

from __future__ import annotations

from collections.abc import Callable

from coordbench.harness.core.entries import Layer

Law = Callable[[Layer], str]

LAWS: dict[str, Law] = {}


def law(function: Law) -> Law:
    """Register a law under the name of its function."""
    LAWS[function.__name__] = function
    return function
