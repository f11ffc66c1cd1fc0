"""The command `coordbench`: exit codes and errors of one line; the commands themselves are in `commands`.

Nothing heavy is imported up here: every worker process imports its driver's main module again.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import sys
from collections.abc import Callable, Sequence

from coordbench.harness.core.exit_codes import ExitCode


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; a user's mistake is one line on standard error."""
    from coordbench.harness.core.errors import UsageError

    try:
        return _dispatch(arguments)
    except UsageError as error:
        print(f"coordbench: {error}", file=sys.stderr)
        return getattr(error, "code", ExitCode.USAGE)
    except KeyboardInterrupt:
        print("coordbench: interrupted; finished records are kept, the same command goes on from them", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return ExitCode.OK


def _dispatch(arguments: Sequence[str]) -> int:
    if list(arguments) == ["--version"]:
        from importlib.metadata import version

        print(f"coordbench {version('coordbench')}")
        return ExitCode.OK
    from coordbench.harness.cli.arguments import unknown_argument

    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            command = parsed(arguments)
    except SystemExit as stop:
        if stop.code:
            print(f"coordbench: {unknown_argument(arguments) or _one_line(errors.getvalue())}", file=sys.stderr)
        return ExitCode.USAGE if stop.code else ExitCode.OK
    return command()


def parsed(arguments: Sequence[str]) -> Callable[[], int]:
    """What a command line asks for, not done yet; raise SystemExit with a box on standard error where it is wrong."""
    import tyro

    from coordbench.harness.cli.commands import app

    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
    command: Callable[[], int] = app.cli(args=list(arguments) or ["--help"], prog="coordbench", config=config)
    return command


def _one_line(box: str) -> str:
    """The sentences of a parser's error box, without its frame and its help."""
    lines = [line.strip("\u2502 ") for line in box.splitlines() if not line.startswith(("\u256d", "\u2570"))]
    message = itertools.takewhile(lambda line: not line.startswith(("Argument helptext", "For full helptext")), lines)
    return " ".join(line if not line.startswith("\u2500") else "-" for line in message if line).strip(" -")
