"""Records of a run as tidy pandas tables."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sql

from coordbench.harness.analysis import frames
from coordbench.harness.analysis.items import Items, read_items
from coordbench.harness.analysis.runs import run_facts
from coordbench.harness.analysis.trials import COSTS, TRIAL_COLUMNS, trials_table
from coordbench.harness.analysis.tuning import tuning_table
from coordbench.harness.store import checksum, schema
from coordbench.harness.store.altered import altered_parts, altered_rows, by_record
from coordbench.harness.store.bulk import without_collection
from coordbench.harness.store.store import Store

_COST_CELL = ["task", "backbone", "variant", "device", "dtype", "memory_format", "match", "width"]
_SAMPLE = ["group", "role", "step", "kind", "shape", "dtype", "data"]


@dataclass(frozen=True)
class Tables:
    """The tables of a run. `trial` in the others is the row number of a trial in `trials`.

    Beside what is exported `trials` and `costs` carry `record` and `cell`, a `Cell` as its preset asked for it.
    `altered` marks what is no longer what was stored.
    """

    trials: pd.DataFrame
    scores: pd.DataFrame
    curves: pd.DataFrame
    latencies: pd.DataFrame
    samples: pd.DataFrame
    environment: pd.DataFrame
    costs: pd.DataFrame
    tuning: pd.DataFrame

    def named(self) -> dict[str, pd.DataFrame]:
        """The tables to be exported, by name."""
        tables = {item.name: getattr(self, item.name) for item in fields(self)}
        return tables | {"trials": self.trials[TRIAL_COLUMNS], "costs": self.costs.drop(columns=["cell", "record"])}


@without_collection()
def tables(store: Store, run: str, *, series: bool = True) -> Tables:
    """Read all tables of a run; without `series` those of many rows a trial (curves, latencies, samples) are empty."""
    facts = run_facts(store, run)
    planned, measured = read_items(store, run, "trial"), read_items(store, run, "cost")
    tuned, tested = (planned.where(planned.frame["purpose"] == purpose) for purpose in ("tune", "test"))
    scores = frames.scores(store, run)
    wrong = set[object]()
    for items in (planned, measured):
        wrong |= _altered(items, scores)
    wrong |= _altered_parts(store, run) if series else set()
    costs = _costs(measured, wrong)
    many = run if series else ""  # no run has this name
    return Tables(
        trials=trials_table(run, tested, scores, measured, facts, wrong),
        scores=_by_trial(scores, tested, ["split", *frames.MEASURED, "value"]),
        curves=_by_trial(frames.curves(store, many), tested, ["step", "seconds", "metric", "value"]),
        latencies=_latencies(frames.times(store, many), costs),
        samples=_by_trial(frames.samples(store, many), tested, _SAMPLE),
        environment=_environment(store, run),
        costs=costs,
        tuning=tuning_table(tuned, tested, scores, facts),
    )


def _costs(items: Items, wrong: set[object]) -> pd.DataFrame:
    """One row per measurement of costs."""
    plain = pd.DataFrame([cell.plain for cell in items.cells], columns=_COST_CELL)
    cells = plain.take(items.codes).reset_index(drop=True)
    texts = {name: cells[name].astype("str") for name in _COST_CELL if name != "width"}
    frame = items.frame[["status", "error", *COSTS, "details", "record"]]
    cells = cells.assign(**texts, width=cells["width"].astype("float64")).fillna({"match": ""})
    return pd.concat([cells, frame], axis=1).assign(
        cell=pd.Series(items.spread(lambda cell: cell), dtype=object), altered=frame["record"].isin(wrong)
    )


def _latencies(times: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Raw latency samples [s] with the cell they belong to."""
    return times.merge(costs[[*_COST_CELL, "record"]], on="record")[[*_COST_CELL, "phase", "turn", "seconds"]]


def _altered(items: Items, scores: pd.DataFrame) -> set[object]:
    """The records of items, by number, whose row or scores are no longer what was stored."""
    columns = (scores[name].tolist() for name in ("record", "split", "metric", "value"))
    values = zip(*(items.stored[name] for name in checksum.FIELDS), strict=True)
    rows = zip(items.stored["record"], items.stored["checksum"], values, strict=True)
    return altered_rows((row for row in rows if row[0] is not None), by_record(zip(*columns, strict=True)))


def _altered_parts(store: Store, run: str) -> set[object]:
    """The records of which a curve, a latency or a sample is no longer what was stored."""
    names = ["metric", "steps", "seconds", "values", "checksum"]
    curves = [frames.children(store, run, schema.series, names, kind) for kind in ("trial", "cost")]
    samples = frames.children(store, run, schema.samples, ["data", "checksum"])
    return {row for part in (*curves, samples) for row in altered_parts(part.itertuples(index=False))}


def _environment(store: Store, run: str) -> pd.DataFrame:
    """What a run's records were made on: one row per environment and fact."""
    used = sql.select(schema.records.c.environment).join(schema.items, schema.items.c.record == schema.records.c.id)
    used = used.where(schema.items.c.run == run).distinct()
    rows = store.read(sql.select(schema.environments).where(schema.environments.c.id.in_(used)))
    flat = [(run, row.id, name, str(value)) for row in rows for name, value in _flatten(row.facts)]
    return pd.DataFrame(flat, columns=["run", "environment", "name", "value"])


def _flatten(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    flat: list[tuple[str, object]] = []
    for name, value in facts.items():
        flat += _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return flat


def _by_trial(frame: pd.DataFrame, tested: Items, columns: list[str]) -> pd.DataFrame:
    """Replace the number of a record by the row of its trial."""
    rows = pd.DataFrame({"record": tested.frame["record"], "trial": np.arange(len(tested.frame))})
    return rows.merge(frame, on="record")[["trial", *columns]]
