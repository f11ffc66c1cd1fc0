"""`coordbench compare`: compare two runs."""

from __future__ import annotations

import sys
from typing import Annotated

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, Out, StoreURL, command, print_json
from coordbench.harness.core.exit_codes import ExitCode


@command("compare", "compare 20300101 20300102")
def compare(
    run_a: Annotated[Positional[str], arg(help="the earlier run, or the beginning of its name")],
    run_b: Annotated[Positional[str], arg(help="the run that is compared with it")],
    *,
    json: Annotated[bool, arg(help="print everything as JSON instead of the table")] = False,
    store: StoreURL = None,
    out: Out = OUT,
) -> int:
    """Compare two runs: scores by equal seeds, parameters and FLOPs exactly, times only from equal machines."""
    from coordbench.harness.analysis.compare import compare_runs
    from coordbench.harness.store.store import open_store
    from coordbench.reports.files.terminal import compared
    from coordbench.reports.pages.comparison import save

    with open_store(store, out, existing=True) as opened:
        comparison = compare_runs(opened, opened.resolve_run(run_a), opened.resolve_run(run_b))
        if json:
            print_json(comparison.plain())
        else:
            print(compared(comparison))
        print(f"report: {save(opened, comparison, out)}", file=sys.stderr)
    codes = {
        "not comparable": ExitCode.NOT_COMPARABLE,
        "worse": ExitCode.REGRESSED,
        "nothing shared": ExitCode.NOTHING_MEASURED,
        "open": ExitCode.INCONCLUSIVE,
        "not worse": ExitCode.OK,
    }
    return codes[comparison.outcome]
