"""What a task says of itself on a page: an opening, axes, and sentences that are filled in with the scores of a run.

All of it is data, stored with a run, so that a report needs to import no task. A sentence over these cells

    layer      backbone                 accuracy
    conv       classifier                   0.61
    conv       classifier[head=dense]       0.10

such as `Sentence("Of digits elsewhere, ", (Part("{items} at best", "{network} knows {accuracy:share}", ...),))`
reads "Of digits elsewhere, conv in classifier knows 61 % at best."
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Of = Literal["task", "backbone", "variant", "score"]
Pick = Literal["all", "highest", "lowest", "range"]
Reduce = Literal["mean", "highest", "lowest"]


@dataclass(frozen=True)
class About:
    """How a contest opens: one sentence that names task, target and split, and what its picture shows."""

    opening: str
    picture: str


@dataclass(frozen=True)
class Axes:
    """What the axes of a figure or picture mean, with units: x and y of a line, `color` of a map."""

    x: str = ""
    y: str = ""
    color: str = ""


@dataclass(frozen=True)
class Column:
    """Something that is known of a cell: a base name, an option of that name (as text, `default` where left "
    "out), or a score."""

    of: Of
    name: str = ""
    default: str = ""


@dataclass(frozen=True)
class Where:
    """Cells whose column is one of `values` (with `but`: none of them), and lies from `least` to below `below`."""

    column: Column
    values: tuple[str, ...] = ()
    but: bool = False
    least: float | None = None
    below: float | None = None


@dataclass(frozen=True)
class Part:
    """Some of a sentence's cells in words: chosen, grouped, ordered by a score, each by the words of `item`.

    `words` hold `{items}`. An item may hold `{layer}`, `{network}`, `{group}`, and scores such as `{accuracy:share}`:
    `share` in percent, `error` with rounding as 0, `positive` cut at 0, else two digits. A part of fewer than `least`
    items is left out, and with it its whole sentence where it is `needed`.
    """

    words: str
    item: str
    where: tuple[Where, ...] = ()
    by: Column | None = None
    reduce: Reduce = "mean"
    order: str = ""
    descending: bool = False
    pick: Pick = "all"
    between: str = ", "
    least: int = 1
    needed: bool = False


@dataclass(frozen=True)
class Sentence:
    """An opening, parts and an end; `{seeds}` tells how many seeds the cells have."""

    opening: str
    parts: tuple[Part, ...]
    end: str = "."
    where: tuple[Where, ...] = ()
    between: str = "; "

    def plain(self) -> dict[str, Any]:
        """The sentence as JSON keeps it; `read` is the way back."""
        return asdict(self)

    @staticmethod
    def read(plain: Mapping[str, Any]) -> Sentence:
        """The sentence of plain values."""
        parts = tuple(_part(part) for part in plain["parts"])
        return Sentence(plain["opening"], parts, plain["end"], _wheres(plain["where"]), plain["between"])


@dataclass(frozen=True)
class Description:
    """All that a task says of itself, for one choice of its options."""

    about: About | None = None
    axes: Mapping[str, Axes] = field(default_factory=dict)
    """Axis of a condition, or role of a sample, -> what it means."""
    sentences: tuple[Sentence, ...] = ()

    def plain(self) -> dict[str, Any]:
        """The description as JSON keeps it."""
        return {
            "about": None if self.about is None else asdict(self.about),
            "axes": {name: asdict(axes) for name, axes in self.axes.items()},
            "sentences": [sentence.plain() for sentence in self.sentences],
        }


def _part(plain: Mapping[str, Any]) -> Part:
    by = None if plain["by"] is None else Column(**plain["by"])
    return Part(**{**plain, "where": _wheres(plain["where"]), "by": by})


def _wheres(plain: Any) -> tuple[Where, ...]:
    return tuple(
        Where(**{**where, "column": Column(**where["column"]), "values": tuple(where["values"])}) for where in plain
    )
