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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from coordbench.harness.gate import shipping
from coordbench.harness.gate.side.messages import Case, Chosen, Described, Facts, Json, Layer, PlannedTrial
from coordbench.harness.process.settings import WORKER
from coordbench.harness.profiling.recorded.fingerprint import Entry, Fingerprint

_INSTALLED = Path(str(sys.modules["coordbench"].__file__)).resolve().parent.parent
_OTHER_HARNESS = ("AttributeError", "ImportError", "ModuleNotFoundError", "TypeError", "KeyError")
"""What asking a harness of another form raises."""


class SideError(Exception):
    """A side could not answer; the message names the side and the reason."""

    def __init__(self, side: str, reason: str, kind: str = "") -> None:
        super().__init__(f"the {side} side {reason}")
        self.side, self.reason, self.kind = side, reason, kind


class LayerError(SideError):
    """The side answered with an exception: its code is wrong, not its process."""


class LayerDied(SideError):
    """A layer has ended the child of a side that it ran in; the side answers on."""


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
        return (self.folder / "coordbench" / "harness" / "core").is_dir()


@dataclass(frozen=True)
class Service:
    """What a process of a side runs: a shipped module, its arguments, and what its environment holds beside."""

    module: str = shipping.SERVER
    arguments: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ()
    """Folders of the tree that are imported from first, such as `src`."""


class Side:
    """A running process of a tree; use `running` to have it ended."""

    def __init__(self, tree: Tree, deadline: float, service: Service = Service()) -> None:  # frozen
        self.tree, self.deadline = tree, deadline
        environment = {**tree.environment, **service.variables}
        first = (str(tree.folder / name) for name in service.folders)
        environment["PYTHONPATH"] = os.pathsep.join(
            (*first, environment["PYTHONPATH"], str(shipping.ship(tree.scratch)))
        )
        self.log = tree.scratch / f"{tree.name}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", service.module, str(os.getpid()), *service.arguments],
                cwd=tree.folder, env=environment, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self.pending = b""

    def describe(self, plugins: Sequence[str], selectors: Sequence[str]) -> Described:
        """The layers of this side."""
        answer = self.ask("describe", plugins=list(plugins), selectors=list(selectors))
        layers = {label: Layer(**layer) for label, layer in answer["layers"].items()}
        chosen = {selector: Chosen(**item) for selector, item in answer["chosen"].items()}
        return Described(answer["harness"], layers, chosen)

    def plan(self, preset: Path, variants: Sequence[str], plugins: Sequence[str]) -> list[PlannedTrial]:
        """The trials of a preset on this side."""
        trials = self.ask("plan", preset=str(preset), variants=list(variants), plugins=list(plugins))
        return [PlannedTrial(**trial) for trial in trials]

    def facts(self, layer: Layer, case: Case) -> Facts:
        """The exact facts of a layer."""
        return Facts(**self.ask("facts", layer=asdict(layer), case=asdict(case)))

    def step(self, layer: Layer, case: Case) -> Fingerprint:
        """What one training step of a layer does."""
        entries = self.ask("step", layer=asdict(layer), case=asdict(case))
        counted = [(Entry(**item["entry"]), item["count"], tuple(item["places"])) for item in entries]
        counts = {entry: count for entry, count, _ in counted}
        return Fingerprint(counts, {entry: places for entry, _, places in counted})

    def prepare(self, key: str, layer: Layer, case: Case, phase: str) -> float:
        """Build a layer for the turns to come; return its fastest call [s]."""
        return float(self.ask("prepare", key=key, layer=asdict(layer), case=asdict(case), phase=phase))

    def turn(self, key: str, calls: int) -> tuple[float, int]:
        """The mean duration of so many calls [s], and their page faults."""
        answer = self.ask("turn", key=key, calls=calls)
        return answer["seconds"], answer["faults"]

    def send(self, do: str, **arguments: Json) -> None:
        """Send a request; `receive` waits for its answer."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `receive` finds out how it died
            self.process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self.process.stdin.flush()

    def receive(self) -> Any:
        """The answer to the last request; raise LayerError for an exception, SideError for a death or a hang."""
        answer = json.loads(self._line())
        if "died" in answer:
            raise LayerDied(self.tree.name, self._ended(int(answer["died"])))
        if "error" in answer:
            raise LayerError(self.tree.name, f"raised {answer['error']}", answer["kind"])
        return answer["ok"]

    def ask(self, do: str, **arguments: Json) -> Any:
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
                    raise SideError(self.tree.name, self._ended(self.process.wait()))
                self.pending += chunk
        line, _, self.pending = self.pending.partition(b"\n")
        return line

    def _ended(self, code: int) -> str:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        printed = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return how + (f": {printed[-1][:300]}" if printed else "")


def has_other_harness(error: SideError) -> bool:
    """Whether a side of this project failed since its harness has not the form that this gate asks for."""
    return error.kind in _OTHER_HARNESS


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session, and all that it started, and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def running(
    *trees: Tree,
    deadline: float,
    service: Service = Service(),  # frozen
) -> Iterator[tuple[Side, ...]]:
    """Processes of trees, started together, ended at the end."""
    sides: list[Side] = []
    try:
        for tree in trees:
            sides.append(Side(tree, deadline, service))
        yield tuple(sides)
    finally:
        for side in sides:
            side.close()
