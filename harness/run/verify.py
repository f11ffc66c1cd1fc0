"""Train a sample of stored rows again and say whether the same comes out."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sql

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.process import environment
from coordbench.harness.run import identity
from coordbench.harness.run.worker import Limits, work
from coordbench.harness.store import checksum
from coordbench.harness.store.answers import REUSED
from coordbench.harness.store.schema import environments, items, records, scores, sources
from coordbench.harness.store.store import Store

Answer = Literal["verified", "within tolerance", "differs", "altered", "stale", "failed"]
_PLATFORM = ("processor", "platform", "python", "versions")


@dataclass(frozen=True)
class Check:
    """One row that was trained again: what came of it, and the difference in words."""

    label: str
    answer: Answer
    detail: str = ""


@dataclass(frozen=True)
class StoredTrial:
    """A trial with its record, as a store holds it."""

    trial: Trial
    status: str
    scores: Mapping[tuple[str, str], float]
    parts: Mapping[str, str]
    environment: Mapping[str, object]
    is_altered: bool

    @property
    def label(self) -> str:
        """The trial in words."""
        cell = self.trial.cell
        return f"{cell.label} in {cell.backbone or 'no network'} on {cell.task}, seed {self.trial.seed}"


def verify(
    store: Store, sample: int, seed: int, plugins: Sequence[str] = (), deadline: float = 600.0,
    say: Callable[[Check], None] = lambda check: None,
) -> list[Check]:  # fmt: skip
    """Draw `sample` rows by `seed`, train each again, and compare; raise UsageError where there is none to draw."""
    if sample < 1:
        raise UsageError(f"--sample {sample} must be at least 1")
    stored = list(stored_trials(store))
    if not stored:
        raise UsageError(f"{store.name} holds no finished trial to verify")
    drawn = random.Random(seed).sample(stored, min(sample, len(stored)))
    checks = []
    for row in drawn:
        checks.append(_check(row, plugins, deadline))
        say(checks[-1])
    return checks


def stored_trials(store: Store) -> Iterator[StoredTrial]:
    """All finished trials of a store that are no tuning, each record once, in a fixed order."""
    query = (
        sql.select(
            *(column for column in records.c if column.name != "facts"),
            sql.cast(records.c.facts, sql.Text).label("facts"),  # as its checksum covers it
            sql.cast(items.c.job, sql.Text).label("job"),
            sources.c.parts,
            environments.c.facts.label("surroundings"),
        )
        .join(items, items.c.record == records.c.id)
        .join(sources, sources.c.id == records.c.sources)
        .join(environments, environments.c.id == records.c.environment)
        .where(records.c.kind == "trial", records.c.status.in_(REUSED))
        .order_by(records.c.identity, records.c.id)
    )
    seen: set[int] = set()
    listed: dict[int, dict[tuple[str, str], float]] = {}
    for score in store.read(sql.select(scores)):
        listed.setdefault(score.record, {})[score.split, score.metric] = score.value
    for row in store.read(query):
        trial = Trial.read(json.loads(row.job))
        if row.id in seen or trial.purpose != "test":
            continue
        seen.add(row.id)
        values = listed.get(row.id, {})
        named = ((split, metric, value) for (split, metric), value in values.items())
        mark = checksum.of_record(dict(row._mapping), named)
        yield StoredTrial(trial, row.status, values, row.parts, row.surroundings, mark != row.checksum)


def _check(row: StoredTrial, plugins: Sequence[str], deadline: float) -> Check:
    if row.is_altered:
        return Check(row.label, "altered", "its numbers are not those that were stored: they were changed by hand")
    try:
        today = identity.of_trial(row.trial)
    except UsageError as error:
        return Check(row.label, "stale", str(error))
    changed = today.explain(row.parts)
    if changed != "nothing changed":
        return Check(row.label, "stale", changed)
    record = work(row.trial, plugins, Limits(deadline=deadline))
    if not isinstance(record, Record) or record.status != row.status:
        return Check(row.label, "failed", f"{record.status} instead of {row.status}: {record.error}")
    scores_now = {
        (split, str(name)): value for split, values in record.scores.items() for name, value in values.items()
    }
    return _compared(row, scores_now)


def _compared(row: StoredTrial, today: Mapping[tuple[str, str], float]) -> Check:
    """Equal bits on the same platform; on another one differences within the margin of the task's metric."""
    worst, where = 0.0, ""
    for key in {*row.scores, *today}:
        before, now = row.scores.get(key), today.get(key)
        gap = float("inf") if before is None or now is None else abs(now - before)
        if gap > worst:
            worst, where = gap, f"{' '.join(key)} was {before}, is {now}"
    if worst == 0:
        return Check(row.label, "verified")
    here = environment.describe(row.trial.cell.device)
    other = [name for name in _PLATFORM if here.get(name) != row.environment.get(name)]
    margin = registry.select("task", str(row.trial.cell.task)).entry.metrics[0].margin
    if other and worst <= margin:
        return Check(row.label, "within tolerance", f"{where}; another {', '.join(other)}")
    return Check(
        row.label, "differs", where + (f"; another {', '.join(other)}" if other else "; the platform is the same")
    )
