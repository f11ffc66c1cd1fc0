"""`coordbench report`: write the page of a run."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import arg

from coordbench.harness.cli.arguments import OUT, Out, Run, StoreURL, command
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode


@command("report", "report --files")
def report(
    run: Run = None,
    *,
    store: StoreURL = None,
    out: Out = OUT,
    all: Annotated[bool, arg(help="one page over all runs, to be filtered by machine and revision")] = False,
    files: Annotated[bool, arg(help="write its tables, figures and a Markdown summary as files, too")] = False,
) -> int:
    """Write the page of a run and print its path."""
    from coordbench.harness.store.store import open_store
    from coordbench.reports.joined.page import write_joined
    from coordbench.reports.pages.page import write_report

    if all and (run or files):
        raise UsageError("--all is about every run, so neither a run nor --files goes with it")
    with open_store(store, out, existing=True) as opened:
        if all:
            print(write_joined(opened, out))
            return ExitCode.OK
        name = opened.resolve_run(run)
        print(write_report(opened, name, out))
        if files:
            from coordbench.reports.files.exports import export_report

            for path in export_report(opened, name, out / name):
                print(path)
    return ExitCode.OK
