"""Records of other stores: opened wherever they lie, and taken up by a run."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.store.address import file_of, parse
from coordbench.harness.store.store import Store
from coordbench.harness.store.travel import submission
from coordbench.harness.store.travel.archive import open_archive
from coordbench.harness.store.travel.manifest import is_archive
from coordbench.harness.store.travel.merge import merge


@contextlib.contextmanager
def opened(source: str) -> Iterator[Store]:
    """A source of records: a folder of them, a folder of results, an SQLite file, or a URL."""
    path = Path(source)
    path = path / submission.RECORDS if submission.is_submission(path) else path
    if is_archive(path):
        with open_archive(path) as archive:
            yield archive
        return
    if path.is_dir() and (path / "results.sqlite").is_file():
        path = path / "results.sqlite"
    address = parse(f"sqlite:///{path}") if path.is_file() else None
    if address is None and "://" not in source:
        raise UsageError(f"{source!r} is no source of records; give a folder of records, a store's file or its URL")
    if address is None and (file := file_of(parse(source))) is not None and not file.is_file():
        raise UsageError(f"there is no store {str(file)!r}")
    with Store(address or source) as store:
        yield store


@contextlib.contextmanager
def planned_with(sources: Sequence[str], store: Store, say: Callable[[str], None]) -> Iterator[Store]:
    """The records of a store and of sources together, to plan by: in a file that is thrown away afterwards."""
    if not sources:
        yield store
        return
    with tempfile.TemporaryDirectory() as folder, Store(f"sqlite:///{folder}/planned.sqlite") as both:
        merge(store, both)
        take_up(sources, both, say)
        yield both


def take_up(sources: Sequence[str], store: Store, say: Callable[[str], None]) -> None:
    """Copy the records of sources, not their runs, so that a run finds them as if they were its store's."""
    for source in sources:
        with opened(source) as other:
            item = merge(other, store, with_runs=False)
        say(f"{source}: {item.records} records may be used, {item.equal} were there")
        for job in item.altered:
            say(f"  not used, its numbers are no longer what was stored: {job}")
