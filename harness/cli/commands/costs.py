"""`coordbench costs`: measure what layers cost."""

from __future__ import annotations

from typing import Annotated, Literal

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, Device, Out, Plugins, command, load_plugins


@command("costs")
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
    from coordbench.harness.cli.costs import Request, measure_costs
    from coordbench.harness.process import environment

    sources = load_plugins(plugin)
    request = Request(variants, shape, layout, task, backbone, environment.device(device), seconds, sources)
    text, code = measure_costs(request, out if store else None, as_json=json)
    print(text)
    return code
