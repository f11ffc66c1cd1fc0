"""The commands of `coordbench`, each a function whose signature is its command line."""

from __future__ import annotations

import functools
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg
from tyro.extras import SubcommandApp

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode

app = SubcommandApp()
Plugins = Annotated[list[Path], arg(help="Python files that register variants or tasks of your own")]
Out = Annotated[Path, arg(help="folder of the store and the reports")]
StoreURL = Annotated[str | None, arg(help="URL of the store; the file results.sqlite in --out by default")]
Run = Annotated[Positional[str | None], arg(help="a run, or the beginning of its name; the latest by default")]
Format = Literal["parquet", "csv", "json"]
OUT = Path("coordbench-results")


def command(name: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Register a command; parsing returns it with its arguments, so that parsing and doing fail apart."""

    def register(function: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(function)
        def deferred(*arguments: Any, **keywords: Any) -> Callable[[], int]:
            return functools.partial(function, *arguments, **keywords)

        deferred.__annotations__ = function.__annotations__ | {"return": Any}
        app.command(name=name)(deferred)
        return function

    return register


@command("run")
def run(
    preset: Annotated[Positional[str], arg(help="a built-in preset or the path of a .toml file")] = "quick",
    *,
    variants: Annotated[list[str], arg(help="replace the preset's variants")] = [],  # noqa: B006
    tasks: Annotated[list[str], arg(help="keep only the tasks with these base names")] = [],  # noqa: B006
    seeds: Annotated[int | None, arg(help="replace the preset's number of seeds")] = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    plugin: Plugins = [],  # noqa: B006
    workers: Annotated[int | None, arg(help="processes at a time; one per core by default, one per GPU")] = None,
    cluster: Annotated[str | None, arg(help="address of a Dask scheduler, or local:N")] = None,
    store: StoreURL = None,
    out: Out = OUT,
    dry_run: Annotated[bool, arg(help="print the plan and an estimate of its time, run nothing")] = False,
    fresh: Annotated[bool, arg(help="use no earlier record")] = False,
    explain: Annotated[bool, arg(help="say why each trial is run or reused")] = False,
    no_report: Annotated[bool, arg(help="write no page at the end")] = False,
) -> int:
    """Run a preset, or go on with it, and write its report."""
    from coordbench.harness.core import registry
    from coordbench.harness.plan import planning as plan
    from coordbench.harness.process import environment
    from coordbench.harness.run import matching
    from coordbench.harness.run.progress import Progress
    from coordbench.harness.run.sweep import Driver
    from coordbench.harness.store.store import open_store

    for file in plugin:
        registry.load_plugin(file)
    chosen = plan.narrow(plan.read_preset(preset), variants, tasks, seeds)
    sources = tuple(str(file.resolve()) for file in plugin)
    made = matching.resolve(plan.make_plan(chosen, environment.device(device)), sources)
    with open_store(store, out) as opened:
        if dry_run or explain:
            _print_plan(made, opened, fresh, explain)
        if dry_run:
            return ExitCode.OK
        workers = _workers(workers, environment.device(device))
        with Progress() as progress, _executor(cluster, workers) as executor:
            driver = Driver(
                opened, progress, workers, executor, sources, fresh,
                shlex.join(["coordbench", *sys.argv[1:]]), out.resolve() / "checkpoints",
            )  # fmt: skip
            result = driver.run(made)
        told = ", ".join(f"{count} {status}" for status, count in sorted(result.statuses.items()))
        print(f"run {result.run}: {told or 'nothing planned'} ({result.reused} reused)")
        if not no_report:
            print(f"report: {_report(opened, result.run, out)}")
    return ExitCode.TRIALS_FAILED if result.failed else ExitCode.OK if result.measured else ExitCode.NOTHING_MEASURED


@command("list")
def list_things(
    kind: Positional[Literal["variants", "tasks", "backbones", "references", "presets", "claims", "runs"]],
    *,
    plugin: Plugins = [],  # noqa: B006
    store: StoreURL = None,
    out: Out = OUT,
    json: Annotated[bool, arg(help="print an array of objects")] = False,
) -> int:
    """List what there is to choose from."""
    from coordbench.harness.cli import listing

    if kind == "claims":
        from coordbench.harness.cli.claims import show_claims

        print(show_claims(as_json=json))
        return ExitCode.OK
    print(listing.show(listing.rows(kind, plugin, store, out), as_json=json))
    return ExitCode.OK


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

    registry.load_plugin(file)
    found = [entry.name for entry in registry.entries("variant") if Path(entry.file) == file.resolve()]
    if not found:
        raise UsageError(f"{str(file)!r} registers no variant; decorate a layer by harness.registry.variant")
    results = {name: laws.check(name) for name in found}
    if json:
        print_json([{"name": name} | asdict(result) for name in found for result in results[name]])
    for name in found if not json else ():
        print("\n".join(checked(name, results[name])))
    passed = all(result.passed for name in found for result in results[name])
    return ExitCode.OK if passed else ExitCode.TRIALS_FAILED


@command("costs")
def costs(
    variants: Annotated[Positional[list[str]], arg(help="the layers to measure; all by default")] = [],  # noqa: B006
    *,
    shape: Annotated[list[Literal["small", "large", "wide"]], arg(help="shapes of one layer; --task otherwise")] = [],  # noqa: B006
    layout: Annotated[list[Literal["contiguous", "channels_last"]], arg(help="of memory")] = ["contiguous"],  # noqa: B006
    task: Annotated[str, arg(help="where they stand")] = "copy",
    backbone: Annotated[str, arg(help="a network of that task")] = "stack",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    seconds: Annotated[float | None, arg(help="how long each phase is timed [s]; energy needs 5")] = None,
    plugin: Plugins = [],  # noqa: B006
    store: Annotated[bool, arg(help="keep the costs as a run of --out, for reports and exports")] = False,
    json: Annotated[bool, arg(help="print an array of objects")] = False,
    out: Out = OUT,
) -> int:
    """Measure what layers cost, each beside the plain convolution, and print the table."""
    from coordbench.harness.cli.costs import Request, measure_costs
    from coordbench.harness.core import registry
    from coordbench.harness.process import environment

    for file in plugin:
        registry.load_plugin(file)
    sources = tuple(str(file.resolve()) for file in plugin)
    request = Request(variants, shape, layout, task, backbone, environment.device(device), seconds, sources)
    text, code = measure_costs(request, out if store else None, as_json=json)
    print(text)
    return code


@command("profile")
def profile_layer(
    layer: Annotated[
        Positional[str | None], arg(help="a layer, such as coordconv[radius=true]", metavar="LAYER")
    ] = None,
    *,
    against: Annotated[str, arg(help="the layer beside it, or none")] = "conv",
    shape: Annotated[str, arg(help="the input: N,C and one to three sizes")] = "32,32,64,64",
    kernel: Annotated[int, arg(help="size of the kernel")] = 3,
    stride: int = 1,
    phase: Annotated[Literal["forward", "step", "evaluation"], arg(help="step: forward and backward")] = "step",
    task: Annotated[str | None, arg(help="a task whose whole training step is profiled instead")] = None,
    backbone: Annotated[str | None, arg(help="the network of that task")] = None,
    variant: Annotated[str | None, arg(help="the same as LAYER")] = None,
    fingerprint: Annotated[bool, arg(help="count the step exactly, time nothing")] = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    plugin: Plugins = [],  # noqa: B006
    json: Annotated[bool, arg(help="print everything as JSON")] = False,
    out: Out = OUT,
) -> int:
    """Say where the time and the memory of a layer's step go, beside a baseline; write a page and a trace."""
    from coordbench.harness.cli import profiling
    from coordbench.harness.core import registry
    from coordbench.harness.process import environment

    for file in plugin:
        registry.load_plugin(file)
    asked = profiling.Asked(
        layer or variant, against, shape, kernel, stride, phase, task, backbone,
        environment.device(device), tuple(str(file.resolve()) for file in plugin), out,
    )  # fmt: skip
    return (profiling.fingerprint if fingerprint else profiling.profile)(asked, as_json=json)


@command("report")
def report(
    run: Run = None,
    *,
    store: StoreURL = None,
    out: Out = OUT,
    files: Annotated[bool, arg(help="write its tables, figures and a Markdown summary as files, too")] = False,
) -> int:
    """Write the page of a run and print its path."""
    from coordbench.harness.store.store import open_store

    with open_store(store, out, existing=True) as opened:
        name = opened.resolve_run(run)
        print(_report(opened, name, out))
        if files:
            from coordbench.reports.files.exports import export_report

            for path in export_report(opened, name, out / name):
                print(path)
    return ExitCode.OK


@command("export")
def export(run: Run = None, *, format: Format = "parquet", out: Out = OUT, store: StoreURL = None) -> int:
    """Write the tables of a run as files into --out; read from the store there, or else in the default folder."""
    from coordbench.harness.analysis import summarize
    from coordbench.harness.cli.export import export as write
    from coordbench.harness.store.store import FILE, open_store

    with open_store(store, out if (out / FILE).is_file() else OUT, existing=True) as opened:
        tables = summarize.tables(opened, opened.resolve_run(run))
        for path in write(tables.named(), format, out):
            print(path)
    return ExitCode.OK


@command("runs")
def runs(
    action: Positional[Literal["delete", "prune"]],
    names: Annotated[Positional[list[str]], arg(help="runs to delete; not for prune")] = [],  # noqa: B006
    *,
    keep: Annotated[int, arg(help="how many newest runs of each preset prune keeps")] = 10,
    store: StoreURL = None,
    out: Out = OUT,
) -> int:
    """Delete runs, or all but the newest of each preset, with their pages and the records that no other run uses."""
    from coordbench.harness.analysis import summarize
    from coordbench.harness.store.store import open_store
    from coordbench.reports.pages.index import write_index

    if action == "delete" and not names:
        raise UsageError("runs delete needs the names of runs; `coordbench list runs` shows them")
    if action == "prune" and (names or keep < 0):
        raise UsageError(f"runs prune takes no names and keep >= 0, got {names} and keep={keep}")
    with open_store(store, out, existing=True) as opened:
        listed = summarize.runs(opened)
        old = [name for _, group in listed.groupby("preset") for name in group["run"].iloc[: max(0, len(group) - keep)]]
        chosen = [opened.resolve_run(name) for name in names] if action == "delete" else old
        for name in chosen:
            print(f"deleted {name} and {opened.delete_run(name)} records")
            (out / f"{name}.html").unlink(missing_ok=True)
        if chosen and (out / "index.html").is_file():
            write_index(opened, out)
    return ExitCode.OK


@command("compare")
def compare(
    run_a: Annotated[Positional[str], arg(help="the earlier run, or the beginning of its name")],
    run_b: Annotated[Positional[str], arg(help="the run that is compared with it")],
    *,
    json: Annotated[bool, arg(help="print everything as JSON instead of the table")] = False,
    store: StoreURL = None,
    out: Out = OUT,
) -> int:
    """Compare two runs: scores by equal seeds, parameters and FLOPs exactly, times only from equal machines."""
    from coordbench.harness.analysis.compare import compare_runs
    from coordbench.harness.store.store import open_store
    from coordbench.reports.pages.comparison import save

    with open_store(store, out, existing=True) as opened:
        found = compare_runs(opened, opened.resolve_run(run_a), opened.resolve_run(run_b))
        if json:
            print_json(found.plain())
        else:
            print(found.text())
        print(f"report: {save(opened, found, out)}", file=sys.stderr)
    codes = {
        "not comparable": ExitCode.NOT_COMPARABLE,
        "worse": ExitCode.REGRESSED,
        "nothing shared": ExitCode.NOTHING_MEASURED,
        "open": ExitCode.INCONCLUSIVE,
        "not worse": ExitCode.OK,
    }
    return codes[found.outcome]


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


@command("calibrate")
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
        found = calibration.calibrate(Path.cwd(), layers, runs, lambda line: print(line, file=sys.stderr, flush=True))
    except Unmeasurable as error:
        print(f"coordbench: {error}", file=sys.stderr)
        return ExitCode.NOTHING_MEASURED
    folder = find_project(Path.cwd()).folder
    margin = calibration.margin(found, read_settings(folder).thresholds)
    if json:
        print_json({"slower": margin, "comparisons": [asdict(item) for item in found]})
    else:
        print(calibration.show(found))
        print("no margin up to 50 % holds here" if margin is None else f"margin that holds here: slower = {margin:g}")
    if write and margin is not None:
        calibration.write_margins(folder / "pyproject.toml", margin)
    return ExitCode.OK if margin is not None else ExitCode.INCONCLUSIVE


@command("history")
def history(
    metric: Positional[str],
    *,
    tasks: Annotated[list[str], arg(help="keep only the tasks with these base names")] = [],  # noqa: B006
    last: Annotated[int, arg(help="how many newest runs to look at")] = 50,
    json: Annotated[bool, arg(help="print an array of objects")] = False,
    store: StoreURL = None,
    out: Out = OUT,
) -> int:
    """Show how a score or a cost went over stored runs, by commit: a trend to look at, no verdict."""
    from coordbench.harness.analysis import history as trend
    from coordbench.harness.store.store import open_store
    from coordbench.reports.pages.history import write_history

    with open_store(store, out, existing=True) as opened:
        found = trend.history(opened, metric, tasks=tasks, last=last)
    if found.empty:
        print(f"coordbench: no run of this choice holds {metric!r}", file=sys.stderr)
        return ExitCode.NOTHING_MEASURED
    print(found.to_json(orient="records") if json else trend.show(found))
    print(f"report: {write_history(found, metric, out)}", file=sys.stderr)
    return ExitCode.OK


def _workers(wanted: int | None, device: str) -> int:
    import os

    if wanted is not None and wanted < 1:
        raise UsageError(f"workers={wanted} must be at least 1")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return wanted or (1 if device == "cuda" else cores)


def _executor(cluster: str | None, workers: int) -> Any:
    import contextlib

    if cluster is None:
        return contextlib.nullcontext()
    from coordbench.harness.run.cluster import connect

    return connect(cluster)


def _report(store: Any, run: str, out: Path) -> Path:
    from coordbench.reports.pages.page import write_report

    written: Path = write_report(store, run, out)
    return written


def _print_plan(made: Any, store: Any, fresh: bool, explain: bool) -> None:
    from coordbench.harness.run import forecast

    print(forecast.forecast(made, store, fresh=fresh, explain=explain))


def print_json(value: object) -> None:
    """Print plain values as JSON."""
    print(json.dumps(value, indent=1, default=str))
