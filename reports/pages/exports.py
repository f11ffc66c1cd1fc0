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
from coordbench.reports.data import series, tables
from coordbench.reports.data.probes import stored
from coordbench.reports.data.stored import Run
from coordbench.reports.figures import drawing, figures
from coordbench.reports.pages import costs_section, findings
from coordbench.reports.text import big, interval, number, plural

FRAMES = ("leaderboard", "references", "verdicts", "aggregate", "coverage", "failures", "environment", "probes")
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {sign: "\\" + sign for sign in "&%$#_{}"}


def export_report(store: Store, name: str, out: Path) -> list[Path]:
    """Write all files of a run into `out`; return their paths. Raise UsageError where that fails."""
    run = tables.load(name, store=store)
    try:
        out.mkdir(parents=True, exist_ok=True)
        summary = out / "summary.md"
        summary.write_text(markdown(run), encoding="utf-8")
        written = [summary]
        for title, frame in frames(run).items():
            written += _write_table(frame, title, out)
        for title, figure in drawn(store, run):
            written += [drawing.save(figure, out / f"{title}{suffix}") for suffix in (".png", ".svg")]
    except OSError as error:
        raise UsageError(f"files cannot be written to {str(out)!r}: {error.strerror or error}") from error
    return written


def frames(run: Run) -> dict[str, pd.DataFrame]:
    """Every table of the page by name."""
    found: dict[str, pd.DataFrame] = {name: getattr(tables, name)(run) for name in FRAMES}
    found["costs"] = tables.costs(run).drop(columns="noisy_phases")  # a list, which not every format can hold
    return found | {"claims": ledger.table(run), "contests": run.contests.reset_index(), "trials": run.tables.trials}


def drawn(store: Store, run: Run) -> Iterator[tuple[str, Figure]]:
    """Every figure of the page with the name of its file."""
    if tables.normalized_strata(run):
        yield "performance-profile", figures.profiles(run)
    yield from _drawn_of_layers(run)
    points, board = series.curves(store, run), tables.leaderboard(run)
    bands, measured = figures.bands(points), series.latencies(store, run)
    for contest in map(int, run.contests.index):
        facts = run.contests.loc[contest]
        title = _plain_name(f"{contest}-{facts['full_task']}-{facts['full_backbone']}")
        own = board[board["contest"] == contest]
        if points.loc[points["contest"] == contest, "step"].nunique() > 1:
            yield f"curves-{title}", figures.curves(run, contest, bands[bands["contest"] == contest])
        if own["score"].notna().any() and own[list(figures.COSTS)].notna().any(axis=None):
            cells = {v: (str(facts["full_task"]), str(facts["full_backbone"]), v) for v in own["variant"]}
            timed = {v: measured[cell] for v, cell in cells.items() if cell in measured}
            yield f"tradeoffs-{title}", figures.tradeoffs(run, contest, own, timed)


def _drawn_of_layers(run: Run) -> Iterator[tuple[str, Figure]]:
    """Ratios of time, scaling curves and errors against shift."""
    known = tables.costs(run).dropna(subset=["ratio_forward", "ratio_step"], how="all")
    for (task, backbone), rows in known.groupby(["task", "backbone"], sort=False):
        yield f"ratios-{_plain_name(f'{task}-{backbone}')}", figures.ratios(run, rows)
    for i, (_, title, figure) in enumerate(costs_section.scaled(run)):
        yield f"scaling-{i}-{_plain_name(title)}", figure
    probed = {variant: found for variant, found in stored(run).items() if "reason" not in found}
    if probed:
        yield "shift-errors", figures.shift_errors(run, probed)


def _plain_name(title: str) -> str:
    return re.sub(r"[^A-Za-z0-9=.]+", "-", title).strip("-")


def markdown(run: Run) -> str:
    """What was found, as Markdown: sentences, the matrix of verdicts, the claims that were decided."""
    judged, board, decided = tables.verdicts(run), tables.leaderboard(run), ledger.ledger(run)
    told = findings.findings(run, judged, tables.aggregate(run), decided)
    lines = [f"# coordbench: {_cell(run.name)}", "", *(f"- {_cell(sentence)}" for sentence in told), ""]
    lines += [f"## Verdicts against {_cell(run.baseline or 'nothing')}", ""]
    lines += [_row("contest", *run.variants), _rule(len(run.variants))]
    for row in findings.matrix(run, judged, board):
        facts = row["facts"]
        cells = [f"{number(c['score'])} {c['note']}".strip() for c in row["cells"]]
        lines.append(_row(f"{facts['full_task']}, {facts['full_backbone']} ({facts['metric']})", *cells))
    lines += ["", "## Leaderboards", ""]
    for contest in run.contests.index:
        own, facts = board[board["contest"] == contest], run.contests.loc[contest]
        lines += [f"### {_cell(str(facts['full_task']))}, {_cell(str(facts['full_backbone']))}", ""]
        lines += [_row("variant", facts["metric"], "95 %", "seeds", "failed", "parameters", "FLOPs"), _rule(6)]
        lines += [
            _row(
                r.variant, number(r.score), interval(r.low, r.high), r.seeds, r.failed, big(r.parameters), big(r.flops)
            )
            for r in own.itertuples()
        ]
        lines.append("")
    lines += ["## Claims", "", _row("verdict", "claim", "measured", "published"), _rule(3)]
    tried = [finding for finding in decided if finding.verdict != "not run"]
    lines += [
        _row(f.verdict, f.claim.sentence, f"{number(f.measured)} {interval(f.low, f.high)}", f.claim.published)
        for f in tried
    ]
    missing = len(decided) - len(tried)
    return "\n".join([*lines, "", f"{plural(missing, 'claim')} not run.", "", f"`{run.facts['command']}`", ""])


def _write_table(frame: pd.DataFrame, title: str, out: Path) -> list[Path]:
    paths = [out / f"{title}{suffix}" for suffix in (".csv", ".parquet", ".tex")]
    frame.to_csv(paths[0], index=False)
    frame.to_parquet(paths[1], index=False)
    paths[2].write_text(latex(frame), encoding="utf-8")
    return paths


def latex(frame: pd.DataFrame) -> str:
    """A table as a LaTeX tabular; every sign that means something to LaTeX is escaped."""
    words = [[_escape(name) for name in frame.columns]]
    words += [[_escape(_plain(value)) for value in row] for row in frame.itertuples(index=False)]
    body = [" & ".join(row) + r" \\" for row in words]
    layout = "".join("r" if pd.api.types.is_numeric_dtype(frame[name]) else "l" for name in frame.columns)
    lines = [rf"\begin{{tabular}}{{{layout}}}", r"\hline", body[0], r"\hline", *body[1:], r"\hline", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _plain(value: object) -> str:
    return number(value) if isinstance(value, float) else "" if pd.isna(value) else str(value)  # type: ignore[call-overload]


def _escape(text: object) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(str(text).split()))


def _row(*cells: object) -> str:
    return "| " + " | ".join(_cell(str(cell)) for cell in cells) + " |"


def _rule(columns: int) -> str:
    return "|---|" + "---:|" * columns


def _cell(text: str) -> str:
    """Text that Markdown takes literally."""
    return re.sub(r"([\\`*<>|_])", r"\\\1", " ".join(text.split()))
