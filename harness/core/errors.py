"""A user's mistake, and any error in one line.

The standard library alone is used here, nothing of this project: the gate hands this file to both of its sides.
"""

from __future__ import annotations

import os
import traceback


class UsageError(ValueError):
    """A user's mistake: one line that names the bad value and the valid ones; exit code 2."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a stack trace: where it was raised tells a user nothing."""
        return [f"{type(self).__name__}: {self}"]


def describe_error(error: BaseException, *, where: bool = False) -> str:
    """An error in one line: its type and what it says with its notes; `where` adds the innermost file and line."""
    message = str(error) + "".join(getattr(error, "__notes__", ()))
    frames = traceback.extract_tb(error.__traceback__) if where else []
    place = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return " ".join(f"{type(error).__name__}: {message}".split()) + place
