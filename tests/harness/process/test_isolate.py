"""Real processes that really die."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coordbench.harness.process import family, isolate, watch, wire
from coordbench.harness.training import PRELOAD

ROOT = Path(__file__).parents[3]

call = functools.partial(isolate.call, preload=PRELOAD)  # as a run does: all tests of a process share one fork server


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

    blocks = []
    while True:
        blocks.append(torch.ones(1 << 24))


def _eat_python() -> None:
    blocks = []
    while True:
        blocks.append(bytearray(1 << 26))


def _leave_a_child(path: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(path).write_text(str(child.pid))


def _shout() -> None:
    for _ in range(2000):
        print("y" * 1000)
    raise ValueError("hoarse")


def test_a_call_returns_its_value_from_a_fresh_configured_process() -> None:
    assert call(_add, 2, 3).value == 5
    threads, malloc, first = call(_settings).value
    assert (threads, malloc) == (1, "2147483648")
    assert first not in (os.getpid(), call(_settings).value[2])


def _server_that_imported(module: str) -> tuple[int, bool]:
    return os.getppid(), module in sys.modules


def test_a_process_finds_imported_what_its_own_call_asks_for() -> None:
    """Whatever else this process has imported or asked for: the fork server belongs to its list of modules."""
    asked = isolate.call(_server_that_imported, "wave", preload=("wave",))
    again = isolate.call(_server_that_imported, "wave", preload=("wave",))
    other = call(_server_that_imported, "wave")
    assert asked.value == again.value == (asked.value[0], True)
    assert other.value[0] != asked.value[0]
    assert not other.value[1]


@pytest.mark.parametrize(
    ("function", "status", "reason"),
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
def test_how_it_died_is_said(function: Callable[[], object], status: str, reason: str) -> None:
    outcome = call(function, deadline=60, memory_bytes=1 << 29)
    assert outcome.status == status
    assert len(outcome.error) < 2200
    assert re.search(reason, outcome.error)


def test_a_call_that_holds_the_interpreter_and_blocks_signals_meets_its_deadline() -> None:
    outcome = call(_hang_without_python, deadline=0.5)
    assert (outcome.status, outcome.value) == ("timeout", None)
    assert "0.5 s" in outcome.error


def test_the_end_of_what_it_printed_is_kept() -> None:
    outcome = call(_shout, deadline=60)
    assert outcome.error.startswith("ValueError: hoarse")
    assert 0 < len(outcome.log) <= 4000
    assert ", in _shout" in outcome.log  # where it broke, for whoever wrote the layer


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    call(_leave_a_child, str(tmp_path / "pid"))
    assert _gone(int((tmp_path / "pid").read_text()))


SLEEPER = """
import os, pathlib, subprocess, sys, time

def sleep(folder):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    (pathlib.Path(folder) / "pids.part").write_text(f"{os.getpid()} {os.getppid()} {child.pid}")
    (pathlib.Path(folder) / "pids.part").rename(pathlib.Path(folder) / "pids")
    time.sleep(600)

if __name__ == "__main__":
    import sleeper
    from coordbench.harness.process import isolate
    isolate.call(sleeper.sleep, sys.argv[1])
"""


def test_a_killed_driver_leaves_no_process_and_holds_no_output(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    driver = subprocess.Popen(
        [sys.executable, "sleeper.py", str(tmp_path)], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    _wait_for(tmp_path / "pids")
    driver.kill()
    output, _ = driver.communicate(timeout=20)  # the pipe closes, since nothing that was started holds it
    assert output == ""
    assert all(_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_a_fork_server_that_was_stopped_ends_when_its_driver_is_killed(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    driver = subprocess.Popen(
        [sys.executable, "sleeper.py", str(tmp_path)], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    _wait_for(tmp_path / "pids")
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    os.kill(pids[1], signal.SIGSTOP)
    driver.kill()
    driver.wait()
    assert all(_gone(pid) for pid in pids)


def _wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.is_file():
        assert time.monotonic() < until
        time.sleep(0.05)


def _gone(pid: int) -> bool:
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    "request_",
    ["client.server()", "client.server()._socket.send(b'c')", "client.server().request(*os.pipe(), *os.pipe())"],
    ids=["before", "within", "after"],
)
def test_a_driver_that_is_killed_while_it_asks_for_a_process_is_followed_in_silence(request_: str) -> None:
    script = (
        "import os, operator, signal\nfrom coordbench.harness.process import client, isolate\n"
        "assert isolate.call(operator.add, 2, 3).value == 5\n"
        f"{request_}\nprint(client.server().process.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    driver = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (driver.returncode, driver.stderr) == (-signal.SIGKILL, "")
    assert _gone(int(driver.stdout))


def _write_to_every_descriptor() -> None:
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            os.write(int(name), b"7 bytes")
    time.sleep(600)


def _result_pipe() -> int:
    """The descriptor of this process's result: the only pipe beside that of what it prints."""
    links = {int(name): f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd") if int(name) > 2}
    return next(number for number, link in links.items() if stat.S_ISFIFO(_mode(link)))


def _mode(link: str) -> int:
    return os.stat(link).st_mode if os.path.exists(link) else 0


def _freeze_halfway() -> None:
    os.write(_result_pipe(), wire._MARK + (1 << 20).to_bytes(8, "little") + b"half of it")
    os.kill(os.getpid(), signal.SIGSTOP)


def _print_for_ever() -> None:
    while True:
        print("y" * 1000)


def _close_everything() -> None:
    os.closerange(3, 100)
    time.sleep(600)


@pytest.mark.parametrize(
    ("function", "status"),
    [
        (_write_to_every_descriptor, "crashed"),
        (_freeze_halfway, "timeout"),
        (_print_for_ever, "timeout"),
        (_close_everything, "timeout"),
    ],
)
def test_a_deadline_works_whatever_is_written_where(function: Callable[[], None], status: str) -> None:
    outcome = call(function, deadline=1)
    assert (outcome.status, outcome.value) == (status, None)
    assert call(_add, 2, 3).value == 5


def test_a_large_result_arrives_whole() -> None:
    assert call(bytes, 50_000_000, deadline=60).value == bytes(50_000_000)


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)])
def test_neighbors_of_one_that_ends_the_fork_server_are_run_again_and_it_is_named(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    if number is signal.SIGSTOP:
        monkeypatch.setattr(watch, "END_SECONDS", 10.0)  # on a busy machine a server that lives may be as slow as 3 s
    with ThreadPoolExecutor(4) as pool:
        nap = pool.submit(call, time.sleep, 2)
        time.sleep(1)
        culprit = pool.submit(call, _strike_the_server, number, deadline=3)
        others = [pool.submit(call, _add, 1, i) for i in range(10)]
        assert [(other.result().error, other.result().value) for other in others] == [("", i) for i in range(1, 11)]
        assert nap.result().status == "ok"
    outcome = culprit.result()
    if number is signal.SIGKILL:
        assert nap.result().attempts == 2
        assert (outcome.status, outcome.attempts) == ("crashed", 3)
        assert "it ended the fork server: that died each time this ran" in outcome.error
    else:
        assert outcome.status == "timeout"


def _strike_the_server(number: int) -> None:
    os.kill(os.getppid(), number)
    time.sleep(600)


def _leave_a_daemon(path: str) -> None:
    """Start a process by two forks and setsid, as daemons are, which nobody below the trial is the parent of."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            Path(path).write_text(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    _wait_for(Path(path))


def test_a_daemon_ends_with_the_call_that_left_it(tmp_path: Path) -> None:
    assert call(_leave_a_daemon, str(tmp_path / "pid")).status == "ok"
    assert _gone(int((tmp_path / "pid").read_text()))


def _leave_a_daemon_and_kill_the_server(path: str) -> None:
    _leave_a_daemon(path)
    os.kill(os.getppid(), signal.SIGKILL)


FORKER = """
import os, sys, time
open(sys.argv[1], "w").close()
until = time.monotonic() + 5
while time.monotonic() < until:
    if os.fork():
        os._exit(0)
    os.setsid()
time.sleep(600)
"""


def test_one_that_forks_all_the_time_is_ended_by_its_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        family, "_SWEEP_SECONDS", 60.0
    )  # what is looked for is one that is missed, not one that is slow
    mark = f"COORDBENCH_TEST={tmp_path}"
    variables = os.environ | {"COORDBENCH_TEST": str(tmp_path)}
    for number in range(20):
        begun = tmp_path / str(number)
        with subprocess.Popen([sys.executable, "-S", "-c", FORKER, str(begun)], env=variables):
            _wait_for(begun)
            family.end_marked(mark)
    assert not [pid for pid in family._pids() if mark.encode() in family._read(pid, "environ").split(b"\0")]


def test_a_daemon_ends_with_the_fork_server(tmp_path: Path) -> None:
    call(_leave_a_daemon_and_kill_the_server, str(tmp_path / "pid"))
    assert _gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("deadline", [3e6, 1e300, float("inf")])
@pytest.mark.parametrize("memory_bytes", [1 << 30, int(1e300), None])
def test_limits_of_any_size_are_taken(deadline: float, memory_bytes: int | None) -> None:
    assert call(_add, 2, 3, deadline=deadline, memory_bytes=memory_bytes).value == 5


def _run_python(program: str, before: str = "", **variables: str) -> str:
    """What a program prints that a shell starts after `before`."""
    command = ["bash", "-c", f'{before} exec "$0" -c "$1"', sys.executable, program]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, timeout=120)
    return done.stdout.strip() + done.stderr


PROGRAM = """
import operator
from coordbench.harness.process import isolate
print(isolate.call(operator.add, 2, 3, memory_bytes=64 << 30))
"""


def test_a_cap_of_the_user_below_ours_holds_and_harms_nothing() -> None:
    assert "status='ok', value=5" in _run_python(PROGRAM, f"ulimit -v {24 << 20};")


def test_a_folder_for_temporary_files_may_have_a_name_of_any_length(tmp_path: Path) -> None:
    folder = tmp_path / ("t" * 130)
    folder.mkdir()
    assert "status='ok', value=5" in _run_python(PROGRAM, TMPDIR=str(folder))
    assert list(folder.iterdir()) == []


def test_an_interrupted_driver_has_no_call_run_again() -> None:
    program = """
import signal, sys, threading, time
from coordbench.harness.process import isolate
threading.Timer(4, isolate.stop).start()
outcome = isolate.call(time.sleep, 600)
print(outcome.status, outcome.attempts, outcome.error)
"""
    assert _run_python(program) == "crashed 1 the process was killed by SIGKILL"
