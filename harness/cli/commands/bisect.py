"""`coordbench bisect`: which commit made a row of the gate slower?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, Out, command, print_json

if TYPE_CHECKING:
    from coordbench.harness.gate.bisect.result import Result


@command("bisect", "bisect 'coordconv: forward' --good v1.0")
def bisect(
    row: Annotated[Positional[str], arg(help="a row as the gate prints it: 'coordconv: forward', or FILE::BENCHMARK")],
    *,
    good: Annotated[str, arg(help="a revision at which it was fast")],
    bad: Annotated[str, arg(help="a later revision at which it is slow")] = "HEAD",
    plugin: Annotated[list[str], arg(help="files with layers of your own, as paths inside the project")] = [],  # noqa: B006
    json: Annotated[bool, arg(help="print everything as JSON")] = False,
    out: Out = OUT,
) -> int:
    """Search the commit that made a layer or a benchmark slower, with as few measurements as its noise allows."""
    from coordbench.harness.gate.bisect.course import run_bisect
    from coordbench.harness.gate.bisect.result import Request
    from coordbench.harness.gate.trees import Unmeasurable

    try:
        result = run_bisect(
            Request(good, bad, row, plugin), Path.cwd(), lambda line: print(line, file=sys.stderr, flush=True)
        )
    except Unmeasurable as error:
        print(f"coordbench: {error}", file=sys.stderr)
        return error.code
    _write(result, out / "bisect", as_json=json)
    return result.code


def _write(result: Result, out: Path, *, as_json: bool) -> None:
    from coordbench.harness.gate import output
    from coordbench.reports.pages.gate import write_gate

    if as_json:
        print_json(result.plain())
    else:
        print(f"{output.text(result.report)}\n{result.pairs} pairs of {len(result.suspects)} commits")
    output.save(output.as_json(result.report), out / "gate.json")
    print(f"report: {write_gate(result.report, out)}", file=sys.stderr)
