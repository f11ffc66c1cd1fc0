"""`coordbench history`: show how a score went over runs."""

from __future__ import annotations

import sys
from typing import Annotated

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, Out, StoreURL, command
from coordbench.harness.core.exit_codes import ExitCode


@command("history", "history psnr --last 20")
def history(
    metric: Annotated[Positional[str], arg(help="a metric such as psnr, or a cost such as latency_step_seconds")],
    *,
    tasks: Annotated[list[str], arg(help="keep only the tasks with these base names")] = [],  # noqa: B006
    last: Annotated[int, arg(help="how many newest runs to look at")] = 50,
    json: Annotated[bool, arg(help="print an array of objects")] = False,
    store: StoreURL = None,
    out: Out = OUT,
) -> int:
    """Show how a score or a cost went over stored runs, by commit, and where its level changed."""
    from coordbench.harness.analysis import history as trend
    from coordbench.harness.store.store import open_store
    from coordbench.reports.pages.history import write_history

    with open_store(store, out, existing=True) as opened:
        points = trend.history(opened, metric, tasks=tasks, last=last)
    if points.empty:
        print(f"coordbench: no run of this choice holds {metric!r}", file=sys.stderr)
        return ExitCode.NOTHING_MEASURED
    print(trend.plain(points) if json else trend.show(points))
    print(f"report: {write_history(points, metric, out)}", file=sys.stderr)
    return ExitCode.OK
