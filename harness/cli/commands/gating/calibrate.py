"""`coordbench calibrate`: tell how far the gate can be trusted here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from coordbench.harness.cli.arguments import command, print_json
from coordbench.harness.core.exit_codes import ExitCode


@command("calibrate", "calibrate --layers conv coordconv")
def calibrate(
    *,
    layers: Annotated[list[str], arg(help="layers to measure against themselves")] = ["conv"],  # noqa: B006
    runs: Annotated[int, arg(help="how many gates over equal code to measure for real")] = 5,
    write: Annotated[bool, arg(help="write the margins that this machine can hold into pyproject.toml")] = False,
    json: Annotated[bool, arg(help="print everything as JSON")] = False,
) -> int:
    """Run the gate's timing on equal code and say how often it would be wrong, and which slowdown it catches."""
    from dataclasses import asdict

    from coordbench.harness.gate import calibrate as calibration
    from coordbench.harness.gate.settings import read_settings
    from coordbench.harness.gate.trees import Unmeasurable, find_project

    try:
        measured = calibration.calibrate(
            Path.cwd(), layers, runs, lambda line: print(line, file=sys.stderr, flush=True)
        )
    except Unmeasurable as error:
        print(f"coordbench: {error}", file=sys.stderr)
        return ExitCode.NOTHING_MEASURED
    folder = find_project(Path.cwd()).folder
    margin = calibration.margin(measured, read_settings(folder).thresholds)
    if json:
        print_json({"slower": margin, "comparisons": [asdict(item) for item in measured]})
    else:
        print(calibration.show(measured))
        print("no margin up to 50 % holds here" if margin is None else f"margin that holds here: slower = {margin:g}")
    if write and margin is not None:
        calibration.write_margins(folder / "pyproject.toml", margin)
    return ExitCode.OK if margin is not None else ExitCode.INCONCLUSIVE
