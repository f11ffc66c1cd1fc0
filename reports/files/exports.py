"""Files beside the page: a summary in Markdown, every table as CSV, Parquet and LaTeX, every figure as PNG and SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from coordbench.harness.core.errors import UsageError
from coordbench.harness.store.store import Store
from coordbench.reports.claims import ledger
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.run import Run, load
from coordbench.reports.figures import layers as layer_figures
from coordbench.reports.figures import svg
from coordbench.reports.files.drawings import Drawings
from coordbench.reports.files.latex import latex
from coordbench.reports.files.markdown import markdown
from coordbench.reports.pages import layers


def export_report(store: Store, name: str, out: Path) -> list[Path]:
    """Write all files of a run into `out`; return their paths. Raise UsageError where that fails."""
    run = load(name, store=store)
    try:
        out.mkdir(parents=True, exist_ok=True)
        summary = out / "summary.md"
        summary.write_text(markdown(run), encoding="utf-8")
        written = [summary]
        for title, frame in frames(run).items():
            written += _write_table(frame, title, out)
        for title, figure in drawn(run):
            written += [svg.save(figure, out / f"{title}{suffix}") for suffix in (".png", ".svg")]
    except OSError as error:
        raise UsageError(f"files cannot be written to {str(out)!r}: {error.strerror or error}") from error
    return written


def frames(run: Run) -> dict[str, pd.DataFrame]:
    """Every table of the page by name."""
    return {
        "leaderboard": run.leaderboard,
        "references": run.references,
        "verdicts": run.verdicts.drop(columns="looks", errors="ignore"),  # an object of each row, for the page alone
        "aggregate": run.aggregate,
        "coverage": run.coverage,
        "failures": run.failures,
        "environment": run.environment,
        "probes": run.probes,
        "costs": run.costs.drop(columns=["noisy_phases", "cell"], errors="ignore"),  # not every format can hold them
        "claims": ledger.table(run),
        "contests": contests_table(run),
        "trials": run.tables.named()["trials"],
    }


def drawn(run: Run) -> Iterator[tuple[str, Figure]]:
    """Every figure of the page with the name of its file."""
    drawings = Drawings(run)
    named = [
        ("performance-profile", drawings.performance_profile()),
        *_drawn_of_layers(run),
        ("shift-errors", drawings.shift_errors()),
    ]
    for contest in run.contests.values():
        title = _plain_name(f"{contest.number}-{contest.task}-{contest.backbone}")
        named += [(f"curves-{title}", drawings.curves(contest)), (f"tradeoffs-{title}", drawings.tradeoffs(contest))]
    yield from ((name, figure) for name, figure in named if figure is not None)


def contests_table(run: Run) -> pd.DataFrame:
    """One row per contest."""
    names = ["task", "backbone", "steps", "schedule", "learning_rate", "memory_format", "match", "device", "dtype"]
    rows = [_contest_row(contest, names) for contest in run.contests.values()]
    return pd.DataFrame(rows, columns=["contest", "suite", *names, "metric", "unit", "better", "margin", *_BOUNDS])


_BOUNDS = ("floor", "ceiling")


def _contest_row(contest: Contest, names: list[str]) -> tuple[object, ...]:
    metric = contest.metric
    shared = tuple(getattr(contest, name) for name in names)
    rule = metric.name, metric.unit, metric.better, metric.margin
    return (contest.number, contest.suite, *shared, *rule, contest.floor, contest.ceiling)


def _drawn_of_layers(run: Run) -> Iterator[tuple[str, Figure]]:
    """Ratios of time and scaling curves."""
    known = run.costs.dropna(subset=["ratio_forward", "ratio_step"], how="all")
    for (task, backbone), rows in known.groupby(["task", "backbone"], sort=False):
        yield f"ratios-{_plain_name(f'{task}-{backbone}')}", layer_figures.ratios(run.slots, rows)
    for i, (_, title, figure) in enumerate(layers.scaled(run)):
        yield f"scaling-{i}-{_plain_name(title)}", figure


def _plain_name(title: str) -> str:
    return re.sub(r"[^A-Za-z0-9=.]+", "-", title).strip("-")


def _write_table(frame: pd.DataFrame, title: str, out: Path) -> list[Path]:
    paths = [out / f"{title}{suffix}" for suffix in (".csv", ".parquet", ".tex")]
    frame.to_csv(paths[0], index=False)
    frame.to_parquet(paths[1], index=False)
    paths[2].write_text(latex(frame, title), encoding="utf-8")
    return paths
