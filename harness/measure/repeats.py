"""The middle of several measurements of one latency, each made in a process of its own.

Where memory lies differs from process to process, and about one in ten is off by more than what is to be told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PROCESSES = 3
PATIENCE = 1.5
"""A measurement that takes longer [s] is made once: what differs from process to process hits short calls."""

APART = 0.10
"""Tolerated between the ratios of the processes."""


def middle(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Take each phase from the process whose ratio is in the middle, and keep the ratios of all."""
    found: dict[str, Any] = parts[0] | {"latencies": {}, "details": dict(parts[0]["details"])}
    details = found["details"]
    details |= {name: dict(details[name]) for name in ("samples_per_second", "ratios", "noisy")}
    for phase in parts[0]["details"]["ratios"]:
        timed = [part for part in parts if "ratio" in part["details"]["ratios"].get(phase, {})]
        if timed:
            _take(found, phase, sorted(timed, key=lambda part: part["details"]["ratios"][phase]["ratio"]))
    return found


def _take(found: dict[str, Any], phase: str, ordered: Sequence[dict[str, Any]]) -> None:
    """Put a phase of the middle one of parts, ordered by its ratio, into what was found."""
    chosen, details = ordered[len(ordered) // 2], found["details"]
    for name in (phase, *(name for name in chosen["latencies"] if name.startswith(f"{phase}/"))):
        found["latencies"][name] = chosen["latencies"][name]
    own = chosen["details"]
    ratios = [part["details"]["ratios"][phase]["ratio"] for part in ordered]
    details["samples_per_second"][phase] = own["samples_per_second"][phase]
    details["ratios"][phase] = own["ratios"][phase] | {"processes": ratios}
    noisy = list(own["noisy"].get(phase, ()))
    if ratios[-1] / ratios[0] - 1 > APART:
        noisy.append(f"processes are {ratios[-1] / ratios[0] - 1:.0%} apart")
    details["noisy"].pop(phase, None)
    if noisy:
        details["noisy"][phase] = noisy
    field = f"latency_{phase}_seconds"
    if field in found:
        found[field] = chosen[field]
