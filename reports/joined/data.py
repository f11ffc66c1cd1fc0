"""All runs of a store together: every record once, scores by cell, machine and revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sql

from coordbench.harness.analysis.runs import run_facts, runs
from coordbench.harness.analysis.tables import tables
from coordbench.harness.core.cell import Cell, differing
from coordbench.harness.core.record import FAILED
from coordbench.harness.measure.table import flatten
from coordbench.harness.statistics.intervals import mean_interval
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store
from coordbench.reports.data.facts import RunFacts

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Place:
    """Where and by what a record was made."""

    machine: str
    revision: str


@dataclass(frozen=True)
class Score:
    """What a cell came to at one place, over the seeds of all runs."""

    cell: Cell
    place: Place
    suite: str
    metric: str
    runs: tuple[str, ...]
    seeds: int
    failed: int
    altered: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Cost:
    """What a layer of a network costs at one place."""

    cell: Cell
    place: Place
    parameters: float
    flops: float
    latency_step_seconds: float
    ratio: float
    """Its training step as a multiple of the plain convolution's, timed in turns."""
    peak_memory_bytes: float


@dataclass(frozen=True)
class Joined:
    """The runs of a store, oldest first, the scores and costs of their records, and the conditions that tell apart."""

    runs: pd.DataFrame
    scores: list[Score]
    costs: list[Cost]
    conditions: tuple[str, ...]

    @property
    def places(self) -> list[Place]:
        """Where records were made, in the order in which they are shown."""
        return list(dict.fromkeys([*(score.place for score in self.scores), *(cost.place for cost in self.costs)]))


def joined(store: Store) -> Joined:
    """Join the runs of a store; a record that several runs share counts once."""
    listed, places = runs(store), _places(store)
    trials, measured = [], []
    for run in listed["run"].astype(str):
        stored = tables(store, run, series=False)
        facts = RunFacts.read(run_facts(store, run))
        labels = {task: about.metric.label for task, about in facts.tasks.items()}
        rows = stored.trials[stored.trials["record"].notna()]
        trials.append(rows.assign(metric=[labels[str(cell.task)] for cell in rows["cell"]]))
        measured.append(stored.costs[stored.costs["status"] == "ok"])
    scores = list(_scores(_concatenated(trials), places))
    costs = list(_costs(_concatenated(measured), places))
    return Joined(listed, scores, costs, differing(score.cell for score in scores))


def _concatenated(frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _places(store: Store) -> Mapping[int, Place]:
    """Record -> where it was made."""
    query = sql.select(schema.environments)
    known = {row.id: _place(row.facts or {}) for row in store.read(query)}
    rows = store.read(sql.select(schema.records.c.id, schema.records.c.environment))
    return {row.id: known.get(row.environment, Place(UNKNOWN, UNKNOWN)) for row in rows}


def _place(facts: Mapping[str, object]) -> Place:
    revision = facts.get("revision")
    commit = revision.get("commit") if isinstance(revision, Mapping) else None
    dirty = "+" if isinstance(revision, Mapping) and revision.get("dirty") else ""
    machine = facts.get("gpu") or facts.get("processor") or UNKNOWN
    return Place(str(machine), f"{str(commit)[:10]}{dirty}" if commit else UNKNOWN)


def _scores(trials: pd.DataFrame, places: Mapping[int, Place]) -> Iterator[Score]:
    if trials.empty:
        return
    ordered = trials.sort_values(["suite", "task", "backbone"], kind="stable")
    grouped: dict[tuple[Cell, Place], list[int]] = {}
    for row, (cell, record) in enumerate(zip(ordered["cell"], ordered["record"], strict=True)):
        grouped.setdefault((cell, places[int(record)]), []).append(row)
    for (cell, place), numbers in grouped.items():
        rows = ordered.iloc[numbers]
        once = rows.drop_duplicates("record")
        values = once["score"].dropna().to_numpy(float)
        low, high = mean_interval(values)
        first = rows.iloc[0]
        yield Score(
            cell, place, str(first["suite"]), str(first["metric"]), tuple(dict.fromkeys(rows["run"].astype(str))),
            len(values), int(once["status"].isin(FAILED).sum()), int(once["altered"].sum()),
            float(values.mean()) if len(values) else float("nan"), low, high,
        )  # fmt: skip


def _costs(measured: pd.DataFrame, places: Mapping[int, Place]) -> Iterator[Cost]:
    if measured.empty:
        return
    columns = [*("cell", "record", "parameters", "flops", "latency_step_seconds", "ratio_step", "peak_memory_bytes")]
    table = flatten(measured.drop_duplicates("record").reset_index(drop=True))[columns]
    for cell, record, *values in table.sort_values("ratio_step").itertuples(index=False):
        yield Cost(cell, places[int(record)], *(float("nan") if pd.isna(value) else float(value) for value in values))
