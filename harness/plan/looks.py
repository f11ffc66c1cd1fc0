"""When verdicts about a cell are read: at looks that its preset planned, and at those that earlier runs took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coordbench.harness.core.cell import Cell
from coordbench.harness.statistics.spending import FEWEST, Design


@dataclass(frozen=True)
class CellLooks:
    """The looks at a cell as its preset asked for it.

    `planned` are the numbers of seeds that the preset names, () where all seeds are one look; `looks` are those and the
    looks that earlier runs took at some of these seeds, and which are paid too. `taken` counts the looks so far.
    `identity` is the same for runs whose records of this cell are the same.
    """

    cell: Cell
    seeds: tuple[int, ...]
    looks: tuple[int, ...]
    planned: tuple[int, ...] = ()
    taken: int = 0
    identity: str = ""

    @property
    def earlier(self) -> tuple[int, ...]:
        """The looks that nobody planned before the last."""
        return tuple(look for look in self.looks[:-1] if look not in self.planned)

    @property
    def plain(self) -> dict[str, object]:
        """As plain values, as a run notes it."""
        return {
            "cell": dict(self.cell.plain),
            "seeds": list(self.seeds),
            "looks": list(self.looks),
            "planned": list(self.planned),
            "taken": self.taken,
            "identity": self.identity,
        }

    @classmethod
    def read(cls, plain: Mapping[str, object]) -> CellLooks:
        """The looks of plain values."""
        cell = plain["cell"]
        if not isinstance(cell, dict):
            raise TypeError(f"{cell!r} is no cell")
        counts = {name: _counts(plain[name]) for name in ("seeds", "looks", "planned")}
        return cls(Cell.read(cell), **counts, taken=int(str(plain["taken"])), identity=str(plain["identity"]))


@dataclass(frozen=True)
class Shared:
    """The looks at a comparison of cells. Where they were `planned` a verdict ends it, else the last look counts."""

    design: Design
    planned: bool

    def due(self, seeds: int) -> list[int]:
        """The places of the looks whose evidence is judged once there are so many seeds."""
        places = [place for place, look in enumerate(self.design.looks) if look <= seeds]
        return places if self.planned else [place for place in places if place == len(self.design.looks) - 1]


def shared(*cells: CellLooks | None) -> Shared | None:
    """The looks that all cells of a comparison have; None where one has too few seeds for any."""
    known = [one for one in cells if one is not None]
    if not known or len(known) < len(cells):
        return None
    last = min(one.looks[-1] for one in known)
    common = set[int].intersection(*(set(one.looks) for one in known)) | {last}
    looks = tuple(sorted(look for look in common if FEWEST <= look <= last))
    return Shared(Design(looks), all(one.planned for one in known)) if looks else None


def _counts(values: object) -> tuple[int, ...]:
    return tuple(int(value) for value in values) if isinstance(values, Sequence) else ()
