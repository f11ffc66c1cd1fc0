"""`coordbench check`: try the laws."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import command, load_plugins, print_json
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode


@command("check")
def check(
    file: Annotated[Positional[Path], arg(help="a Python file that registers variants")],
    *,
    json: Annotated[bool, arg(help="print an array of objects")] = False,
) -> int:
    """Check the laws of a layer over every variant that a file registers."""
    from dataclasses import asdict

    from coordbench.harness import laws
    from coordbench.harness.cli.checking import checked
    from coordbench.harness.core import registry

    load_plugins([file])
    names = [entry.name for entry in registry.entries("variant") if Path(entry.file) == file.resolve()]
    if not names:
        raise UsageError(f"{str(file)!r} registers no variant; decorate a layer by coordbench.variant")
    results = {name: laws.check(name) for name in names}
    if json:
        print_json([{"name": name} | asdict(result) for name in names for result in results[name]])
    for name in names if not json else ():
        print("\n".join(checked(name, results[name])))
    passed = all(result.passed for name in names for result in results[name])
    return ExitCode.OK if passed else ExitCode.TRIALS_FAILED
