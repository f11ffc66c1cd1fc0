"""Answer jobs over an executor, each by an earlier record or by the work of a fresh process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from coordbench.harness.core.errors import describe_error
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.core.trial import CostJob, Job, Trial
from coordbench.harness.process import environment
from coordbench.harness.run import counts, identity
from coordbench.harness.run.cluster import ClusterExecutor, OtherCodeError
from coordbench.harness.run.patience import StoreLostError
from coordbench.harness.run.recorder import Noted, Recorder
from coordbench.harness.run.scheduler import ClusterLostError
from coordbench.harness.run.worker import Limits, work
from coordbench.harness.store.pending import Pending, Planned
from coordbench.harness.training import repeat

Arrival = Future[Record | CostRecord]
Waiting = dict[Arrival, tuple[int, Identity, Job]]

_BATCH = 500
"""Records in one transaction at most, so that a crowd of them is reported in time and need not stay in memory."""


@dataclass(frozen=True)
class Stage:
    """How the jobs of a run are answered."""

    recorder: Recorder
    executor: Executor
    limits: Limits
    plugins: tuple[str, ...] = ()
    fresh: bool = False
    """Whether every job is done again, whatever is in the store."""
    checkpoints: Path | None = None
    workers: int = 1
    costs: tuple[CostJob, ...] = ()
    """What the run measures: other cells have their parameters and FLOPs counted with a trial."""

    def answer(self, name: str, jobs: Iterable[Noted[Job]]) -> dict[Job, int]:
        """Answer jobs, by earlier records where their identity is known; return the number of each one's record."""
        planned = self.recorder.plan([(job, _identify(job), dict(note)) for job, note in jobs])
        answers = {} if self.fresh else self.recorder.reuse(planned)
        self.recorder.listener.expect(name, len(planned), len(answers))
        answers |= {} if self.fresh else self.recorder.take_up(planned)
        return answers | self._work(planned)

    def _work(self, planned: Planned) -> dict[Job, int]:
        answers: dict[Job, int] = {}
        arrived: SimpleQueue[Arrival] = SimpleQueue()
        waiting: Waiting = {}
        jobs = [job for job, _ in planned.values()]
        repeated, counted = repeat.chosen(jobs), counts.chosen(jobs, self.costs)
        pending = Pending(planned, self.recorder.leases, self._slots())
        try:
            while True:
                if pending.wants(len(waiting)):
                    share = self.recorder.patience(lambda: pending.turn(len(waiting)))
                    answers |= self.recorder.shared(pending, share)
                    for place, (job, known) in pending.note(share).items():
                        limits = replace(self._limits(job, known), repeat=job in repeated, count=job in counted)
                        future = self.executor.submit(work, job, self.plugins, limits)
                        waiting[future] = place, known, job
                        future.add_done_callback(arrived.put)
                if not waiting and not pending.jobs:
                    return answers
                ready = _take(arrived, pending.look_seconds)
                answers |= self._commit({future: waiting[future] for future in ready})
                for future in ready:
                    del waiting[future]
        except StoreLostError as error:
            finished = [(known, future.result()) for future, (_, known, _) in waiting.items() if _finished(future)]
            raise self.recorder.put_aside(error, finished) from error

    def _commit(self, ready: Waiting) -> dict[Job, int]:
        """Store what has arrived in one transaction."""
        lost = [one for one in ready if isinstance(one.exception(), (OtherCodeError, ClusterLostError))]
        arrived = [(*ready[one], _record(one, ready[one][-1])) for one in ready if one not in lost]
        numbers = self.recorder.add(arrived) if arrived else {}
        for future in lost:
            future.result()
        return numbers

    def _slots(self) -> int:
        """How many jobs run at a time."""
        return self.executor.slots if isinstance(self.executor, ClusterExecutor) else self.workers

    def _limits(self, job: Job, identified: Identity) -> Limits:
        """A trial keeps its checkpoint under its identity, so that other code never takes it up."""
        if self.checkpoints is None or isinstance(job, CostJob) or job.cell.reference is not None:
            return self.limits
        return replace(self.limits, checkpoint=self.checkpoints / f"{identified.digest}.pt")


def plain(jobs: Sequence[Job]) -> list[Noted[Job]]:
    """Jobs about which a run notes nothing."""
    return [(job, {}) for job in jobs]


def _take(arrived: SimpleQueue[Arrival], seconds: float | None) -> list[Arrival]:
    """Wait for one future, for some seconds, and take all that have arrived by then."""
    ready: list[Arrival] = []
    with suppress(Empty):
        ready.append(arrived.get(timeout=seconds))
        while len(ready) < _BATCH:
            ready.append(arrived.get_nowait())
    return ready


def _identify(job: Job) -> Identity:
    return identity.of_trial(job) if isinstance(job, Trial) else identity.of_cost(job)


def _record(future: Arrival, job: Job) -> Record | CostRecord:
    """The record of a finished job; what went wrong outside its own process is a record too."""
    error = future.exception()
    if error is None:
        return future.result()
    kind = Record if isinstance(job, Trial) else CostRecord
    return kind("crashed", describe_error(error), environment=environment.describe(job.cell.device))


def _finished(future: Arrival) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
