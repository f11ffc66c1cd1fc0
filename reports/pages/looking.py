"""The section of looks: which verdicts are final, the path of each comparison, and the trials spent and saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from coordbench.reports.claims.claims import Finding
from coordbench.reports.data.run import Run
from coordbench.reports.figures.paths import Point, drawn
from coordbench.reports.pages.matrix import GLYPHS, judged_of
from coordbench.reports.text import plural


@dataclass(frozen=True)
class Line:
    """One comparison: what it is about, its verdict, whether that can change, and its path over the looks."""

    name: str
    where: str
    verdict: str
    final: bool
    next: str
    pairs: int
    most: int
    mean: float
    low: float
    high: float
    path: Markup


@dataclass(frozen=True)
class Family:
    """The comparisons that are adjusted together."""

    title: str
    lines: list[Line]

    @property
    def final(self) -> int:
        """How many verdicts do not change any more."""
        return sum(line.final for line in self.lines)


@dataclass(frozen=True)
class Looking:
    """The looks of a run: its families, and the trials that their cells took of those that they may take."""

    families: list[Family]
    spent: int
    planned: int
    finished: bool

    @property
    def sentence(self) -> str:
        """What is final, and what that saved, in one sentence."""
        final, all_of = sum(family.final for family in self.families), sum(len(f.lines) for f in self.families)
        saved = f"{self.planned - self.spent} saved" if self.finished else "the run goes on"
        return (
            f"{final} of {plural(all_of, 'verdict')} are final; {self.spent:,} of at most {self.planned:,} trials "
            f"spent, {saved}."
        )


def looking(run: Run, ledger: Sequence[Finding]) -> Looking | None:
    """The looks of a run; None where none were planned."""
    planned = [one for one in run.facts.looks.values() if one.planned]
    if not planned:
        return None
    tasks = [Family(f"Against {run.baseline}", list(_layers(run)))]
    for name in dict.fromkeys(finding.claim.family for finding in ledger if finding.looks):
        tasks.append(Family(f"Claims: {name}", [_claim(run, f) for f in ledger if f.looks and f.claim.family == name]))
    spent = sum(run.trained(one.cell) for one in planned)
    most = sum(one.looks[-1] for one in planned)
    return Looking([family for family in tasks if family.lines], spent, most, bool(run.facts.finished))


def _layers(run: Run) -> Iterator[Line]:
    for (contest, variant), row in judged_of(run.verdicts).items():
        if row.looks.design is None:
            continue
        about, looks = run.contests[contest], row.looks.design.looks
        points = [Point(one.pairs, one.mean, one.low, one.high) for one in row.looks.path]
        path = drawn(points, looks, about.metric.margin, 0.0, f"{variant} over its looks")
        verdict = f"{GLYPHS[row.verdict]} {row.verdict}"
        where = f"{about.title} · {about.metric.label}"
        estimate = row.mean, row.low, row.high
        yield Line(variant, where, verdict, row.looks.final, row.looks.next, row.pairs, looks[-1], *estimate, path)


def _claim(run: Run, finding: Finding) -> Line:
    """A claim; one that lacks no seeds is given none, and is final once the run has ended."""
    looks = finding.looks
    if looks is None:
        raise ValueError(f"claim {finding.claim.id!r} has no looks")
    path = looks.path or (finding,)
    points = [Point(one.seeds, one.measured, one.low, one.high) for one in path]
    drawing = drawn(
        points, looks.design.looks, finding.margin, finding.claim.value, f"{finding.claim.id} over its looks"
    )
    final = looks.final or (finding.stuck and bool(run.facts.finished))
    return Line(
        finding.claim.sentence, finding.here, finding.verdict, final, finding.reason or looks.next, finding.seeds,
        looks.design.looks[-1], finding.measured, finding.low, finding.high, drawing,
    )  # fmt: skip
