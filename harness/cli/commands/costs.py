"""`coordbench costs`: measure what layers cost."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, Device, Out, Plugins, command, command_line
from coordbench.harness.core.exit_codes import ExitCode


@command("costs", "costs conv coordconv --shape small large")
def costs(
    variants: Annotated[Positional[list[str]], arg(help="the layers to measure; all by default")] = [],  # noqa: B006
    *,
    shape: Annotated[list[Literal["small", "large", "wide"]], arg(help="shapes of one layer; --task otherwise")] = [],  # noqa: B006
    layout: Annotated[list[Literal["contiguous", "channels_last"]], arg(help="of memory")] = ["contiguous"],  # noqa: B006
    task: Annotated[str, arg(help="where they stand")] = "copy",
    backbone: Annotated[str, arg(help="a network of that task")] = "stack",
    device: Device = "auto",
    seconds: Annotated[float | None, arg(help="how long each phase is timed [s]; energy needs 5")] = None,
    plugin: Plugins = [],  # noqa: B006
    store: Annotated[bool, arg(help="keep the costs as a run of --out, for reports and exports")] = False,
    json: Annotated[bool, arg(help="print an array of objects")] = False,
    out: Out = OUT,
) -> int:
    """Measure what layers cost, each beside the plain convolution, and print the table."""
    from coordbench.harness.api.costs import Request, measure_costs
    from coordbench.harness.api.execution import load_plugins
    from coordbench.harness.measure.table import readable

    request = Request(
        variants, shape, layout, task, backbone, device, seconds, load_plugins(plugin), command_line()
    )  # fmt: skip
    measured = measure_costs(request, out if store else None)
    if measured.page is not None:
        print(f"run {measured.result.run}\nreport: {measured.page}", file=sys.stderr)
    print(measured.table.to_json(orient="records", indent=1) if json else readable(measured.table))
    return ExitCode.TRIALS_FAILED if measured.result.failed else ExitCode.OK
