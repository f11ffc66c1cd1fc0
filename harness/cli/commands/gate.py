"""`coordbench gate`: compare two revisions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from coordbench.harness.cli.arguments import OUT, Out, command


@command("gate")
def gate(
    *,
    base: Annotated[str, arg(help="the revision to compare the work tree with, such as origin/main")],
    layers: Annotated[list[str], arg(help="layers such as coordconv[radius=true]; by default all that differ")] = [],  # noqa: B006
    plugin: Annotated[list[str], arg(help="files with layers of your own, as paths inside the project")] = [],  # noqa: B006
    all: Annotated[bool, arg(help="measure layers whose sources are equal, too")] = False,
    stages: Annotated[list[Literal["costs", "speed", "accuracy"]], arg(help="what to compare")] = [  # noqa: B006
        "costs",
        "speed",
        "accuracy",
    ],
    json: Annotated[bool, arg(help="print everything as JSON instead of the table")] = False,
    markdown: Annotated[Path | None, arg(help="file for a comment on a pull request")] = None,
    out: Out = OUT,
) -> int:
    """Measure the work tree against a base revision in one job: slower, larger, less accurate, or neither."""
    from coordbench.harness.gate import output
    from coordbench.harness.gate.pipeline import Request, run_gate
    from coordbench.harness.gate.trees import Unmeasurable
    from coordbench.reports.pages.gate import write_gate

    request = Request(base, layers, plugin, all, stages, out)
    try:
        report = run_gate(request, Path.cwd(), lambda line: print(line, file=sys.stderr, flush=True))
    except Unmeasurable as error:
        print(f"coordbench: {error}", file=sys.stderr)
        return error.code
    print(output.as_json(report) if json else output.text(report))
    output.save_markdown(report, markdown)
    output.save(output.as_json(report), out / "gate.json")
    print(f"report: {write_gate(report, out)}", file=sys.stderr)
    return report.code
