"""One side of a comparison: a process that stands in a source tree, imports only from there and answers requests."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coordbench
from coordbench.harness.gate import probe
from coordbench.harness.process.settings import WORKER

_INSTALLED = Path(coordbench.__file__).resolve().parent.parent


class SideError(Exception):
    """A side could not answer; the message names the side and the reason."""

    def __init__(self, side: str, reason: str) -> None:
        super().__init__(f"the {side} side {reason}")
        self.side, self.reason = side, reason


class LayerError(SideError):
    """The side answered with an exception: its code is wrong, not its process."""


@dataclass(frozen=True)
class Tree:
    """A source tree to be measured: `base` or `candidate`, its folder, and a folder for what its processes print."""

    name: str
    folder: Path
    scratch: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes: imports from this tree first, then from where this gate is installed."""
        beside = [] if _INSTALLED.name.endswith("-packages") else [_INSTALLED]
        path = os.pathsep.join(map(str, (self.folder, *beside)))
        return {**os.environ, **WORKER.variables(), "PYTHONPATH": path}

    @property
    def holds_harness(self) -> bool:
        """Whether this is a tree of this project itself, whose own layers are compared."""
        return (self.folder / "coordbench" / "harness" / "core" / "registry.py").is_file()


class Side:
    """A running process of a tree; use `running` to have it ended."""

    def __init__(self, tree: Tree, deadline: float) -> None:
        self.tree, self.deadline = tree, deadline
        script = tree.scratch / "probe.py"
        if not script.is_file():
            script.write_text(Path(probe.__file__).read_text(encoding="utf-8"), encoding="utf-8")
        self.log = tree.scratch / f"{tree.name}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(script)], cwd=tree.folder, env=tree.environment, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self.pending = b""

    def send(self, do: str, **arguments: Any) -> None:
        """Send a request; `receive` waits for its answer."""
        with contextlib.suppress(BrokenPipeError):  # `receive` finds out how it died
            self._stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self._stdin.flush()

    def receive(self) -> Any:
        """The answer to the last request; raise LayerError for an exception, SideError for a death or a hang."""
        answer: Mapping[str, Any] = json.loads(self._line())
        if "error" in answer:
            raise LayerError(self.tree.name, f"raised {answer['error']}")
        return answer["ok"]

    def ask(self, do: str, **arguments: Any) -> Any:
        """Send a request and wait for its answer."""
        self.send(do, **arguments)
        return self.receive()

    def close(self) -> None:
        """End the process and all it started."""
        end(self.process)
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self.log.unlink(missing_ok=True)

    @property
    def _stdin(self) -> Any:
        return self.process.stdin

    def _line(self) -> bytes:
        until = time.monotonic() + self.deadline
        with selectors.DefaultSelector() as selector:
            assert self.process.stdout is not None
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.pending:
                if not selector.select(max(until - time.monotonic(), 0.0)):
                    raise SideError(self.tree.name, f"did not answer within {self.deadline:g} s")
                chunk = os.read(self.process.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise SideError(self.tree.name, self._death())
                self.pending += chunk
        line, _, self.pending = self.pending.partition(b"\n")
        return line

    def _death(self) -> str:
        code = self.process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        said = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return how + (f": {said[-1][:300]}" if said else "")


def end(process: subprocess.Popen[Any]) -> None:
    """End a process that leads a session, and all that it started, and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def running(*trees: Tree, deadline: float) -> Iterator[tuple[Side, ...]]:
    """Processes of trees, started together, ended at the end."""
    sides: list[Side] = []
    try:
        for tree in trees:
            sides.append(Side(tree, deadline))
        yield tuple(sides)
    finally:
        for side in sides:
            side.close()
