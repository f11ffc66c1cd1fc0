"""Store what a run comes to, waiting for a store that is away, and count it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sql

from coordbench.harness.core.errors import describe_error
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import FAILED, CostRecord, Record
from coordbench.harness.core.trial import Job
from coordbench.harness.run import patience
from coordbench.harness.run.patience import Finished, Patience, StoreLostError
from coordbench.harness.run.progress import Listener
from coordbench.harness.store.answers import REUSED, Answer
from coordbench.harness.store.leases import Leases, Share
from coordbench.harness.store.pending import Pending, Planned
from coordbench.harness.store.schema import items
from coordbench.harness.store.store import Store, StoreError

J = TypeVar("J", bound=Job)
Note = Mapping[str, object]
"""What a run notes about a job."""
Noted = tuple[J, Note]
Listed = tuple[Job, Identity, Note]
"""A job, what its record depends on, and what the run notes about it."""

Answered = tuple[int, Identity, Job, Record | CostRecord]
"""The position of an item, what its record depends on, its job and its record."""


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

    def count(self, status: str, *, reused: bool = False) -> None:
        """Count one item more that ended so, by a record of its own or by one that is used again."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.reused += reused


@dataclass(frozen=True)
class Recorder:
    """The one place of a run that writes its store."""

    store: Store
    listener: Listener
    result: Result
    patience: Patience
    unstored: Path | None
    """Where finished records are put that the store does not take, and are taken up from."""
    leases: Leases | None = None
    """What keeps other drivers of this store from our trials; a run that does all anew shares none."""

    def plan(self, listed: Sequence[Listed]) -> Planned:
        """Note the items of a stage in the store."""
        positions = self.patience(lambda: self.store.add_items(self.result.run, listed))
        return {position: (job, known) for position, (job, known, _) in zip(positions, listed, strict=True)}

    def reuse(self, planned: Planned) -> dict[Job, int]:
        """Answer what earlier records can, take it from the plan, and return the number of each one's record."""
        answers: dict[Job, int] = {}
        wanted = [(place, known) for place, (_, known) in planned.items()]
        records = self.patience(lambda: self.store.reuse(self.result.run, wanted))
        for place, (record, status) in records.items():
            answers[planned.pop(place)[0]] = record
            self.result.count(status, reused=True)
        return answers

    def shared(self, pending: Pending, share: Share) -> dict[Job, int]:
        """Count what other drivers of this store have answered; return the number of each one's record."""
        answers: dict[Job, int] = {}
        for place, (record, status) in share.answered.items():
            job = pending.jobs[place][0]
            answers[job] = record
            self.result.count(status, reused=True)
            self.listener.shared(job, status)
        return answers

    def take_up(self, planned: Planned) -> dict[Job, int]:
        """Store what an earlier run could not, and take it from the plan."""
        if self.unstored is None or not self.unstored.is_file():
            return {}
        records = patience.take_up(self.unstored, [known for _, known in planned.values()])
        answers = [(place, known, job, records[known.digest]) for place, (job, known) in planned.items()
                   if known.digest in records]  # fmt: skip
        numbers = self.add(answers)
        for place, *_ in answers:
            del planned[place]
        patience.forget(self.unstored, [known for _, known, _, _ in answers])
        return numbers

    def add(self, answers: list[Answered]) -> dict[Job, int]:
        """Store records in one transaction, then say that they are done; return the number of each job's record."""
        numbers, answers = self._add(answers)
        for _, _, job, record in answers:
            self.result.count(record.status)
            self.listener.done(job, record)
        return {job: number for (_, _, job, _), number in zip(answers, numbers, strict=True)}

    def put_aside(self, error: StoreLostError, records: Sequence[Finished]) -> StoreLostError:
        """Write the records that have finished into a file beside; return the error that says so."""
        finished = [(known, record) for known, record in records if record.status in REUSED]
        if self.unstored is None or not finished:
            return error
        try:
            patience.put_aside(self.unstored, finished)
        except OSError as reason:
            return StoreLostError(f"{error}; {len(finished)} finished records are lost: {describe_error(reason)}")
        return StoreLostError(f"{error}; the next run takes up {len(finished)} finished records from {self.unstored}")

    def note(self, facts: Mapping[str, object]) -> None:
        """Note facts about the run."""
        self.patience(lambda: self.store.note(self.result.run, facts))

    def finish(self) -> None:
        """Note that the run has ended."""
        self.patience(lambda: self.store.finish_run(self.result.run))

    def _add(self, answers: list[Answered]) -> tuple[list[int], list[Answered]]:
        """Store records; where one cannot be stored it becomes an error, and the others are stored."""
        try:
            return self._add_many([(place, known, record) for place, known, _, record in answers]), answers
        except (StoreError, StoreLostError):
            raise
        except Exception as error:  # whatever a task's own values made the store stumble over
            if len(answers) == 1:
                [(place, known, job, record)] = answers
                failure = type(record)("error", f"its record cannot be stored: {describe_error(error)}")
                return self._add_many([(place, known, failure)]), [(place, known, job, failure)]
        added = [self._add([answer]) for answer in answers]
        return [number for numbers, _ in added for number in numbers], [one for _, stored in added for one in stored]

    def _add_many(self, answers: Sequence[Answer]) -> list[int]:
        """Store records, once: a store may have taken them although its word was lost."""

        def add() -> list[int]:
            return self.leases.add_many(answers) if self.leases else self.store.add_many(self.result.run, answers)

        return self.patience(add, lambda: self._numbers(answers) or add())

    def _numbers(self, answers: Sequence[Answer]) -> list[int]:
        """The records that answer items of the run, where they are stored already."""
        places = [place for place, _, _ in answers]
        wanted = (items.c.run == self.result.run) & items.c.position.in_(places) & items.c.record.is_not(None)
        known = {row.position: row.record for row in self.store.read(sql.select(items).where(wanted))}
        return [known[place] for place in places] if known else []
