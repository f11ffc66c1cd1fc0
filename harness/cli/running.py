"""What `coordbench run` prints of how a run ended."""

from __future__ import annotations

from pathlib import Path

from coordbench.harness.run.recorder import Result
from coordbench.harness.store.store import Store
from coordbench.reports.data.run import load
from coordbench.reports.files.terminal import grid
from coordbench.reports.pages.page import write_page


def show_result(result: Result, store: Store, pages: Path | None) -> None:
    """Print how a run ended, and the path of its page where `pages` is the folder of pages."""
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result.statuses.items()))
    print(f"run {result.run}: {counts or 'nothing planned'} ({result.reused} reused)")
    if pages is not None:
        run = load(result.run, store=store)
        print("\n".join(filter(None, [grid(run), f"report: {write_page(run, pages)}"])))
