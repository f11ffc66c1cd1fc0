"""`coordbench submit`: train a layer of your own, and write the folder of a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, Device, Out, command


@command("submit", "submit my_layer.py --suite translation")
def submit(
    plugin: Annotated[Positional[Path], arg(help="a Python file that registers your layer")],
    *,
    preset: Annotated[str, arg(help="whose contests it takes part in, beside the baseline")] = "standard",
    suite: Annotated[str | None, arg(help="keep only the contests of this suite")] = None,
    variants: Annotated[list[str], arg(help="layers of the file, with options; all of them by default")] = [],  # noqa: B006
    seeds: Annotated[int | None, arg(help="replace the preset's number of seeds")] = None,
    device: Device = "auto",
    workers: Annotated[int | None, arg(help="processes at a time; one per core by default, one per GPU")] = None,
    folder: Annotated[Path, arg(help="where the folder of the submission is written")] = Path("results/submissions"),
    out: Out = OUT,
) -> int:
    """Train the layers of a file over the contests of a preset, and write a folder that others can verify."""
    from coordbench.harness.api.execution import load_plugins
    from coordbench.harness.cli.submit import Request
    from coordbench.harness.cli.submit import submit as train_and_write
    from coordbench.harness.process import environment

    load_plugins([plugin])
    request = Request(plugin, preset, suite, variants, seeds)
    return train_and_write(request, environment.device(device), out, folder, workers)
