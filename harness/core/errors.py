"""A user's mistake, and any error in one line."""

from __future__ import annotations


class UsageError(ValueError):
    """A user's mistake: one line that names the bad value and the valid ones; exit code 2."""


def describe_error(error: BaseException) -> str:
    """An error in one line: its type and what it says."""
    return " ".join(f"{type(error).__name__}: {error}".split())
