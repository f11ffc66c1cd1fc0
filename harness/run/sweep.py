"""Turn a plan into records over any executor; only the driver writes the store."""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import sqlalchemy as sql

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError, describe_error
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import FAILED, CostRecord, Record
from coordbench.harness.core.trial import CostJob, Job, Trial
from coordbench.harness.plan.planning import Plan, with_rate
from coordbench.harness.plan.preset import Preset
from coordbench.harness.process import environment, isolate
from coordbench.harness.run import files, identity, patience
from coordbench.harness.run.cluster import OtherCodeError
from coordbench.harness.run.patience import Patience, StoreLostError
from coordbench.harness.run.progress import Listener
from coordbench.harness.run.rates import Tuner, extra_trials
from coordbench.harness.run.worker import Limits, work
from coordbench.harness.store.answers import REUSED, Answer
from coordbench.harness.store.schema import items
from coordbench.harness.store.store import Store, StoreError
from coordbench.harness.training.partial import remove_left

T = TypeVar("T")

Noted = tuple[Job, Mapping[str, Any]]
"""A job and what this run notes about it."""

Answered = tuple[int, Identity, Job, Record | CostRecord]
"""The position of an item, what its record depends on, its job and its record."""

_OUTSTANDING = 2000
"""Jobs that are handed to the executor and whose records may wait in memory, when the store is away."""

_BATCH = 500
"""Records in one transaction at most, so that a crowd of them is told of in time and need not be kept."""


@dataclass
class Result:
    """What a run came to: its name and how many items ended how."""

    run: str
    statuses: dict[str, int] = field(default_factory=dict)
    reused: int = 0

    @property
    def failed(self) -> int:
        """How many items failed."""
        return sum(self.statuses.get(status, 0) for status in FAILED)

    @property
    def measured(self) -> int:
        """How many items have a record."""
        return sum(self.statuses.values())


@dataclass(frozen=True)
class Driver:
    """Everything a sweep needs beside its plan."""

    store: Store
    listener: Listener
    workers: int = 2
    executor: Executor | None = None
    plugins: Sequence[str] = ()
    fresh: bool = False
    command: str = "coordbench run"
    checkpoints: Path | None = None
    patience_seconds: float = 300.0
    """How long a store that is away is waited for."""
    unstored: Path | None = None
    """Where finished records are put that the store does not take, and are taken up from."""
    say: Callable[[str], None] = print

    def run(self, plan: Plan) -> Result:
        """Run a plan to its end; on KeyboardInterrupt end the workers and raise it again, records kept."""
        memory = int(min(plan.preset.memory_gib * 2**30, sys.maxsize))
        chosen = plan.preset
        sources = identity.of_plugins(self.plugins)
        if self.checkpoints is not None:
            remove_left(self.checkpoints)
        limits = Limits(chosen.deadline_seconds, memory, None, chosen.checkpoint_seconds, chosen.cost_seconds, sources)
        facts: dict[str, Any] = {
            "preset": asdict(chosen),
            "tasks": _task_facts(plan),
            "variants": _facts_of_variants(plan),
        }
        facts["files"] = _files(chosen, self.plugins)
        device = next((cell.device for cell in _cells(plan)), "cpu")
        run = self.store.start_run(plan.preset.name, self.command, environment.describe(device), facts)
        result = Result(run)
        executor = self.executor or ThreadPoolExecutor(self.workers, thread_name_prefix="worker")
        try:
            trials = self._tune(plan, result, executor, limits)
            self._stage(sorted(trials, key=lambda item: _by_seed(item[0])), result, executor, limits)
            self._stage(_plain(plan.costs), result, executor, limits)
        except BaseException:
            isolate.stop()
            raise
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
        self._patiently(lambda: self.store.finish_run(run))
        return result

    def _tune(self, plan: Plan, result: Result, executor: Executor, limits: Limits) -> list[Noted]:
        """Run the tuning trials and give every tuned trial the rate its variant chose; extend the grid once for all.

        A tuned trial may come to equal one whose rate the preset fixes: both stay, each with its own note.
        """
        if not plan.tuning:
            return [(trial, plan.notes.get(trial, {})) for trial in plan.trials]
        numbers = self._stage(_plain(plan.tuning), result, executor, limits)
        tuner = Tuner.of(plan, self.store)
        more = tuner.extensions(numbers)
        numbers = numbers | self._stage(_plain(extra_trials(more)), result, executor, limits)
        choices = tuner.choices(more, numbers)
        trials: list[Noted] = []
        for trial in plan.trials:
            note = dict(plan.notes.get(trial, {}))
            choice = choices[trial.cell] if trial in plan.rates else None
            if choice is not None:
                trial = with_rate(trial, choice.rate)
                note["tuning"] = asdict(choice)
            trials.append((trial, note))
        return trials

    def _stage(self, jobs: Iterable[Noted], result: Result, executor: Executor, limits: Limits) -> dict[Job, int]:
        """Answer jobs, by earlier records where their identity is known; return the number of each one's record."""
        listed = [(job, _identify(job), dict(note)) for job, note in jobs]
        positions = self._patiently(lambda: self.store.add_items(result.run, listed))
        planned = {place: (job, known) for place, (job, known, _) in zip(positions, listed, strict=True)}
        answers = {} if self.fresh else self._reuse(planned, result)
        self.listener.expect(len(planned), len(answers))
        arrived: SimpleQueue[Future[Any]] = SimpleQueue()
        waiting: dict[Future[Any], tuple[int, Identity, Job]] = {}
        answers |= {} if self.fresh else self._take_up(planned, result)
        queue = iter(planned.items())
        try:
            while True:
                for place, (job, known) in itertools.islice(queue, _OUTSTANDING - len(waiting)):
                    future = executor.submit(work, job, tuple(self.plugins), self._limits(job, known, limits))
                    waiting[future] = place, known, job
                    future.add_done_callback(arrived.put)
                if not waiting:
                    return answers
                ready = _take(arrived)
                answers |= self._commit([(*waiting[future], future) for future in ready], result)
                for future in ready:
                    del waiting[future]
        except StoreLostError as error:
            raise self._put_aside(error, waiting) from error

    def _put_aside(
        self, error: StoreLostError, waiting: Mapping[Future[Any], tuple[int, Identity, Job]]
    ) -> StoreLostError:
        """Write the records that have finished into a file beside; return the error that says so."""
        ended = [
            (known, future) for future, (_, known, _) in waiting.items() if future.done() and not future.cancelled()
        ]
        records = [(known, future.result()) for known, future in ended if not _failed(future)]
        finished = [(known, record) for known, record in records if record.status in REUSED]
        if self.unstored is None or not finished:
            return error
        try:
            patience.put_aside(self.unstored, finished)
        except OSError as reason:
            return StoreLostError(f"{error}; {len(finished)} finished records are lost: {describe_error(reason)}")
        return StoreLostError(f"{error}; the next run takes up {len(finished)} finished records from {self.unstored}")

    def _take_up(self, planned: dict[int, tuple[Job, Identity]], result: Result) -> dict[Job, int]:
        """Store what an earlier run could not, and take it from the plan."""
        if self.unstored is None or not self.unstored.is_file():
            return {}
        records = patience.take_up(self.unstored, [known for _, known in planned.values()])
        answers = [(place, known, job, records[known.digest]) for place, (job, known) in planned.items()
                   if known.digest in records]  # fmt: skip
        numbers = self._note_done(answers, result)
        for place, *_ in answers:
            del planned[place]
        patience.forget(self.unstored, [known for _, known, _, _ in answers])
        return numbers

    def _note_done(self, answers: list[Answered], result: Result) -> dict[Job, int]:
        """Store records, then say that they are done; return the number of each job's record."""
        numbers, answers = self._add(result.run, answers)
        for _, _, job, record in answers:
            _count(result, record.status)
            self.listener.done(job, record)
        return {job: number for (_, _, job, _), number in zip(answers, numbers, strict=True)}

    def _patiently(self, action: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        return Patience(self.patience_seconds, self.say)(action, again)

    def _reuse(self, planned: dict[int, tuple[Job, Identity]], result: Result) -> dict[Job, int]:
        """Answer what earlier records can, take it from the plan, and return the number of each one's record."""
        answers: dict[Job, int] = {}
        wanted = [(place, known) for place, (_, known) in planned.items()]
        records = self._patiently(lambda: self.store.reuse(result.run, wanted))
        for place, (record, status) in records.items():
            answers[planned.pop(place)[0]] = record
            result.reused += 1
            _count(result, status)
        return answers

    def _commit(self, ready: list[tuple[int, Identity, Job, Future[Any]]], result: Result) -> dict[Job, int]:
        """Store what has arrived in one transaction, then say that it is done."""
        lost = [future for *_, future in ready if future.cancelled() or isinstance(future.exception(), OtherCodeError)]
        kept = [(place, known, job, _record(future, job)) for place, known, job, future in ready if future not in lost]
        numbers = self._note_done(kept, result)
        for error in (future.exception() for future in lost if not future.cancelled()):
            raise UsageError(str(error))
        if lost:  # nobody here cancels, so the scheduler did, or is gone
            raise UsageError("the cluster was lost; finished records are kept, the same command goes on from them")
        return numbers

    def _add(self, run: str, answers: list[Answered]) -> tuple[list[int], list[Answered]]:
        """Store records in one transaction; where one cannot be stored it becomes an error, and the others are kept."""
        try:
            return self._add_many(run, [(place, known, record) for place, known, _, record in answers]), answers
        except (StoreError, StoreLostError):
            raise
        except Exception as error:  # whatever a task's own values made the store stumble over
            if len(answers) == 1:
                [(place, known, job, record)] = answers
                told_of = type(record)("error", f"its record cannot be stored: {describe_error(error)}")
                return self._add_many(run, [(place, known, told_of)]), [(place, known, job, told_of)]
        added = [self._add(run, [answer]) for answer in answers]
        return [number for numbers, _ in added for number in numbers], [one for _, kept in added for one in kept]

    def _add_many(self, run: str, answers: Sequence[Answer]) -> list[int]:
        """Store records, once: a store may have taken them although its word was lost."""
        return self._patiently(
            lambda: self.store.add_many(run, answers),
            lambda: self._numbers(run, answers) or self.store.add_many(run, answers),
        )

    def _numbers(self, run: str, answers: Sequence[Answer]) -> list[int]:
        """The records that answer items of a run, where they are stored already."""
        places = [place for place, _, _ in answers]
        wanted = (items.c.run == run) & items.c.position.in_(places) & items.c.record.is_not(None)
        known = {row.position: row.record for row in self.store.read(sql.select(items).where(wanted))}
        return [known[place] for place in places] if known else []

    def _limits(self, job: Job, identified: Identity, limits: Limits) -> Limits:
        """A trial keeps its checkpoint under its identity, so that other code never takes it up."""
        if self.checkpoints is None or isinstance(job, CostJob) or job.cell.reference is not None:
            return limits
        return replace(limits, checkpoint=self.checkpoints / f"{identified.digest}.pt")


def _plain(jobs: Iterable[Job]) -> list[Noted]:
    return [(job, {}) for job in jobs]


def _take(arrived: SimpleQueue[Future[Any]]) -> list[Future[Any]]:
    """Wait for one future, and take all that have arrived by then."""
    ready = [arrived.get()]
    with suppress(Empty):
        while len(ready) < _BATCH:
            ready.append(arrived.get_nowait())
    return ready


def _by_seed(job: Job) -> int:
    """All cells with one seed before any with the next, so that an interrupted run has seen every cell."""
    return job.seed if isinstance(job, Trial) else 0


def _identify(job: Job) -> Identity:
    return identity.of_trial(job) if isinstance(job, Trial) else identity.of_cost(job)


def _record(future: Future[Any], job: Job) -> Record | CostRecord:
    """The record of a finished job; what went wrong outside its own process is a record too."""
    error = future.exception()
    if error is None:
        record: Record | CostRecord = future.result()
        return record
    kind = Record if isinstance(job, Trial) else CostRecord
    return kind("crashed", describe_error(error), environment=environment.describe(job.cell.device))


def _failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


def _count(result: Result, status: str) -> None:
    result.statuses[status] = result.statuses.get(status, 0) + 1


def _files(preset: Preset, plugins: Sequence[str]) -> list[dict[str, str]]:
    """What made the run, whole and with its digest: the preset's TOML and the plug-ins' sources."""
    texts = {f"{preset.name}.toml": preset.text} if preset.text else {}
    texts |= {Path(plugin).name: Path(plugin).read_text(encoding="utf-8", errors="replace") for plugin in plugins}
    return [{"name": name, "digest": _sha256(text), "text": text} for name, text in texts.items()]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _task_facts(plan: Plan) -> dict[str, Any]:
    """What the reports need to know of each task, so that they need not import it."""
    facts = {}
    for task in {str(trial.cell.task) for trial in plan.trials}:
        chosen = registry.select("task", task)
        entry = chosen.entry
        facts[task] = {
            "name": entry.name,
            "suite": entry.suite,
            "metrics": [asdict(metric) for metric in entry.metrics],
            "source": entry.source,
            "summary": entry.summary,
            "references": {e.name: e.bound for e in registry.references(task)},
        } | entry.describe(chosen.all_options).plain()
    return facts


def _cells(plan: Plan) -> list[Cell]:
    return [trial.cell for trial in plan.trials] + [job.cell for job in plan.costs]


def _facts_of_variants(plan: Plan) -> dict[str, Any]:
    return variant_facts({str(cell.variant) for cell in _cells(plan) if cell.variant})


def variant_facts(variants: Iterable[str]) -> dict[str, Any]:
    """Selector -> what the reports need to know of each variant."""
    facts = {}
    for variant in variants:
        entry = registry.select("variant", variant).entry
        facts[variant] = entry.plain | {"summary": entry.summary, "file": files.short(Path(entry.file))}
    return facts
