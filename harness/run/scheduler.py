"""The driver's end of a Dask scheduler: connected anew, for a while, where that is gone."""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol, cast

from coordbench.harness.core.errors import UsageError

TIMEOUT = 20.0
"""How long a scheduler may take to answer [s]."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


class ClusterLostError(UsageError):
    """The scheduler was away for longer than a run waits for it."""


class Remote(Protocol):
    """A job that was sent to a scheduler."""

    status: str

    def result(self, timeout: float) -> object:
        """What the job gave; raise what it raised."""

    def add_done_callback(self, function: Callable[[Remote], object]) -> None:
        """Call a function, in Dask's one thread for that, when the job has ended or was lost."""


class Client(Protocol):
    """A connection with a scheduler, as `distributed` has it."""

    status: str

    def submit(self, function: Callable[..., object], *arguments: object, **options: object) -> Remote:
        """Send a job."""

    def nthreads(self) -> dict[str, int]:
        """Worker -> how many jobs it does at a time."""

    def close(self, timeout: float) -> None:
        """End the connection."""


class LocalCluster(Protocol):
    """A scheduler of this process."""

    scheduler_address: str


class DaskModule(Protocol):
    """What we use of `distributed`."""

    def Client(self, address: str, *, timeout: float) -> Client:  # noqa: N802
        """Connect with a scheduler."""

    def LocalCluster(self, **options: object) -> contextlib.AbstractContextManager[LocalCluster]:  # noqa: N802
        """Start a scheduler and workers on this machine."""


def dask() -> DaskModule:
    """The package `distributed`; raise UsageError where it is not installed."""
    try:
        return cast(DaskModule, importlib.import_module("distributed"))
    except ModuleNotFoundError as error:
        raise UsageError("--cluster needs dask.distributed; install coordbench[cluster]") from error


class Scheduler:
    """The scheduler at an address, and the connection with it; use it as a context manager."""

    def __init__(self, address: str, patience_seconds: float, say: Callable[[str], None]) -> None:
        self.address, self.patience_seconds, self.say = address, patience_seconds, say
        module = dask()
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # of a lost connection we tell in one line
        try:
            self.client = module.Client(address, timeout=TIMEOUT)
        except (OSError, ValueError) as error:
            expected = "expected an address such as tcp://host:8786"
            raise UsageError(f"no scheduler answers at {address!r}; {expected}") from error
        self._renewing = threading.Lock()
        self._over = threading.Event()

    def __enter__(self) -> Scheduler:
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        _close(self.client)

    def is_gone(self, client: Client) -> bool:
        """Whether a connection is not what jobs go through: broken, or in place of which is another by now."""
        return client is not self.client or client.status != "running"

    def stop_waiting(self) -> None:
        """Wait for no scheduler any more."""
        self._over.set()

    def renew(self, broken: Client) -> None:
        """Connect anew in place of a connection that broke; raise ClusterLostError where that takes too long."""
        with self._renewing:
            if self.client is not broken:
                return  # another job that was lost did it
            if not self._over.is_set():
                self.say(f"scheduler {self.address} is gone; it is waited for {self.patience_seconds:g} s at most")
                _close(broken)
            until, pause = time.monotonic() + self.patience_seconds, _FIRST_PAUSE
            while not self._over.wait(pause):
                left = until - time.monotonic()
                with contextlib.suppress(OSError, ValueError):
                    self.client = dask().Client(self.address, timeout=min(max(left, 1.0), TIMEOUT))
                    self.say(f"scheduler {self.address} is back; what was lost with it is sent again")
                    return
                if left <= 0:
                    self._over.set()
                pause = min(2 * pause, _LONGEST_PAUSE)
        raise ClusterLostError(
            f"the cluster was lost: scheduler {self.address} was away for more than {self.patience_seconds:g} s; "
            "finished records are kept, the same command goes on from them"
        )


def _close(client: Client) -> None:
    with contextlib.suppress(Exception):  # whatever is left of a connection whose other end is gone
        client.close(timeout=TIMEOUT)
