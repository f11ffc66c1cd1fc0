"""`coordbench run`: run a preset."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, Device, Out, Plugins, StoreURL, command, command_line, complain
from coordbench.harness.core.exit_codes import ExitCode


@command("run", "run quick --variants conv coordconv --seeds 5")
def run(
    preset: Annotated[Positional[str], arg(help="a built-in preset or the path of a .toml file")] = "quick",
    *,
    variants: Annotated[list[str], arg(help="replace the preset's variants")] = [],  # noqa: B006
    tasks: Annotated[list[str], arg(help="keep only the tasks with these base names")] = [],  # noqa: B006
    seeds: Annotated[int | None, arg(help="replace the preset's number of seeds, at which then is one look")] = None,
    device: Device = "auto",
    plugin: Plugins = [],  # noqa: B006
    workers: Annotated[int | None, arg(help="processes at a time; one per core by default, one per GPU")] = None,
    cluster: Annotated[str | None, arg(help="address of a Dask scheduler, or local:N")] = None,
    store: StoreURL = None,
    out: Out = OUT,
    dry_run: Annotated[bool, arg(help="print the plan and an estimate of its time, run nothing")] = False,
    fresh: Annotated[bool, arg(help="use no earlier record")] = False,
    explain: Annotated[bool, arg(help="say why each trial is run or reused")] = False,
    reuse: Annotated[list[str], arg(help="folders of records that this run may use, too; they are only read")] = [],  # noqa: B006
    profile: Annotated[
        bool, arg(help="profile each network whose costs are measured, and link it in the page")
    ] = False,
    no_report: Annotated[bool, arg(help="write no page at the end")] = False,
) -> int:
    """Run a preset, or go on with it, and write its report."""
    from coordbench.harness.api.execution import Execution, execute, exit_code, load_plugins
    from coordbench.harness.api.plans import Choice, read_preset, refused_claims
    from coordbench.harness.api.records import planned_with, take_up
    from coordbench.harness.cli.running import show_result
    from coordbench.harness.run import forecast
    from coordbench.harness.run.patience import open_patiently

    sources = load_plugins(plugin)
    plan = Choice(read_preset(preset), variants, tasks, seeds).plan(device)
    how = Execution(device, workers, cluster, sources, fresh, out, command_line(), profile)
    for line in refused_claims(plan):
        print(line)
    with open_patiently(store, out, plan.preset.store_patience_seconds) as opened:
        if dry_run:
            with planned_with(reuse, opened, print) as both:
                print(forecast.forecast(plan, both, fresh=fresh, explain=explain))
            return ExitCode.OK
        take_up(reuse, opened, print)
        if explain:
            print(forecast.forecast(plan, opened, fresh=fresh, explain=explain))
        result = execute(plan, opened, how, complain)
        show_result(result, opened, None if no_report else out)
    return exit_code(result)
