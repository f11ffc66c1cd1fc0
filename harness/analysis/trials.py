"""The table of trials: one row per planned trial, its primary score, and the costs of its cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from coordbench.harness.analysis import cells
from coordbench.harness.analysis.items import Items
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.trial import CostJob
from coordbench.harness.run import counts
from coordbench.harness.run.counts import Counts
from coordbench.harness.training.repeat import NOTE

TRIAL_COLUMNS = [
    *("run", "suite", "task", "task_options", "backbone", "backbone_options", "variant", "variant_options"),
    *("reference", "label", "seed", "device", "dtype", "status", "error", "converged", "seconds", "steps"),
    *("epoch_steps", "fate", "fate_start", "fate_time"),
    *("metric", "unit", "score", "normalized", "parameters", "flops"),
    *("latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes", "altered"),
]
COSTS = ["parameters", "flops", "latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes"]
_RECORD = ["seed", "status", "error", "converged", "seconds", "steps", "epoch_steps", "fate", "fate_start", "fate_time"]


def trials_table(
    run: str, items: Items, scores: pd.DataFrame, measured: Items, facts: dict[str, Any], wrong: set[object]
) -> pd.DataFrame:
    """The columns TRIAL_COLUMNS, and beside them `record`, `cell` and `unsteady`."""
    if items.frame.empty:
        return pd.DataFrame(columns=[*TRIAL_COLUMNS, "record", "cell", "unsteady"])
    frame = pd.concat([items.frame[[*_RECORD, "record"]], _conditions(items), _costs(items, measured)], axis=1)
    tasks = facts["tasks"]
    about = {str(cell.task): tasks[str(cell.task)] for cell in items.cells}
    full = pd.Series(items.spread(lambda cell: str(cell.task)), dtype="str")
    frame = frame.assign(
        run=run,
        suite=full.map({task: known["suite"] for task, known in about.items()}),
        metric=full.map({task: known["metrics"][0]["name"] for task, known in about.items()}),
        unit=full.map({task: known["metrics"][0]["unit"] for task, known in about.items()}),
        altered=frame["record"].isin(wrong),
        unsteady=[_unsteady(details) for details in items.frame["details"]],
        converged=frame["converged"].astype("boolean"),
    )
    primary = scores[scores["split"] == "test"][["record", "metric", "value"]].drop_duplicates(["record", "metric"])
    frame = frame.merge(primary.rename(columns={"value": "score"}), on=["record", "metric"], how="left")
    frame.loc[frame["status"] != "ok", "score"] = np.nan
    frame["normalized"] = _normalized(frame, full, about)
    return frame[[*TRIAL_COLUMNS, "record", "cell", "unsteady"]]


def _unsteady(details: Mapping[str, Mapping[str, object]] | None) -> str:
    """Where a second training of a trial's first steps parted from the first; empty where none did."""
    return str((details or {}).get(NOTE, {}).get("difference", ""))


def _conditions(items: Items) -> pd.DataFrame:
    """What an item's cell says of it: names and options, device and number format, and the cell itself."""
    known = pd.DataFrame(
        {
            **cells.names((cell.task for cell in items.cells), "task"),
            **cells.names((cell.backbone for cell in items.cells), "backbone"),
            **cells.names((cell.variant for cell in items.cells), "variant"),
            "reference": [cell.reference for cell in items.cells],
            "label": [cell.label for cell in items.cells],
            "device": [cell.device for cell in items.cells],
            "dtype": [cell.dtype for cell in items.cells],
        },
        dtype="str",
    )
    return known.take(items.codes).reset_index(drop=True).assign(cell=_planned(items))


def _planned(items: Items) -> pd.Series[Any]:
    """The cell of each item as its preset asked for it; equal ones are one object."""
    known: dict[Cell, Cell] = {}
    both = [(cells.planned(cell, tuned=False), cells.planned(cell, tuned=True)) for cell in items.cells]
    both = [(known.setdefault(fixed, fixed), known.setdefault(free, free)) for fixed, free in both]
    tuned = ["tuning" in (notes or {}) for notes in items.frame["notes"]]
    chosen = [both[code][chosen] for code, chosen in zip(items.codes, tuned, strict=True)]
    return pd.Series(chosen, dtype=object)


def _costs(items: Items, measured: Items) -> pd.DataFrame:
    """The costs of each item's cell, measured once for all of its seeds and budgets."""
    rows = {CostJob(cell).cell: place for place, cell in enumerate(measured.spread(lambda cell: cell))}
    places = np.array(items.spread(lambda cell: rows.get(CostJob(cell).cell, -1)), dtype=np.int64)
    frame = measured.frame[COSTS].reindex(places).reset_index(drop=True)
    counted = _counted(items)
    for name in ("parameters", "flops"):
        listed = [getattr(each, name) if each else None for each in counted]
        frame[name] = frame[name].fillna(pd.Series(listed, dtype="Int64"))
    return frame


def _counted(items: Items) -> list[Counts | None]:
    """What was counted of each item's cell with one of its trials, where no cost of it is measured."""
    noted = zip(items.codes, map(counts.of_notes, items.frame["details"]), strict=True)
    known = {CostJob(items.cells[code]).cell: each for code, each in noted if each is not None}
    return items.spread(lambda cell: known.get(CostJob(cell).cell))


def _normalized(frame: pd.DataFrame, full: pd.Series[str], about: dict[str, Any]) -> pd.Series[float]:
    """0 at the strongest floor, 1 at the strongest ceiling of the same task and seed; null where either is missing."""
    kinds = pd.Series(
        [about[task]["references"].get(name) for task, name in zip(full, frame["reference"], strict=True)],
        index=frame.index,
        dtype=object,
    )
    signs = {task: 1.0 if known["metrics"][0]["better"] == "higher" else -1.0 for task, known in about.items()}
    merit = frame["score"].astype(float) * full.map(signs)
    floor, ceiling = (
        merit.where(kinds == kind).groupby([full, frame["seed"]]).transform("max") for kind in ("floor", "ceiling")
    )
    span = ceiling - floor
    return (merit - floor) / span.where(span > 0)
