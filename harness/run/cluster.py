"""Run trials on a Dask cluster: workers isolate each trial as the driver would, only the driver writes the store."""

from __future__ import annotations

import functools
import hashlib
import importlib
import platform
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.core.sources import digest, source_digest
from coordbench.harness.core.trial import Job
from coordbench.harness.process import environment
from coordbench.harness.process.settings import WORKER
from coordbench.harness.run.sources import files
from coordbench.harness.run.worker import Limits, work

TIMEOUT = "20s"
"""How long a scheduler may take to answer."""


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


class ClusterExecutor(Executor):
    """An executor over a Dask client; jobs for a GPU go to workers that offer the resource `GPU`."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.packed: dict[tuple[str, ...], Bundle] = {}
        self.plain = client.get_executor(pure=False)
        self.gpu = client.get_executor(pure=False, resources={"GPU": 1})

    @property
    def slots(self) -> int:
        """How many jobs the workers do at a time; one where none has come yet."""
        threads: dict[str, int] = self.client.nthreads()
        return max(1, sum(threads.values()))

    def submit(self, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
        """Send a job; its function is `work_remotely` whatever the local one is."""
        job, plugins, limits = arguments
        packed = self.packed.setdefault(plugins, bundle(plugins))
        chosen = self.gpu if job.cell.device.startswith("cuda") else self.plain
        return chosen.submit(work_remotely, job, packed, limits, proof(), **keywords)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel what has not ended; the cluster itself stays."""
        for executor in (self.plain, self.gpu):
            executor.shutdown(wait=False)


@contextmanager
def connect(address: str) -> Iterator[ClusterExecutor]:
    """An executor over the scheduler at `address`, or over `local:N` worker processes of this machine."""
    try:
        distributed: Any = importlib.import_module("distributed")
    except ModuleNotFoundError as error:
        raise UsageError("--cluster needs dask.distributed; install coordbench[cluster]") from error
    if address.startswith("local:"):
        count = address.removeprefix("local:")
        if not count.isdecimal() or int(count) < 1:
            raise UsageError(f"cluster {address!r} is not valid; write local:N with N of at least 1, or an address")
        options = {"n_workers": int(count), "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
        with distributed.LocalCluster(**options) as local, distributed.Client(local) as client:
            yield ClusterExecutor(client)
        return
    try:
        client = distributed.Client(address, timeout=TIMEOUT)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(f"no scheduler answers at {address!r}; expected an address such as tcp://host:8786") from error
    with client:
        yield ClusterExecutor(client)
