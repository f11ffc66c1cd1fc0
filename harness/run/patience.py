"""What a run does while its store is away: wait and try again; in the end, put its records in a file beside."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sql

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.store.store import Store, StoreError, open_store

T = TypeVar("T")
Finished = tuple[Identity, Record | CostRecord]

FILE = "unstored.records"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_HOPELESS = ("malformed", "not a database", "readonly", "read-only", "no such", "does not exist", "authentication")
_HOPELESS_AT_FIRST = (*_HOPELESS, "unable to open", "resolve host", "translate host")
_CORE = "coordbench.harness.core."
_ALLOWED = {
    *((f"{_CORE}record", name) for name in ("Record", "CostRecord", "CurvePoint")),
    *((f"{_CORE}scores", name) for name in ("At", "Fate", "State")),
    (f"{_CORE}problem", "Sample"),
    (f"{_CORE}identity", "Identity"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((f"numpy.{core}.multiarray", name) for core in ("_core", "core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("_core", "core")),
}


class StoreLostError(UsageError):
    """The store was away for longer than a run waits for it."""

    code = ExitCode.STORE_LOST


@dataclass(frozen=True)
class Patience:
    """Tries for some seconds what a store refuses that is away, locked or full, with growing pauses; says it once."""

    seconds: float
    say: Callable[[str], None]
    meanwhile: str = "training goes on"
    hopeless: tuple[str, ...] = _HOPELESS
    """Words of errors that no waiting mends."""

    def __call__(self, action: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """The value of an action; `again` is what is done from the second time on, when the first may have worked."""
        until, pause, first = time.monotonic() + self.seconds, _FIRST_PAUSE, True
        while True:
            try:
                return action()
            except StoreError as error:
                if not self._may_pass(error):
                    raise
                left = until - time.monotonic()
                if left <= 0:
                    raise StoreLostError(f"{error}; waited {self.seconds:g} s for it") from error
                if first:
                    self.say(f"{error}; {self.meanwhile}, the store is tried again for {left:.0f} s")
            time.sleep(min(pause, left))
            pause, action, first = min(2 * pause, _LONGEST_PAUSE), again or action, False

    def _may_pass(self, error: StoreError) -> bool:
        """Whether a store may take later what it refuses now."""
        cause = error.__cause__
        return isinstance(cause, sql.exc.OperationalError | sql.exc.InterfaceError) and not any(
            word in str(error) for word in self.hopeless
        )


def open_patiently(url: str | None, out: Path, seconds: float) -> Store:
    """Open the store of a run that begins, and wait for one that is away; a name that leads nowhere is told at once."""
    return Patience(seconds, print, "nothing runs yet", _HOPELESS_AT_FIRST)(lambda: open_store(url, out))


def put_aside(path: Path, records: Sequence[Finished]) -> None:
    """Add finished records to a file, whole or not at all."""
    every = [*_read(path), *records]
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(pickle.dumps(every))
    part.replace(path)


def take_up(path: Path, wanted: Sequence[Identity]) -> dict[str, Record | CostRecord]:
    """The records of these identities in a file: digest -> record."""
    digests = {identity.digest for identity in wanted}
    return {identity.digest: record for identity, record in _read(path) if identity.digest in digests}


def forget(path: Path, stored: Sequence[Identity]) -> None:
    """Take records that are stored now out of a file, which goes when it is empty."""
    digests = {identity.digest for identity in stored}
    rest = [(identity, record) for identity, record in _read(path) if identity.digest not in digests]
    path.unlink(missing_ok=True)
    if rest:
        put_aside(path, rest)


def _read(path: Path) -> list[Finished]:
    if not path.is_file():
        return []
    try:
        records: list[Finished] = _Unpickler(io.BytesIO(path.read_bytes())).load()
    except Exception as error:  # whatever the damaged bytes made the reader stumble over
        raise UsageError(f"{path} holds no records ({error}); move it away and run again") from error
    return records


class _Unpickler(pickle.Unpickler):
    """Reads records and their arrays, and runs nothing else."""

    def find_class(self, module: str, name: str) -> object:
        """A class of records; raise UnpicklingError for any other."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a record")
        return super().find_class(module, name)
