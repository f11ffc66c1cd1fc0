"""Run trials on a Dask cluster: workers isolate each trial as the driver would, only the driver writes the store."""

from __future__ import annotations

import functools
import hashlib
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.core.sources import digest, source_digest
from coordbench.harness.core.trial import Job
from coordbench.harness.process import environment
from coordbench.harness.process.settings import WORKER
from coordbench.harness.run.scheduler import Client, ClusterLostError, Remote, Scheduler, dask
from coordbench.harness.run.sources import files
from coordbench.harness.run.worker import Limits, work

_FETCH_SECONDS = 60.0
"""How long a result may take from its worker; its job is sent again otherwise."""

T = TypeVar("T")


@dataclass(frozen=True)
class Bundle:
    """The source of plug-ins and of what lies beside them and is imported, so that it reaches every worker."""

    plugins: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]

    def unpack(self, folder: Path) -> list[str]:
        """Write the texts below `folder`, named by their content; return the plug-ins' paths."""
        home = folder / f"plugins-{hashlib.sha256(repr(self.texts).encode()).hexdigest()[:16]}"
        for name, text in self.texts:
            path = home / name
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        return [str(home / name) for name in self.plugins]


def bundle(plugins: Sequence[str]) -> Bundle:
    """Pack plug-ins with their helpers; each plug-in's folder is kept apart by its place in the list."""
    names: list[str] = []
    texts: dict[str, str] = {}
    for place, plugin in enumerate(plugins):
        path = Path(plugin).resolve()
        beside = [file for file in files.closure(frozenset([path])) if file.is_relative_to(path.parent)]
        texts |= {f"{place}/{file.relative_to(path.parent)}": file.read_text(encoding="utf-8") for file in beside}
        names.append(f"{place}/{path.name}")
    return Bundle(tuple(names), tuple(sorted(texts.items())))


class OtherCodeError(UsageError):
    """A worker whose code is not the driver's."""


@functools.cache
def proof() -> dict[str, str]:
    """What must be equal on driver and worker for their records to be one run's: code, settings, versions."""
    code = {files.short(path): source_digest(path) for path in sorted(files.all_of_ours())}
    versions = environment.versions() | {"python": platform.python_version()}
    return {"code": digest(code)[:12], "settings": digest(WORKER.parts())[:12], "libraries": digest(versions)[:12]}


def work_remotely(job: Job, packed: Bundle, limits: Limits, wanted: dict[str, str]) -> Record | CostRecord:
    """Do a job on a cluster's worker, with the plug-ins unpacked in the folder that ends with it.

    A worker whose code, settings or libraries are not the driver's does nothing and says so by an OtherCodeError.
    """
    from distributed import get_worker

    if (here := proof()) != wanted:
        names = ", ".join(name for name in wanted if wanted[name] != here[name])
        raise OtherCodeError(
            f"worker {get_worker().address} has other {names} than the driver: {_show(here)} there, {_show(wanted)} "
            "here; install the same version of coordbench and its libraries on both"
        )
    return work(job, packed.unpack(Path(get_worker().local_directory)), limits)


def _show(proof: dict[str, str]) -> str:
    return " ".join(f"{name} {value}" for name, value in proof.items())


Work = tuple[Job, tuple[str, ...], Limits]
"""What a stage sends to its executor: a job, its plug-ins, and its limits."""
Message = tuple[Job, Bundle, Limits, dict[str, str]]
"""The same as a worker gets it, with the proof that it must hold."""


class ClusterExecutor(Executor):
    """An executor over a Dask scheduler; jobs for a GPU go to workers that offer the resource `GPU`.

    Where the scheduler is gone, or a result with its worker, the job is sent again.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.packed: dict[tuple[str, ...], Bundle] = {}
        self._over = threading.Event()

    @property
    def slots(self) -> int:
        """How many jobs the workers do at a time; one where none has come yet, or the scheduler is gone."""
        try:
            return max(1, sum(self.scheduler.client.nthreads().values()))
        except OSError:
            return 1

    def submit(self, function: Callable[..., T], /, *arguments: object, **keywords: object) -> Future[T]:
        """Send a job; its function is `work_remotely` whatever the local one is."""
        job, plugins, limits = cast(Work, arguments)
        packed = self.packed.setdefault(plugins, bundle(plugins))
        future: Future[T] = Future()
        self._send(future, (job, packed, limits, proof()))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Send nothing again; the connection's end takes back what has not ended, the cluster itself stays."""
        self._over.set()
        self.scheduler.stop_waiting()

    def _send(self, future: Future[T], message: Message) -> None:
        """Send a job, to the next connection where this one is gone."""
        options = {"resources": {"GPU": 1}} if message[0].cell.device.startswith("cuda") else {}
        client = self.scheduler.client
        try:
            remote = client.submit(work_remotely, *message, pure=False, **options)
            remote.add_done_callback(lambda remote: self._take(future, message, client, remote))
        except Exception:
            if not self.scheduler.is_gone(client):
                raise
            self._send_anew(future, message, client)

    def _take(self, future: Future[T], message: Message, client: Client, remote: Remote) -> None:
        """Hand on what a job came to, or send it again; runs in Dask's one thread for that."""
        if remote.status == "cancelled":  # Dask does so where the connection is gone
            self._send_anew(future, message, client)
            return
        try:
            future.set_result(cast(T, remote.result(timeout=_FETCH_SECONDS)))
        except BaseException as error:
            if remote.status == "error":
                future.set_exception(error)
            elif self.scheduler.is_gone(client):
                self._send_anew(future, message, client)
            elif isinstance(error, OSError | CancelledError):  # the worker that held the result is gone
                self._send(future, message)
            else:
                future.set_exception(error)

    def _send_anew(self, future: Future[T], message: Message, broken: Client) -> None:
        """Send a job once there is a connection again; end it where there is none."""
        if self._over.is_set():
            future.cancel()
            return
        try:
            self.scheduler.renew(broken)
        except ClusterLostError as error:
            future.set_exception(error)
        else:
            self._send(future, message)


@contextmanager
def connect(address: str, patience_seconds: float, say: Callable[[str], None]) -> Iterator[ClusterExecutor]:
    """An executor over the scheduler at `address`, or over `local:N` worker processes of this machine.

    `patience_seconds` is how long a scheduler is waited for that went away; the wait is told to `say`.
    """
    with ExitStack() as stack:
        if address.startswith("local:"):
            count = address.removeprefix("local:")
            if not count.isdecimal() or int(count) < 1:
                raise UsageError(f"cluster {address!r} is not valid; write local:N with N of at least 1, or an address")
            options = {"n_workers": int(count), "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
            address = stack.enter_context(dask().LocalCluster(**options)).scheduler_address
        yield ClusterExecutor(stack.enter_context(Scheduler(address, patience_seconds, say)))
