"""Records of a run as tidy pandas tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sql

from coordbench.harness.core.selector import Selector
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store, unpack

TRIAL_COLUMNS = [
    *("run", "suite", "task", "task_options", "backbone", "backbone_options", "variant", "variant_options"),
    *("reference", "label", "seed", "device", "dtype", "status", "error", "converged", "seconds", "steps"),
    *("epoch_steps", "fate", "fate_start", "fate_time"),
    *("metric", "unit", "score", "normalized", "parameters", "flops"),
    *("latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes"),
]
_COSTS = ("parameters", "flops", "latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes")
_MEASURED = ["metric", "of", "axis", "level", "part"]
"""The name of a score, and apart: its metric, and its condition, axis = level or axis = part, null where none."""
_WHOLE = ("steps", "parameters", "flops", "peak_memory_bytes")
_SECONDS = ("seconds", "latency_forward_seconds", "latency_step_seconds")
_CELL = ["task", "backbone", "variant", "device", "dtype", "memory_format", "match", "width"]
_OF_TRIALS = [
    *("seed", "reference", "budget", "purpose", "notes"),
    *("record", "status", "error", "converged", "seconds", "steps", "epoch_steps", "fate", "fate_start", "fate_time"),
]
_STORED = {column.name: column for column in schema.records.c} | {
    "record": schema.items.c.record,
    # as text: decoding them all at once is several times faster
    "job": sql.cast(schema.items.c.job, sql.Text),
    "notes": sql.cast(schema.items.c.facts, sql.Text),
    "details": sql.cast(schema.records.c.facts, sql.Text),
}
"""What a column of an item is in the store; those that are not here are part of its job."""
_TEXT = ("task", "backbone", "variant", "device", "dtype", "memory_format", "status", "error")
_JSON = ("job", "notes", "details")
BUDGET = ["steps_planned", "schedule", "learning_rate", "memory_format", "match"]
"""What a sweep of a preset sets for its trials beside task, backbone, variant, device and dtype."""
PLACE = [*BUDGET, "device", "dtype"]
"""What cells of the same task, backbone and variant may differ in."""
CELL = ["task", "backbone", "variant", *PLACE]
"""What trials that differ by their seeds alone share."""


@dataclass(frozen=True)
class Tables:
    """The tables of a run. `trial` in the others is the row number of a trial in `trials`."""

    trials: pd.DataFrame
    scores: pd.DataFrame
    curves: pd.DataFrame
    latencies: pd.DataFrame
    samples: pd.DataFrame
    environment: pd.DataFrame
    costs: pd.DataFrame
    tuning: pd.DataFrame

    def named(self) -> dict[str, pd.DataFrame]:
        """The tables by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


def tables(store: Store, run: str, *, series: bool = True) -> Tables:
    """Read all tables of a run; without `series` those of many rows a trial (curves, latencies, samples) are empty."""
    facts = run_facts(store, run)
    costs = _items(store, run, "cost", [*_CELL, "status", "error", *_COSTS, "details", "record"])
    own = _items(store, run, "trial", [*_CELL, *_OF_TRIALS])
    tuned = own[own["purpose"] == "tune"].reset_index(drop=True)
    tested = own[own["purpose"] == "test"].reset_index(drop=True)
    scores = _scores(store, run)
    many = run if series else ""  # no run has this name
    return Tables(
        trials=_trials(run, tested, scores, costs, facts),
        scores=_by_trial(scores, tested, ["split", *_MEASURED, "value"]),
        curves=_by_trial(_curves(store, many, "trial"), tested, ["step", "seconds", "metric", "value"]),
        latencies=_latencies(store, many, costs),
        samples=_by_trial(_samples(store, many), tested, ["group", "role", "step", "kind", "shape", "dtype", "data"]),
        environment=_environment(store, run),
        costs=costs.drop(columns="record"),
        tuning=_tuning(tuned, tested, scores, facts),
    )


def run_facts(store: Store, run: str) -> dict[str, Any]:
    """What a run noted about itself: preset, tasks with their metrics, variants with their sources, command, times."""
    row = store.read(sql.select(schema.runs).where(schema.runs.c.id == run))[0]
    return dict(row.facts) | {
        "run": row.id, "command": row.command, "started": row.started, "finished": row.finished, "commit": row.commit,
    }  # fmt: skip


def sources(store: Store, run: str) -> dict[str, frozenset[str]]:
    """What the records of a run depend on beside their trials: name of a file, setting or library -> its digests."""
    used = sql.select(schema.records.c.sources).join(schema.items, schema.items.c.record == schema.records.c.id)
    used = used.where(schema.items.c.run == run).distinct()
    digests: dict[str, set[str]] = {}
    for row in store.read(sql.select(schema.sources.c.parts).where(schema.sources.c.id.in_(used))):
        for name, digest in (row.parts or {}).items():
            digests.setdefault(str(name), set()).add(str(digest))
    return {name: frozenset(values) for name, values in digests.items()}


def cells(store: Store, run: str, trials: pd.DataFrame) -> pd.DataFrame:
    """The trials' table with `record` and BUDGET, and with full selectors such as `conv[padding=circular]`.

    The rate is told as text, "" where the preset fixes none, so that CELL can be told apart and paired.
    """
    own = budgets(store, run).set_axis(trials.index)
    own["learning_rate"] = own["learning_rate"].map(lambda rate: "" if np.isnan(rate) else f"{rate:g}").astype("str")
    named = {column: selector(trials, column) for column in ("task", "backbone", "variant")}
    return trials.assign(**named).join(own)


def telling(frame: pd.DataFrame) -> list[str]:
    """The columns of PLACE in which the rows of a table differ, and which so need to be told."""
    return [name for name in PLACE if frame[name].nunique(dropna=False) > 1]


def place(row: Any, names: Sequence[str]) -> str:
    """These columns of a row in words, such as `, steps planned 100`; what a preset leaves open is left out."""
    known = [name for name in names if str(row[name]) not in ("", "nan")]
    return "".join(f", {name.replace('_', ' ')} {row[name]}" for name in known)


def selector(frame: pd.DataFrame, column: str) -> pd.Series[Any]:
    """Base name and options as one selector."""
    name, options = frame[column].fillna("").astype(str), frame[f"{column}_options"].fillna("").astype(str)
    return name + ("[" + options + "]").where(options != "", "")


def budgets(store: Store, run: str) -> pd.DataFrame:
    """`record` and BUDGET of each trial, in the order of the trials' table.

    `learning_rate` is the one that the preset fixed, null where each variant tuned its own; `match` is "" without one.
    """
    job, facts = schema.items.c.job, schema.items.c.facts
    fixed = facts["tuning", "rate"].as_float().is_(None)
    query = (
        sql.select(
            schema.items.c.record,
            job["budget", "steps"].as_integer(),
            job["budget", "schedule"].as_string(),
            sql.case((fixed, job["budget", "learning_rate"].as_float())),
            job["memory_format"].as_string(),
            job["match"].as_string(),
        )
        .where((schema.items.c.run == run) & (schema.items.c.kind == "trial") & (job["purpose"].as_string() == "test"))
        .order_by(schema.items.c.position)
    )
    texts = dict.fromkeys(("schedule", "memory_format", "match"), "str")
    frame = _frame(store, query, ["record", *BUDGET]).astype({"learning_rate": "float64"} | texts)
    return frame.fillna(dict.fromkeys(texts, ""))


def runs(store: Store) -> pd.DataFrame:
    """One row per run of a store, oldest first, with the number of its trials that ended well and otherwise."""
    state = sql.func.coalesce(schema.records.c.status, "skipped")
    counted = (
        sql.select(schema.items.c.run, state.label("status"), sql.func.count().label("count"))
        .select_from(schema.items.outerjoin(schema.records, schema.items.c.record == schema.records.c.id))
        .group_by(schema.items.c.run, state)
    )
    counts = _frame(store, counted, ["run", "status", "count"]).pivot_table(
        index="run", columns="status", values="count", fill_value=0, aggfunc="sum"
    )
    columns = ["id", "preset", "started", "finished", "commit", "command"]
    query = sql.select(*(schema.runs.c[name] for name in columns)).order_by(schema.runs.c.number)
    listed = _frame(store, query, columns).rename(columns={"id": "run"})
    return listed.merge(counts.reset_index(), on="run", how="left")


def _items(store: Store, run: str, kind: str, columns: list[str]) -> pd.DataFrame:
    """Columns of a run's items of one kind, of their jobs and records; an item without a record is skipped."""
    stored = ["job", *(name for name in columns if name in _STORED)]
    query = (
        sql.select(*(_STORED[name].label(name) for name in stored))
        .select_from(schema.items.outerjoin(schema.records, schema.items.c.record == schema.records.c.id))
        .where((schema.items.c.run == run) & (schema.items.c.kind == kind))
        .order_by(schema.items.c.position)
    )
    rows = dict(zip(stored, _columns(store, query, len(stored)), strict=True))
    rows |= {name: _decode(rows[name]) for name in stored if name in _JSON}
    jobs = rows.pop("job")
    rows |= {name: [job.get(name, np.nan) for job in jobs] for name in columns if name not in _STORED}
    frame = pd.DataFrame(rows, columns=columns)
    if frame.empty:  # there is nothing to tell what a column holds
        frame = frame.astype(object).astype(dict.fromkeys(_TEXT, "str"))
    frame["record"] = frame["record"].astype("Int64")
    if "match" in columns:  # null in all rows of one kind of items, it would not merge with those of the other
        frame = frame.astype({"width": "float64", "match": "str"}).fillna({"match": ""})
    missing = frame["record"].isna()
    frame.loc[missing, "status"] = "skipped"
    frame.loc[missing, "error"] = "not run: the run ended before it"
    numbers = [name for name in (*_WHOLE, *_SECONDS) if name in columns]
    frame[numbers] = frame[numbers].apply(_finite)
    whole = [name for name in _WHOLE if name in columns]
    return frame.assign(**{name: frame[name].round().astype("Int64") for name in whole})


def _finite(column: pd.Series[Any]) -> pd.Series[float]:
    """The numbers of a column; null where a record holds none, or one that is not finite."""
    return pd.to_numeric(column, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)


def _decode(texts: Iterable[Any]) -> list[Any]:
    """The values of JSON texts, in one pass over all of them."""
    values: list[Any] = json.loads(f"[{','.join(text or 'null' for text in texts)}]")
    return values


def _trials(
    run: str, own: pd.DataFrame, scores: pd.DataFrame, costs: pd.DataFrame, facts: dict[str, Any]
) -> pd.DataFrame:
    if own.empty:
        return pd.DataFrame(columns=TRIAL_COLUMNS)
    frame = own.merge(costs[[*_CELL, *_COSTS]], on=_CELL, how="left")
    frame["run"] = run
    frame["label"] = frame["variant"].fillna(frame["reference"])
    frame["full_task"] = frame["task"]
    tasks = facts["tasks"]
    frame["suite"] = frame["task"].map({task: own["suite"] for task, own in tasks.items()})
    for fact, column in (("name", "metric"), ("unit", "unit")):
        frame[column] = frame["task"].map({task: own["metrics"][0][fact] for task, own in tasks.items()})
    primary = scores[scores["split"] == "test"][["record", "metric", "value"]].rename(columns={"value": "score"})
    frame = frame.merge(primary, on=["record", "metric"], how="left")
    frame.loc[frame["status"] != "ok", "score"] = np.nan
    frame["normalized"] = _normalized(frame, tasks)
    for column in ("task", "backbone", "variant"):
        frame[column], frame[f"{column}_options"] = _base_and_options(frame[column])
    frame["converged"] = frame["converged"].astype("boolean")
    return frame[TRIAL_COLUMNS]


def _base_and_options(selectors: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Split selectors such as conv[padding=circular], each that occurs once."""
    codes, names = pd.factorize(selectors.astype("str"))
    parsed = [Selector.parse(str(name)) for name in names]
    parts = pd.DataFrame([(s.name, s.options_text) for s in parsed], columns=["name", "options"], dtype="str")
    base, options = (parts[name].reindex(codes).set_axis(selectors.index) for name in parts)
    return base, options


def _normalized(frame: pd.DataFrame, tasks: dict[str, Any]) -> pd.Series:
    """0 at the strongest floor, 1 at the strongest ceiling of the same task and seed; null where either is missing."""
    pairs = zip(frame["full_task"], frame["reference"], strict=True)
    kinds = pd.Series([tasks[task]["references"].get(name) for task, name in pairs], index=frame.index, dtype=object)
    better = {task: own["metrics"][0]["better"] for task, own in tasks.items()}
    sign = frame["full_task"].map({task: 1.0 if wanted == "higher" else -1.0 for task, wanted in better.items()})
    merit = frame["score"].astype(float) * sign
    bounds = {}
    for kind in ("floor", "ceiling"):
        best = merit.where(kinds == kind).groupby([frame["full_task"], frame["seed"]]).transform("max")
        bounds[kind] = best
    span = bounds["ceiling"] - bounds["floor"]
    return (merit - bounds["floor"]) / span.where(span > 0)


def _scores(store: Store, run: str) -> pd.DataFrame:
    return _children(store, run, schema.scores, ["split", *_MEASURED, "value"])


def _samples(store: Store, run: str) -> pd.DataFrame:
    return _children(store, run, schema.samples, ["group", "role", "step", "kind", "shape", "dtype", "data"])


def _curves(store: Store, run: str, kind: str) -> pd.DataFrame:
    """The points of a run's curves; of its latencies where `kind` is cost."""
    rows = _children(store, run, schema.series, ["metric", "steps", "seconds", "values"], kind)
    arrays = {name: [unpack(cell) for cell in rows[name]] for name in ("steps", "seconds", "values")}
    lengths = [len(seconds) for seconds in arrays["seconds"]]
    flat = {name: np.concatenate(parts) if parts else np.empty(0) for name, parts in arrays.items()}
    frame = pd.DataFrame({name: np.repeat(rows[name].to_numpy(), lengths) for name in ("record", "metric")})
    if kind == "cost":
        return frame.assign(seconds=flat["seconds"])
    return frame.assign(step=flat["steps"].astype(np.int64), seconds=flat["seconds"], value=flat["values"])


def _latencies(store: Store, run: str, costs: pd.DataFrame) -> pd.DataFrame:
    """Raw latency samples [s] with the cell they belong to."""
    raw = _curves(store, run, "cost").rename(columns={"metric": "phase"})
    raw["turn"] = raw.groupby(["record", "phase"]).cumcount()
    return raw.merge(costs[[*_CELL, "record"]], on="record")[[*_CELL, "phase", "turn", "seconds"]]


def _environment(store: Store, run: str) -> pd.DataFrame:
    """What a run's records were made on: one row per environment and fact."""
    used = sql.select(schema.records.c.environment).join(schema.items, schema.items.c.record == schema.records.c.id)
    used = used.where(schema.items.c.run == run).distinct()
    rows = store.read(sql.select(schema.environments).where(schema.environments.c.id.in_(used)))
    flat = [(run, row.id, name, str(value)) for row in rows for name, value in _flatten(row.facts)]
    return pd.DataFrame(flat, columns=["run", "environment", "name", "value"])


def _tuning(tuned: pd.DataFrame, tested: pd.DataFrame, scores: pd.DataFrame, facts: dict[str, Any]) -> pd.DataFrame:
    """What the choice of learning rates cost and found: one row per tuned cell and rate."""
    columns = ["task", "backbone", "variant", "rate", "chosen", "at_edge", "score", "trials", "seconds"]
    if tuned.empty:
        return pd.DataFrame(columns=columns)
    tuned = tuned.assign(
        rate=[budget["learning_rate"] for budget in tuned["budget"]],
        metric=[facts["tasks"][task]["metrics"][0]["name"] for task in tuned["task"]],
    )
    validation = scores[scores["split"] == "validation"][["record", "metric", "value"]]
    merged = tuned.merge(validation, on=["record", "metric"], how="left")
    cell = ["task", "backbone", "variant"]
    grouped = merged.groupby([*cell, "rate"], as_index=False).agg(
        score=("value", "median"), trials=("value", "size"), seconds=("seconds", "sum")
    )
    chosen = tested[tested["notes"].map(lambda note: "tuning" in (note or {}))]
    choice = chosen.assign(
        picked=[note["tuning"]["rate"] for note in chosen["notes"]],
        at_edge=[note["tuning"]["at_edge"] for note in chosen["notes"]],
    ).drop_duplicates(cell)
    grouped = grouped.merge(choice[[*cell, "picked", "at_edge"]], on=cell, how="left")
    return grouped.assign(chosen=grouped["rate"] == grouped["picked"])[columns]


def _flatten(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in facts.items():
        flat += _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return flat


def _children(store: Store, run: str, table: sql.Table, columns: list[str], kind: str = "trial") -> pd.DataFrame:
    """Rows that hang on the records of a run's items of one kind, once where items share a record."""
    items = schema.items.c
    own = sql.select(items.record).where((items.run == run) & (items.kind == kind)).distinct().subquery()
    query = sql.select(table.c.record, *(table.c[name] for name in columns)).join(own, own.c.record == table.c.record)
    return _frame(store, query, ["record", *columns]).astype({"record": "Int64"})


def _by_trial(frame: pd.DataFrame, tested: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Replace the number of a record by the row of its trial."""
    rows = pd.DataFrame({"record": tested["record"], "trial": tested.index})
    return rows.merge(frame, on="record")[["trial", *columns]]


def _frame(store: Store, query: sql.Select[Any], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(dict(zip(columns, _columns(store, query, len(columns)), strict=True)))


def _columns(store: Store, query: sql.Select[Any], count: int) -> list[Any]:
    """The columns of a query; pandas takes them faster than rows."""
    columns: list[Any] = [list(column) for column in zip(*store.read(query), strict=True)]
    return columns or [np.empty(0, object) for _ in range(count)]
