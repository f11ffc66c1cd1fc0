"""The runs of record of a folder such as `results/`, read, with what is stale in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.store.travel import verified
from coordbench.harness.store.travel.archive import NAMES, open_archive
from coordbench.harness.store.travel.manifest import is_archive, read_manifest
from coordbench.harness.store.travel.verified import Verification
from coordbench.reports.claims.across import Answer, answers
from coordbench.reports.data.run import Run, load
from coordbench.reports.records.exact import ExactCount, read_counts

SUBMISSIONS = "submissions"
"""The folder, beside the runs of record, of what others have sent."""


@dataclass(frozen=True)
class RunOfRecord:
    """A run whose records lie in the repository."""

    name: str
    run: Run
    note: str
    bytes: int
    verifications: Sequence[Verification] = ()
    stale: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The identity of a row -> what changed since it was made."""

    @property
    def rows(self) -> int:
        """Trials and measurements of costs."""
        return len(self.run.tables.trials) + len(self.run.tables.costs)

    @property
    def verified(self) -> int:
        """How many of its rows were trained again, with equal results."""
        return len({note.identity for note in self.verifications if note.answer in ("verified", "within tolerance")})

    @cached_property
    def machine(self) -> str:
        """The processor that it ran on."""
        facts = self.run.environment
        return ", ".join(dict.fromkeys(facts.loc[facts["name"] == "processor", "value"].astype(str)))


@dataclass(frozen=True)
class Records:
    """All runs of record, and the exact claims as they were counted."""

    folder: Path
    runs: Mapping[str, RunOfRecord]
    counts: Sequence[ExactCount] = ()
    submissions: Sequence[str] = ()

    def run(self, name: str) -> RunOfRecord:
        """A run of record by its name; raise UsageError where there is none."""
        if name not in self.runs:
            raise UsageError(f"{self.folder} holds no run of record {name!r}; valid: {', '.join(sorted(self.runs))}")
        return self.runs[name]

    @cached_property
    def answers(self) -> Sequence[Answer]:
        """What the runs say to each claim."""
        return answers({name: record.run for name, record in self.runs.items()})

    @property
    def stale(self) -> int:
        """How many rows have changed sources."""
        return sum(len(record.stale) for record in self.runs.values())


@contextlib.contextmanager
def opened_records(folder: Path, stale: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[Records]:
    """Read every run of record of a folder; `stale` says by run which rows changed."""
    with contextlib.ExitStack() as stack:
        runs = {}
        for path in folders(folder):
            store = stack.enter_context(open_archive(path))
            note = read_manifest(path, NAMES).note
            size = sum(file.stat().st_size for file in path.iterdir())
            notes = verified.read(path)
            runs[path.name] = RunOfRecord(path.name, load(store=store), note, size, notes, stale.get(path.name, {}))
        sent = sorted(path.name for path in (folder / SUBMISSIONS).glob("*") if is_archive(path / "records"))
        yield Records(folder, runs, read_counts(folder), sent)


def folders(folder: Path) -> list[Path]:
    """The folders of records in a folder, by their names."""
    return sorted(path for path in folder.iterdir() if is_archive(path)) if folder.is_dir() else []
