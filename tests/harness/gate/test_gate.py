"""Gates over real commits of a small repository."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordbench.harness.cli import main as cli
from coordbench.harness.core.exit_codes import ExitCode

pytestmark = pytest.mark.slow  # whole gates over real commits: minutes, `nox -s slow`

ROOT = Path(__file__).resolve().parents[3]
SMALL = {"pairs": [5, 8], "turns": 11, "phases": ["forward"], "channels": 4, "size": 8, "batch": 1}
"""The fewest pairs with which one of two comparisons can regress: 1 / 2^8 < 0.01 / 2."""


@pytest.fixture
def gate(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        code = cli.run(["gate", "--base", "HEAD", *arguments])
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return run


def left_behind() -> list[str]:
    return [path.name for path in Path(tempfile.gettempdir()).glob(f"coordbench-gate-{os.getpid()}-*")]


@pytest.fixture(scope="module")
def one_gate(make_project: Callable[[], Any]) -> tuple[int, dict[str, Any], Any]:
    """One gate over a commit that slows a layer, breaks one, documents one, adds one and drops one."""
    project = make_project()
    for name in ("slow", "broken", "documented", "gone"):
        project.layer(name)
    project.settings("slow", "broken", "documented", "gone", **SMALL)
    project.commit()
    project.layer("slow", before="time.sleep(5e-4)")
    project.layer("broken", before="raise RuntimeError('gave way')")
    project.layer("documented", docstring="Convolve, and say so.")
    project.layer("new")
    project.write("gone.py", "")
    project.settings("slow", "broken", "documented", "gone", "new", **SMALL)
    home = Path.cwd()
    os.chdir(project.folder)
    try:
        code = cli.run(["gate", "--base", "HEAD", "--stages", "costs", "speed", "--markdown", "pull.md"])
    finally:
        os.chdir(home)
    return code, json.loads((project.folder / "coordbench-results" / "gate.json").read_text()), project


def rows(report: dict[str, Any], layer: str) -> dict[str, Any]:
    return {finding["quantity"]: finding for finding in report["rows"] if finding["layer"] == layer}


def test_a_slower_layer_regressed_and_nothing_else_of_it(one_gate: Any) -> None:
    code, report, _ = one_gate
    assert code == ExitCode.REGRESSED
    slow = rows(report, "slow")
    assert slow["forward"]["outcome"] == "regressed"
    assert slow["forward"]["low"] > 0.05
    assert len(slow["forward"]["pairs"]) == 8
    assert {slow[name]["outcome"] for name in ("parameters", "flops", "allocated_bytes")} == {"pass"}
    assert "output" not in slow


def test_a_broken_layer_regressed_with_its_reason(one_gate: Any) -> None:
    broken = rows(one_gate[1], "broken")
    assert list(broken) == ["layer"]
    assert broken["layer"]["outcome"] == "regressed"
    assert "RuntimeError: gave way (broken.py:" in broken["layer"]["note"]


def test_a_docstring_is_no_difference(one_gate: Any) -> None:
    documented = rows(one_gate[1], "documented")
    assert [(row["outcome"], row["note"]) for row in documented.values()] == [("pass", "identical")]


def test_layers_of_one_side_are_listed_not_compared(one_gate: Any) -> None:
    message = {name: next(iter(rows(one_gate[1], name).values())) for name in ("new", "gone")}
    assert {name: (row["outcome"], row["note"]) for name, row in message.items()} == {
        "new": ("listed", "new"),
        "gone": ("listed", "gone"),
    }


def test_a_gate_leaves_nothing_behind_and_tells_of_a_dirty_tree(one_gate: Any) -> None:
    _, report, project = one_gate
    assert project.worktrees() == 1
    assert left_behind() == []
    assert report["notes"] == ["the work tree has changes that are not committed; they are measured with it"]


def test_page_and_comment_show_the_pairs_and_the_verdict(one_gate: Any) -> None:
    _, _, project = one_gate
    page = (project.folder / "coordbench-results" / "gate.html").read_text()
    assert page.count("<circle cx=") == 8
    assert (project.folder / "pull.md").read_text().startswith("### ❌ regressed: work tree at")


def test_a_planted_loss_of_accuracy_is_caught_with_ten_seeds(make_project: Any, gate: Callable[..., Any]) -> None:
    project = make_project()
    source = '''"""CoordConv, exact or with noise on its weights."""

import torch
from torch import nn

from coordbench.harness.core import registry


@registry.variant("noisy", source="none")
class Noisy(nn.Module):
    """Another layer, its weights as they are or not."""

    def __init__(self, in_channels, out_channels, kernel_size, *, size, stride=1, bias=True):
        super().__init__()
        make = registry.layer("coordconv")
        self.inner = make(in_channels, out_channels, kernel_size, size=size, stride=stride, bias=bias)

    def forward(self, x):
        if self.training:
            return self.inner(x)
        noise = {name: p + NOISE * torch.randn_like(p) for name, p in self.inner.named_parameters()}
        return torch.func.functional_call(self.inner, noise, (x,))
'''
    preset = """
[run]
seeds = 10
[[sweep]]
tasks = ["coordinate_classification[canvas=16]"]
backbones = ["pixelwise"]
variants = ["conv"]
steps = 50
evaluations = 1
costs = false
"""
    project.write("noisy.py", source.replace("NOISE", "0.0"))
    project.write("small.toml", preset)
    project.settings("noisy", preset="small.toml", **SMALL)
    project.commit()
    project.write("noisy.py", source.replace("NOISE", "1.0"))
    code, printed, _ = gate(project.folder, "--stages", "accuracy", "--json")
    rows = {row["quantity"]: row for row in json.loads(printed)["rows"]}
    assert "accuracy" in rows, printed
    accuracy = rows["accuracy"]
    assert (code, accuracy["outcome"], len(accuracy["pairs"])) == (ExitCode.REGRESSED, "regressed", 10)
    assert accuracy["high"] < -0.02


def test_a_base_that_cannot_be_imported_is_not_measured(make_project: Any, gate: Callable[..., Any]) -> None:
    project = make_project()
    project.write("mine.py", "def broken(:\n")
    project.settings("mine")
    project.commit()
    project.layer("mine")
    code, _, errors = gate(project.folder)
    assert code == ExitCode.NOTHING_MEASURED
    assert "the base revision cannot be imported: it raised UsageError: plug-in 'mine.py' cannot be loaded" in errors
    assert (project.worktrees(), left_behind()) == (1, [])


def test_a_project_without_layers_is_not_measured(make_project: Any, gate: Callable[..., Any]) -> None:
    project = make_project()
    project.commit()
    code, printed, _ = gate(project.folder)
    assert (code, printed.splitlines()[-1][:14]) == (ExitCode.NOTHING_MEASURED, "not measured: ")


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("", ["--base", "no-such-branch"], "unknown base revision 'no-such-branch'"),
        ("", ["--plugin", "nowhere.py"], "plug-in 'nowhere.py' is no file inside"),
        ("", ["--plugin", "../outside.py"], "plug-in '../outside.py' is no file inside"),
        ("pairs = [3, 16]", [], "3 pairs reach at best p = 1/8 = 0.125"),
        ("slover = 0.1", [], "unknown key 'slover'; valid: allocated_bytes,"),
        ("turns = '9'", [], "turns='9' is not valid"),
        ("preset = 'nothing'", [], "unknown preset 'nothing'"),
    ],
)
def test_mistakes_are_told_in_one_line(
    make_project: Any, gate: Callable[..., Any], content: str, arguments: list[str], message: str
) -> None:
    project = make_project()
    project.write("pyproject.toml", f"[tool.coordbench.gate]\n{content}\n")
    project.commit()
    code, _, errors = gate(project.folder, *arguments)
    assert code == ExitCode.USAGE
    assert message in errors
    assert errors.count("\n") == 1
    assert (project.worktrees(), left_behind()) == (1, [])


def test_a_folder_outside_of_any_repository_is_refused(tmp_path: Path, gate: Callable[..., Any]) -> None:
    code, _, errors = gate(tmp_path)
    assert code == ExitCode.USAGE
    assert "is in no git repository" in errors


def test_an_interrupted_gate_removes_its_worktree_and_its_processes(
    make_project: Any, request: pytest.FixtureRequest
) -> None:
    project = make_project()
    project.write("mine.py", "import os, time\nopen('started', 'w').write(str(os.getpid()))\ntime.sleep(600)\n")
    project.settings("mine")
    project.commit()
    log = project.folder / "log.txt"
    with log.open("w") as stream:
        driver = subprocess.Popen(
            [sys.executable, "-m", "coordbench", "gate", "--base", "HEAD"], cwd=project.folder, stderr=stream,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's `&` has it ignored
        )  # fmt: skip
    request.addfinalizer(driver.wait)
    request.addfinalizer(driver.kill)
    started = wait_for(lambda: next(iter(worktree(project).glob("started")), None))
    side = int(wait_for(started.read_text))
    driver.send_signal(signal.SIGINT)
    assert driver.wait(120) == ExitCode.INTERRUPTED
    assert "interrupted" in log.read_text()
    assert project.worktrees() == 1
    assert not Path("/proc", str(side)).exists()
    assert not list(Path(tempfile.gettempdir()).glob(f"coordbench-gate-{driver.pid}-*"))


def worktree(project: Any) -> Path:
    return Path(project.git("worktree", "list", "--porcelain").split("worktree ")[-1].splitlines()[0])


def wait_for(look: Callable[[], Any], seconds: float = 120) -> Any:
    until = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
    return value
