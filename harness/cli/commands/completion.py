"""`coordbench completion`: let a shell complete commands and options."""

from __future__ import annotations

import contextlib
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import app, command
from coordbench.harness.core.exit_codes import ExitCode


@command("completion", "completion bash > ~/.local/share/bash-completion/completions/coordbench")
def completion(
    shell: Annotated[Positional[Literal["bash", "zsh", "fish"]], arg(help="the shell that reads it")],
) -> int:
    """Print what makes a shell complete the commands and options; write it where the shell looks for completions."""
    with contextlib.suppress(SystemExit):  # the parser ends the program once it has printed
        app.cli(args=["--tyro-print-completion", shell], prog="coordbench")
    return ExitCode.OK
