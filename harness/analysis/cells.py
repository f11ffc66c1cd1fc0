"""Cells as columns of a table, derived from the fields of `Cell` in one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.selector import Selector

SELECTORS = ("task", "backbone", "variant")


def _column(condition: str) -> str:
    """A condition as the name of a column; `steps` are those done, so those planned have another name."""
    return {"steps": "steps_planned"}.get(condition, condition.replace(" ", "_"))


PLACE = [_column(name) for name in Cell(Selector("any")).conditions]
"""What cells of the same task, backbone and variant may differ in, as columns of text."""
CELL = [*SELECTORS, *PLACE]
"""What trials that differ by their seeds alone share, as columns of text."""


def columns(cells: Iterable[Cell]) -> pd.DataFrame:
    """The columns CELL of cells: full selectors such as `conv[padding=circular]`, and conditions in words."""
    rows = [
        {name: str(getattr(cell, name) or "") for name in SELECTORS}
        | {_column(name): value for name, value in cell.conditions.items()}
        for cell in cells
    ]
    return pd.DataFrame(rows, columns=CELL, dtype="str").astype(dict.fromkeys(("steps_planned", "evaluations"), int))


def names(selectors: Iterable[Selector | None], name: str) -> dict[str, list[str | None]]:
    """The columns `name`, base names, and `name_options`, canonical options; both null where there is no selector."""
    listed = list(selectors)
    return {
        name: [selector.name if selector else None for selector in listed],
        f"{name}_options": [selector.options_text if selector else None for selector in listed],
    }


def planned(cell: Cell, *, tuned: bool) -> Cell:
    """The cell as its preset asked for it: without the rate that it tuned itself and the width that it was given."""
    budget = replace(cell.budget, learning_rate=None) if tuned else cell.budget
    return replace(cell, budget=budget, width=None)
