"""One page over all runs of a store, to be filtered by machine and revision."""

from __future__ import annotations

from pathlib import Path

from coordbench.harness.core.cell import Cell, describe
from coordbench.harness.store.store import Store
from coordbench.reports.joined.data import Cost, Joined, Score, joined
from coordbench.reports.pages.rendering import environment, write


def write_joined(store: Store, out: Path) -> Path:
    """Write `out/all.html` and return its path."""
    data = joined(store)
    template = environment().get_template("joined.html.j2")
    html = template.render(
        data=data,
        contests=_contests(data),
        networks=_networks(data),
        machines=sorted({place.machine for place in data.places}),
        revisions=list(dict.fromkeys(place.revision for place in data.places)),
    )
    return write(html, out / "all.html")


def _contests(data: Joined) -> dict[str, list[Score]]:
    """Title -> its scores, cells of a contest together, its best layer first within a machine and revision."""
    grouped: dict[str, list[Score]] = {}
    for score in data.scores:
        grouped.setdefault(_title(score.cell, data.conditions), []).append(score)
    return grouped


def _networks(data: Joined) -> dict[str, list[Cost]]:
    """Title -> the costs of its layers, the cheapest step first."""
    grouped: dict[str, list[Cost]] = {}
    for cost in data.costs:
        grouped.setdefault(_title(cost.cell, ("device", "dtype", "memory format")), []).append(cost)
    return grouped


def _title(cell: Cell, conditions: tuple[str, ...]) -> str:
    """A contest in words: its task and what its cells share."""
    words = describe(cell, conditions).partition(" on ")[2]
    return f"{words}, {cell.backbone}" if cell.backbone else words
