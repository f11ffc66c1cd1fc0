"""`coordbench gate`: compare two revisions, or accept a row that regressed."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from coordbench.harness.cli.arguments import OUT, Out, command
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from coordbench.harness.gate.rows import Report


@command("gate", "gate --base origin/main")
def gate(
    *,
    base: Annotated[str | None, arg(help="the revision to compare the work tree with, such as origin/main")] = None,
    layers: Annotated[list[str], arg(help="layers such as coordconv[radius=true]; by default all that differ")] = [],  # noqa: B006
    plugin: Annotated[list[str], arg(help="files with layers of your own, as paths inside the project")] = [],  # noqa: B006
    bench: Annotated[list[str], arg(help="files of benchmarks for pytest-benchmark, or one: FILE::NAME")] = [],  # noqa: B006
    all: Annotated[bool, arg(help="measure what is equal on both sides, too")] = False,
    stages: Annotated[list[Literal["costs", "speed", "accuracy"]], arg(help="what to compare")] = [  # noqa: B006
        "costs",
        "speed",
        "accuracy",
    ],
    json: Annotated[bool, arg(help="print everything as JSON instead of the table")] = False,
    markdown: Annotated[Path | None, arg(help="file for a comment on a pull request")] = None,
    acknowledge: Annotated[str | None, arg(help="accept a row that regressed in the last gate, by its name")] = None,
    reason: Annotated[str, arg(help="why it is accepted")] = "",
    until: Annotated[str | None, arg(help="the last day on which it is accepted, such as 2030-12-31")] = None,
    out: Out = OUT,
) -> int:
    """Measure the work tree against a base revision in one job: slower, larger, less accurate, or neither."""
    from coordbench.harness.gate.pipeline import Request, run_gate
    from coordbench.harness.gate.trees import Unmeasurable

    if acknowledge is not None:
        return _accept(acknowledge, reason, until, out)
    if base is None:
        raise UsageError("gate needs --base REVISION, such as --base origin/main")
    request = Request(base, layers, plugin, all, stages, out, bench)
    try:
        report = run_gate(request, Path.cwd(), lambda line: print(line, file=sys.stderr, flush=True))
    except Unmeasurable as error:
        print(f"coordbench: {error}", file=sys.stderr)
        return error.code
    _write(report, out, markdown, as_json=json)
    return report.code


def _accept(row: str, reason: str, until: str | None, out: Path) -> int:
    from coordbench.harness.gate import accepted
    from coordbench.harness.gate.trees import find_project

    folder, today = find_project(Path.cwd()).folder, datetime.date.today()
    entry = accepted.acknowledge(folder, out / "gate.json", row, reason, until, today)
    print(f"accepted: {entry.row} up to {entry.change:.3g}; commit {accepted.FILE}")
    return ExitCode.OK


def _write(report: Report, out: Path, markdown: Path | None, *, as_json: bool) -> None:
    from coordbench.harness.gate import output
    from coordbench.harness.gate.pull.badge import badge
    from coordbench.harness.gate.pull.junit import junit
    from coordbench.harness.gate.pull.markdown import save_markdown
    from coordbench.reports.pages.gate import write_gate

    print(output.as_json(report) if as_json else output.text(report))
    save_markdown(report, markdown)
    for name, content in (
        ("gate.json", output.as_json(report)), ("gate.junit.xml", junit(report)), ("badge.json", badge(report)),
    ):  # fmt: skip
        output.save(content, out / name)
    print(f"report: {write_gate(report, out)}", file=sys.stderr)
