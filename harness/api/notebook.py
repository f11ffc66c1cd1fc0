"""What a notebook needs: a bar that moves without any widget, and figures that are shown."""

from __future__ import annotations

import html
import importlib
import sys
from types import TracebackType
from typing import Protocol

from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.core.trial import Job
from coordbench.harness.run.progress import Progress, describe, summary


class Display(Protocol):
    """Where a notebook shows something that changes."""

    def update(self, shown: object) -> None:
        """Show another thing in the same place."""


def progress() -> Progress:
    """What tells of a run here."""
    return NotebookProgress() if in_notebook() else Progress()


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this process."""
    if "IPython" not in sys.modules:
        return False
    return type(importlib.import_module("IPython").get_ipython()).__name__ == "ZMQInteractiveShell"


def show_figures() -> None:
    """Let a notebook draw a figure that is the last value of a cell, whether pyplot was imported or not."""
    if in_notebook():
        shell = importlib.import_module("IPython").get_ipython()
        importlib.import_module("IPython.core.pylabtools").select_figure_formats(shell, {"png"})


class NotebookProgress(Progress):
    """One bar that moves in place; lines that must not be missed, such as failures, stay below it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.latest = "looking up what is at hand"
        self.display: Display | None = None

    def __enter__(self) -> NotebookProgress:
        self.display = importlib.import_module("IPython.display").display(self, display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.latest = "done" if error is None else "stopped; finished records are kept"
        self._show()

    def expect(self, stage: str, pending: int, reused: int) -> None:
        """Take what need not be done out of the total."""
        super().expect(stage, pending, reused)
        self._show()

    def done(self, job: Job, record: Record | CostRecord) -> None:
        """Move the bar; keep the line of a failure."""
        self.finished += 1
        self.latest = f"{describe(job)}: {summary(job, record)}"
        if record.status != "ok":
            self.lines.append(self.latest)
        self._show()

    def shared(self, job: Job, status: str) -> None:
        """Count what another driver did."""
        self.finished += 1
        self.latest = f"{describe(job)}: {status}, by another driver of this store"
        self._show()

    def say(self, line: str) -> None:
        """Keep a line below the bar."""
        self.lines.append(line)
        self._show()

    def _repr_html_(self) -> str:
        """The bar, what was done last, and the lines that stay."""
        below = "".join(f"<div>{html.escape(line)}</div>" for line in self.lines)
        bar = f'<progress value="{self.finished}" max="{max(self.total, 1)}"></progress>'
        return f"<div>{bar} {self.finished}/{self.total} {html.escape(self.latest)}</div>{below}"

    def __repr__(self) -> str:
        return "\n".join([f"[{self.finished}/{self.total}] {self.latest}", *self.lines])

    def _show(self) -> None:
        if self.display is not None:
            self.display.update(self)
