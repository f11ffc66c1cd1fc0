"""Say what a plan would do: how many trials, which are at hand already and why not, and about how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sql

from coordbench.harness.core.cell import Cell, describe, differing
from coordbench.harness.core.trial import Job, Trial
from coordbench.harness.plan import expected
from coordbench.harness.plan.planning import Plan, with_rate
from coordbench.harness.run import identity, matching
from coordbench.harness.run.progress import describe as describe_job
from coordbench.harness.run.rates import Tuner
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store


@dataclass(frozen=True)
class Settled:
    """The trials that a run would come to, and why one of them cannot be known yet: trial -> reason."""

    tuning: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    open: Mapping[Trial, str]

    @property
    def everything(self) -> tuple[Trial, ...]:
        """All trials, those that choose a learning rate first."""
        return *self.tuning, *self.trials


def settle(plan: Plan, store: Store) -> Settled:
    """Look up what a run decides on its way, widths and learning rates, in what earlier runs left."""
    plan = matching.recorded(plan, store)
    numbers = _numbers(plan.tuning, store)
    tuner = Tuner.of(plan, store).ready(numbers)
    more = tuner.extensions(numbers)
    extra = tuner.trials(more)
    numbers |= _numbers(extra, store)
    choices = tuner.ready(numbers, more).choices(more, numbers)
    trials = tuple(
        with_rate(trial, choices[trial.cell].rate) if trial in plan.grids and trial.cell in choices else trial
        for trial in plan.trials
    )
    waiting = {trial: "learning rate" for trial in plan.grids if trial.cell not in choices}
    return Settled((*plan.tuning, *extra), trials, {**_unmatched(plan), **waiting})


def _numbers(trials: Iterable[Trial], store: Store) -> dict[Job, int]:
    """Trial -> the number of the record that answers it, for those that have one."""
    known = ((trial, store.find(identity.of_trial(trial))) for trial in trials)
    return {trial: number for trial, number in known if number is not None}


def _unmatched(plan: Plan) -> dict[Trial, str]:
    waiting = (trial for trial in (*plan.tuning, *plan.trials) if trial.cell.match and trial.cell.width is None)
    return dict.fromkeys(waiting, "width")


def forecast(plan: Plan, store: Store, *, fresh: bool = False, explain: bool = False) -> str:
    """The plan in a few lines; with `explain`, one line per trial on why it is run or reused."""
    settled = settle(plan, store)
    reasons = {trial: _reason(trial, settled, store, fresh) for trial in settled.everything}
    pending = [trial for trial in settled.everything if reasons[trial] != "reused"]
    head = (
        f"preset {plan.preset.name}: {len(settled.everything)} trials, {len(pending)} to run; "
        f"{len(plan.costs)} cost measurements"
    )
    lines = [f"{describe_job(trial)}: {reasons[trial]}" for trial in settled.everything]
    details = [*lines, *_untracked(settled.everything)] if explain else _cells(settled.trials)
    return "\n".join([head, _estimate(pending, store), *_by_looks(plan, settled, pending, store), *details])


def _estimate(pending: Sequence[Trial], store: Store) -> str:
    """How long the trials to run will take, as far as earlier ones tell: each by the time of a step of its own kind."""
    if not pending:
        return "nothing to train"
    seconds = _Seconds.of(store)
    known = [time for trial in pending if (time := seconds.of_trial(trial)) is not None]
    if not known:
        return "no estimate of the time yet: none of these has been run here"
    minutes = f"about {len(pending) * sum(known) / len(known) / 60:.1f} minutes of one core for the trials"
    unknown = len(pending) - len(known)
    return f"{minutes}, {unknown} of which were never run here, and are taken as the others" if unknown else minutes


def _by_looks(plan: Plan, settled: Settled, pending: Sequence[Trial], store: Store) -> list[str]:
    """The shortest, the expected and the longest way through the looks of a plan, in time where that is known."""
    if not plan.looks:
        return []
    seconds, todo = _Seconds.of(store), frozenset(pending)
    known = [time for trial in pending if (time := seconds.of_trial(trial)) is not None]
    usual = sum(known) / len(known) if known else 1.0

    def length(trial: Trial) -> float:
        time = seconds.of_trial(trial) if trial in todo else 0.0
        return usual if time is None else time

    after = expected.length(plan, settled.trials, length)
    tuning = sum(length(trial) for trial in settled.tuning)
    ways = [tuning + way for way in (after.shortest, after.expected, after.longest)]
    shortest, usually, longest = (f"{way / 60:.1f} minutes" if known else f"{way:.0f} trials" for way in ways)
    return [
        f"by looks: {shortest} where the first decides all, about {usually} expected (for effects that spread by "
        f"{expected.SPREAD:g} standard deviations around 0), {longest} where none decides anything"
    ]


def _reason(trial: Trial, settled: Settled, store: Store, fresh: bool) -> str:
    if not fresh and trial in settled.open:
        return f"run, or reused once its {settled.open[trial]} is chosen"
    return _why(trial, store, fresh)


def _why(trial: Trial, store: Store, fresh: bool) -> str:
    if fresh:
        return "run: --fresh"
    identified = identity.of_trial(trial)
    if store.find(identified) is not None:
        return "reused"
    before = store.earlier_parts(identified)
    if before is None:
        return "run: never run before"
    changes = identified.explain(before)
    return f"run: {changes}" if changes != "nothing changed" else "run: the earlier trial failed"


def _untracked(trials: Iterable[Trial]) -> list[str]:
    """What the plug-ins of a plan do that no record's identity follows."""
    lines = (line for trial in trials for line in identity.of_trial(trial).untracked)
    return [f"not tracked, so a change in it re-runs nothing: {line}" for line in dict.fromkeys(lines)]


def _kind(cell: Cell) -> tuple[str, str, str]:
    return str(cell.task), str(cell.backbone), cell.label


@dataclass(frozen=True)
class _Seconds:
    """What earlier trials tell of others: kind -> mean time of a training step, or of a reference as a whole [s]."""

    per_step: Mapping[tuple[str, str, str], float]

    @classmethod
    def of(cls, store: Store) -> _Seconds:
        query = sql.select(schema.items.c.job, schema.records.c.seconds, schema.records.c.steps).join(
            schema.records, schema.items.c.record == schema.records.c.id
        )
        known: dict[tuple[str, str, str], list[float]] = {}
        for row in store.read(query.where(schema.items.c.kind == "trial").limit(5000)):
            known.setdefault(_kind(Cell.read(row.job)), []).append((row.seconds or 0.0) / max(1, row.steps or 0))
        return cls({kind: sum(values) / len(values) for kind, values in known.items()})

    def of_trial(self, trial: Trial) -> float | None:
        """The time that a trial will take [s], None where none of its kind was run here."""
        seconds = self.per_step.get(_kind(trial.cell))
        return None if seconds is None else seconds * max(1, trial.cell.budget.steps)


def _cells(trials: Iterable[Trial]) -> list[str]:
    cells = dict.fromkeys(trial.cell for trial in trials)
    conditions = ("steps", *(name for name in differing(cells) if name != "steps"))
    return [f"  {describe(cell, conditions)}" for cell in cells]
