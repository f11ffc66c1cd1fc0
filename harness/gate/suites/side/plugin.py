"""A pytest plugin that collects benchmarks and runs the one that the driver asks for, turn by turn.

While a benchmark is timed pytest stands inside of its test: the same pipe is read there, until the driver says `forget`
or asks for something else. Each request has one answer; one that was open when a test failed gets the failure.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ...side.pipe import Pipe, Request
from . import rounds
from .fixture import Benchmark
from .rounds import Call

_MARK = "benchmark"


@dataclass(eq=False)
class Plugin:
    """What was collected, the request that waits for its answer, and what came of the test that runs."""

    pipe: Pipe
    items: dict[str, pytest.Function] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    """File that cannot be collected -> why."""
    waiting: bool = False
    next: Request | None = None
    """A request that was read inside of a test, and is none of its business."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Kind and reason."""
    leaving: bool = False
    """Whether `forget` is what waits for its answer, which is that the rest of the test went well."""

    def pytest_addhooks(self, pluginmanager: pytest.PytestPluginManager) -> None:
        """Know the hooks of pytest-benchmark, which a conftest.py may implement."""
        try:
            pluginmanager.add_hookspecs(importlib.import_module("pytest_benchmark.hookspec"))
        except ImportError:
            return

    def pytest_configure(self, config: pytest.Config) -> None:
        """Know the marker."""
        config.addinivalue_line("markers", f"{_MARK}: a benchmark, with settings that are not used here")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what cannot be collected."""
        if report.failed:
            self.broken[report.nodeid] = _last_line(str(report.longrepr))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Keep the benchmarks alone."""
        functions = (item for item in session.items if isinstance(item, pytest.Function))
        self.items = {item.nodeid: item for item in functions if _uses(item) or _is_marked(item)}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Answer requests instead of running all tests in order."""
        while request := self._request():
            do, arguments = request
            if do == "prepare":
                self._run(self.items[str(arguments["key"])])
            else:
                self._send(self._answer(do, arguments))
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Time a whole test that is marked as a benchmark and does not use the fixture."""
        if _uses(pyfuncitem) or not _is_marked(pyfuncitem):
            return None
        names = pyfuncitem._fixtureinfo.argnames  # as pytest's own implementation of this hook has it
        Benchmark(pyfuncitem.nodeid, None, self._measure)(
            pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names}
        )
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what went wrong in a test."""
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.failures.append(("Skipped", f"Skipped: {reason.removeprefix('Skipped: ')}"))
        elif report.failed:
            self.failures.append(("Failed", f"{_reason(report)} in its {report.when}"))

    @pytest.fixture(name="benchmark")
    def benchmark(self, request: pytest.FixtureRequest) -> Benchmark:
        """The fixture of this name, in place of pytest-benchmark's."""
        marker = request.node.get_closest_marker(_MARK)
        return Benchmark(request.node.nodeid, marker.kwargs.get("group") if marker else None, self._measure)

    def _run(self, item: pytest.Function) -> None:
        """Run one test; a request that it leaves unanswered gets what came of it."""
        self.failures, self.leaving = [], False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if not self.waiting:
            return
        if not self.failures and self.leaving:
            self._send({"ok": None})
            return
        kind, reason = (*self.failures, ("Unused", "Unused: it does not call its benchmark"))[0]
        self._send({"error": reason[:600], "kind": kind})

    def _measure(self, call: Call) -> list[float]:
        """Stay inside of a test and answer until the driver has enough; what the call raises ends it."""
        self._send({"ok": rounds.ready(call)})
        seconds = []
        while request := self._request():
            do, arguments = request
            if do == "turn":
                answer = rounds.turn(call, int(str(arguments["calls"])))
                seconds.append(answer["seconds"])
                self._send({"ok": answer})
                continue
            self.leaving = do == "forget"
            if do != "forget":
                self.next, self.waiting = request, False
            break
        return seconds

    def _answer(self, do: str, arguments: dict[str, object]) -> dict[str, object]:
        if do == "collect":
            return {"ok": {"benchmarks": list(self.items), "broken": self.broken, "strangers": _strangers()}}
        if do == "pin":
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, {int(str(arguments["core"]))})
            return {"ok": None}
        return {"error": f"Unused: no benchmark is ready for {do!r}", "kind": "Unused"}

    def _request(self) -> Request | None:
        request, self.next = self.next or self.pipe.receive(), None
        self.waiting = request is not None
        return request

    def _send(self, answer: dict[str, object]) -> None:
        self.waiting = False
        self.pipe.send(answer)


def _uses(item: pytest.Function) -> bool:
    return _MARK in item.fixturenames


def _is_marked(item: pytest.Function) -> bool:
    return item.get_closest_marker(_MARK) is not None


def _reason(report: pytest.TestReport) -> str:
    """What a test failed of, in one line, with its place."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return _last_line(str(report.longrepr))
    return f"{' '.join(crash.message.split())} ({Path(crash.path).name}:{crash.lineno})"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("E ").strip() if lines else "it gave no reason"


def _strangers() -> list[str]:
    """Modules of names that this tree holds, which were imported from elsewhere: an installed copy, say."""
    here = Path.cwd().resolve()
    ours = {name for folder in (here, here / "src") for name in _packages(folder)}
    loaded = ((name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items()))
    files = ((name, Path(file)) for name, file in loaded if file and name in ours)
    return [f"{name} from {file}" for name, file in files if not file.resolve().is_relative_to(here)]


def _packages(folder: Path) -> Iterator[str]:
    """Names that can be imported from a folder."""
    entries: Iterable[Path] = folder.iterdir() if folder.is_dir() else ()
    for entry in entries:
        if entry.suffix == ".py" or (entry / "__init__.py").is_file():
            yield entry.stem
