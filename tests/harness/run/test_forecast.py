"""A forecast tells what a run would do, tuned and matched trials among it, and starts no process."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from coordbench.harness.cli import main as cli
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.process import isolate

PRESET = """
[run]
seeds = 2

[[sweep]]
tasks = ["toy"]
backbones = ["toy_net"]
variants = ["conv", "coordconv"]
steps = 3
learning_rates = [0.001, 0.01]
match = "parameters"
costs = false
"""


@pytest.fixture
def command(tmp_path: Path, toy: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tuned.toml").write_text(PRESET)
    return ["run", "tuned.toml", "--plugin", str(toy), "--device", "cpu", "--no-report"]


@pytest.fixture
def planned(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """What `--dry-run --explain` prints, while no process can be started."""

    def call(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    def lines() -> list[str]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(isolate, "call", call)
            patch.setattr("subprocess.Popen", call)
            patch.setattr("os.fork", call)
            assert cli.run([*command, "--dry-run", "--explain"]) == ExitCode.OK
        return capsys.readouterr().out.splitlines()

    return lines


def test_tuned_and_matched_trials_are_looked_up_where_they_were_run(
    command: list[str], planned: Callable[[], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = planned()
    assert before[1] == "no estimate of the time yet: none of these has been run here"
    assert sum(line.endswith("once its learning rate is chosen") for line in before) == 4
    assert cli.run(command) == ExitCode.OK
    head, estimate, *lines = planned()
    assert ", 0 to run;" in head
    assert estimate == "nothing to train"
    assert lines
    assert all(line.endswith(": reused") for line in lines)
    minutes = [_minutes(command, steps, tmp_path, capsys) for steps in (10**6, 10**7)]
    assert minutes[0] > 0
    assert minutes[1] == pytest.approx(10 * minutes[0], rel=0.1)  # a longer training by the steps of a shorter one


def test_rates_that_are_known_are_looked_up_though_others_are_not(
    command: list[str], planned: Callable[[], list[str]], tmp_path: Path
) -> None:
    """A sweep that was never run leaves the trials of another what they are: reused."""
    assert cli.run(command) == ExitCode.OK
    other = PRESET.partition("[[sweep]]")[2].replace("[0.001, 0.01]", "[0.002, 0.02]").replace("= 3", "= 4")
    (tmp_path / "tuned.toml").write_text(f"{PRESET}[[sweep]]{other}")
    head, _, *lines = planned()
    assert f"{sum(not line.endswith(': reused') for line in lines)} to run;" in head
    assert sum(line.endswith("once its learning rate is chosen") for line in lines) == 4
    assert sum(line.endswith(": run: never run before") for line in lines) == 2 * 2 * 2  # variants, rates, pilot seeds
    assert sum(line.endswith(": reused") for line in lines) == len(lines) - 4 - 8


def _minutes(command: list[str], steps: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> float:
    """What a dry run estimates for a training of so many steps."""
    preset = folder / f"steps{steps}.toml"
    preset.write_text(PRESET.replace("steps = 3", f"steps = {steps}").replace("learning_rates = [0.001, 0.01]", ""))
    capsys.readouterr()
    assert cli.run(["run", str(preset), *command[2:], "--dry-run"]) == ExitCode.OK
    return float(capsys.readouterr().out.splitlines()[1].split()[1])


LOOKS = """
[run]
seeds = 16
looks = [6, 10, 16]

[[sweep]]
tasks = ["toy"]
backbones = ["toy_net"]
variants = ["conv", "coordconv", "geoconv"]
costs = false
"""


def test_a_plan_with_looks_has_a_shortest_an_expected_and_a_longest_way(
    tmp_path: Path, toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "looks.toml").write_text(LOOKS)
    arguments = ["run", str(tmp_path / "looks.toml"), "--plugin", str(toy), "--out", str(tmp_path), "--dry-run"]
    assert cli.run(arguments) == ExitCode.OK
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("by looks: "))
    counts = [int(count) for count in re.findall(r"(\d+) trials", line)]
    assert (counts[0], counts[2]) == (3 * 6 + 2 * 16, 5 * 16)  # two references take all seeds
    assert counts[0] < counts[1] < counts[2]
    assert "for effects that spread by 2 standard deviations" in line


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("coordbench 0.")
