"""Write the page of a run: one HTML file that needs no network, and the index over all runs."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from coordbench.harness.analysis.runs import runs as listed_runs
from coordbench.harness.profiling.shape import page_name
from coordbench.harness.store.store import Store
from coordbench.reports.claims import claims, ledger, summary
from coordbench.reports.data.colors import COUNT
from coordbench.reports.data.run import Run, load
from coordbench.reports.figures import shares, svg
from coordbench.reports.pages import (
    cards,
    comparison,
    embedded,
    findings,
    index,
    layers,
    looking,
    rendering,
    sentences,
)
from coordbench.reports.pages.contests import Sections
from coordbench.reports.pages.matrix import matrix

MOST_COMPARED = 20_000
"""Trials and costs of a run that is set beside the last one unasked; larger ones by `write_comparison`."""


def write_report(store: Store, run: str, out: Path) -> Path:
    """Write `out/RUN.html` and the index beside it; return the page's path. Raise UsageError if that fails."""
    return write_page(load(run, store=store), out)


def write_page(run: Run, out: Path) -> Path:
    """The same for a run that was read already."""
    path = rendering.write(render(run, _profiled(out)), out / f"{run.name}.html")
    _compare_with_last(run.store, run.name, out)
    index.write_index(run.store, out)
    return path


def _compare_with_last(store: Store, run: str, out: Path) -> None:
    """Set a run beside the one before it of the same preset, where it is the newest and both are of a common size."""
    listed = listed_runs(store)
    sizes = listed.set_index("run").drop(columns=["preset", "started", "finished", "commit", "command"]).sum(axis=1)
    for earlier, later in comparison.newest_pairs(listed):
        if later == run and sizes[[earlier, later]].max() <= MOST_COMPARED:
            comparison.write_comparison(store, earlier, later, out)


def _profiled(out: Path) -> frozenset[str]:
    return frozenset(path.stem for path in (out / "profiles").glob("*.html"))


def render(run: Run, profiled: frozenset[str] = frozenset()) -> str:
    """The page of a run as HTML; `profiled` names the profiles that lie beside it."""
    decided = ledger.of_page(run)
    sections = Sections(run)
    template = rendering.environment().get_template("page.html.j2")
    return template.render(
        run=run,
        facts=run.facts,
        findings=findings.findings(run, decided),
        claimed=summary.Summary(decided),
        inequality=claims.inequality,
        looking=looking.looking(run, decided),
        coverage=run.coverage,
        matrix=matrix(run),
        aggregate=run.aggregate,
        profile=_profile(run),
        colors={variant: slot % COUNT for variant, slot in run.slots.items()},
        contests=sections.all,
        cards=cards.cards(run),
        costs=layers.costs(run),
        profiled=profiled,
        page_name=page_name,
        place=layers.place(run),
        sentences=_sentences(run),
        failures=run.failures,
        environment=run.environment,
        family=len(run.verdicts),
        infinity=float("inf"),
        data=Markup(embedded.embedded(run, sections)),
    )


def _sentences(run: Run) -> list[str]:
    """What the tasks' own sentences say of the run; nothing where no trial ended well."""
    if run.trials.empty:
        return []
    return sentences.sentences(run.tables.trials, run.tables.scores, run.facts.plain["tasks"])


def _profile(run: Run) -> Markup | None:
    if not run.strata:
        return None
    return svg.inline(shares.profiles(run.slots, run.strata), "Performance profile")
