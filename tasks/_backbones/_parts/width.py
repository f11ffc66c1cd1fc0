"""Scale the width of a backbone, so that variants can be compared at equal budgets."""

from __future__ import annotations


def scaled(channels: int, width: float) -> int:
    """Return `width` times as many channels, at least one."""
    return max(1, round(channels * width))
