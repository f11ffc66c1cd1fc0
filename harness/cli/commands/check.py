"""`coordbench check`: try the laws."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import command, print_json
from coordbench.harness.core.exit_codes import ExitCode


@command("check", "check my_layer.py")
def check(
    file: Annotated[Positional[Path], arg(help="a Python file that registers variants")],
    *,
    json: Annotated[bool, arg(help="print an array of objects")] = False,
) -> int:
    """Check the laws of a layer over every variant that a file registers."""
    from dataclasses import asdict

    from coordbench.harness.api.checking import check_file
    from coordbench.harness.cli.checking import checked

    results = check_file(file)
    if json:
        print_json([{"name": name} | asdict(result) for name, each in results.items() for result in each])
    for name, each in results.items() if not json else ():
        print("\n".join(checked(name, each)))
    passed = all(result.passed for each in results.values() for result in each)
    return ExitCode.OK if passed else ExitCode.TRIALS_FAILED
