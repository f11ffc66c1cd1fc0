"""`coordbench new`: write a commented start of a layer or a task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import command
from coordbench.harness.core.exit_codes import ExitCode


@command("new", "new layer my_layer.py")
def new(
    kind: Annotated[Positional[Literal["layer", "task"]], arg(help="what to start")],
    file: Annotated[Positional[Path], arg(help="where to write it; its name becomes that of the layer or task")],
) -> int:
    """Write a commented file that works as it stands: a layer that passes `check`, or a task with its preset."""
    from coordbench.harness.cli.starting import start

    for line in start(kind, file):
        print(line)
    return ExitCode.OK
