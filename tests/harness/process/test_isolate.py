"""Real processes that really die."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coordbench.harness.process import isolate


def _add(a: int, b: int) -> int:
    return a + b


def _settings() -> tuple[int, str, int]:
    import torch

    return torch.get_num_threads(), os.environ["MALLOC_TRIM_THRESHOLD_"], os.getpid()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _segfault() -> None:
    print("about to fall")
    ctypes.string_at(0)


def _leave() -> None:
    os._exit(3)


def _raise() -> None:
    raise ValueError("x" * 10**6)


class _UnpicklableError(Exception):
    def __reduce__(self) -> str:
        raise RuntimeError("no pickle")


def _raise_unpicklable() -> None:
    raise _UnpicklableError("lost in transport")


def _unpicklable_result() -> object:
    return lambda: None


def _hang_without_python() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
    ctypes.PyDLL(None).sleep(600)  # keeps the interpreter's lock


def _eat_torch() -> None:
    import torch

    kept = []
    while True:
        kept.append(torch.ones(1 << 24))


def _eat_python() -> None:
    kept = []
    while True:
        kept.append(bytearray(1 << 26))


def _leave_a_child(path: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(path).write_text(str(child.pid))


def _shout() -> None:
    for _ in range(2000):
        print("y" * 1000)
    raise ValueError("hoarse")


def test_a_call_returns_its_value_from_a_fresh_configured_process() -> None:
    assert isolate.call(_add, 2, 3).value == 5
    threads, malloc, first = isolate.call(_settings).value
    assert (threads, malloc) == (1, "2147483648")
    assert first not in (os.getpid(), isolate.call(_settings).value[2])


@pytest.mark.parametrize(
    ("function", "status", "told"),
    [
        (_kill, "crashed", "killed by SIGKILL"),
        (_segfault, "crashed", "killed by SIGSEGV: .*fall"),
        (_leave, "crashed", "exited with code 3"),
        (_raise, "error", "ValueError: x+ .*test_isolate.py:"),
        (_raise_unpicklable, "error", "_UnpicklableError: lost in transport"),
        (_unpicklable_result, "error", "pickle"),
        (_eat_torch, "out_of_memory", "DefaultCPUAllocator"),
        (_eat_python, "out_of_memory", "MemoryError"),
    ],
)
def test_how_it_died_is_told(function: object, status: str, told: str) -> None:
    outcome = isolate.call(function, deadline=60, memory_bytes=1 << 29)  # type: ignore[arg-type]
    assert outcome.status == status
    assert len(outcome.error) < 2200
    assert re.search(told, outcome.error)


def test_a_call_that_holds_the_interpreter_and_blocks_signals_meets_its_deadline() -> None:
    outcome = isolate.call(_hang_without_python, deadline=0.5)
    assert (outcome.status, outcome.value) == ("timeout", None)
    assert "0.5 s" in outcome.error


def test_the_end_of_what_it_printed_is_kept() -> None:
    outcome = isolate.call(_shout, deadline=60)
    assert outcome.error.startswith("ValueError: hoarse")
    assert 0 < len(outcome.log) <= 4000


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    isolate.call(_leave_a_child, str(tmp_path / "pid"))
    assert _gone(int((tmp_path / "pid").read_text()))


def test_a_killed_driver_leaves_no_process(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(
        "import os, time, pathlib\nfrom coordbench.harness.process import isolate\n"
        f"def sleep():\n    pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid())); time.sleep(600)\n"
        "if __name__ == '__main__':\n    isolate.call(sleep)\n"
    )
    driver = subprocess.Popen(
        [sys.executable, str(script)], cwd=Path(__file__).parents[3], env=os.environ | {"PYTHONPATH": "."}
    )
    until = time.monotonic() + 60
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    assert _gone(int((tmp_path / "pid").read_text()))


def _gone(pid: int) -> bool:
    for _ in range(100):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    "request_",
    [
        "socket.socket(socket.AF_UNIX).connect(forkserver._forkserver._forkserver_address)",
        "forkserver.connect_to_new_process([])",
        "os.write(forkserver.connect_to_new_process([])[1], pickle.dumps({'name': 'x'})[:9])",
    ],
    ids=["before", "between", "within"],
)
def test_a_driver_that_is_killed_while_it_asks_for_a_process_is_followed_in_silence(request_: str) -> None:
    script = (
        "import os, operator, pickle, signal, socket\nfrom multiprocessing import forkserver\n"
        "from coordbench.harness.process import isolate\nassert isolate.call(operator.add, 2, 3).value == 5\n"
        f"{request_}\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    driver = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3], capture_output=True)
    assert (driver.returncode, driver.stderr.decode()) == (-signal.SIGKILL, "")
