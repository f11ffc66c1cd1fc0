"""Trees as they come: a user's own `tasks`, `variants` and `harness`, spaces, shallow clones, submodules, old bases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import coordbench
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.gate import shipping
from coordbench.harness.gate.pipeline import Request, run_gate
from coordbench.harness.gate.rows import Report
from coordbench.harness.gate.trees import NotComparable, Unmeasurable

ROOT = Path(coordbench.__file__).resolve().parents[1]
SMALL = {"pairs": [5, 8], "turns": 3, "phases": ["forward"], "channels": 2, "size": 4, "batch": 1}
NEVER = 'raise RuntimeError("this is none of coordbench\'s")\n'
PRESET = """
[run]
seeds = 1
[[sweep]]
tasks = ["coordinate_classification[canvas=16]"]
backbones = ["pixelwise"]
variants = ["mine"]
steps = 2
evaluations = 1
costs = false
"""


def exact(project: Any, base: str = "HEAD", **more: Any) -> Report:
    """A gate's exact stage, which takes no pairs of processes."""
    request = Request(base, stages=("costs",), out=project.folder / "coordbench-results", **more)
    return run_gate(request, project.folder, lambda line: None)


def outcomes(report: Report) -> dict[str, str]:
    return {row.quantity: row.outcome for row in report.rows}


@pytest.fixture
def own_names(make_project: Any) -> Any:
    """A project whose own modules are called as ours are."""
    project = make_project()
    for name in ("tasks.py", "variants/__init__.py", "harness.py", "reports.py"):
        project.write(name, NEVER)
    project.layer("mine")
    project.write("tiny.toml", PRESET)
    project.settings("mine", **SMALL)
    return project


def test_modules_of_a_users_own_do_not_meet_ours_in_a_gate(own_names: Any) -> None:
    own_names.commit()
    own_names.layer("mine", before="x = x + 0")
    report = exact(own_names)
    assert report.outcome == "regressed"  # the sum is one map more
    assert outcomes(report)["allocated_bytes"] == "regressed"
    assert outcomes(report)["parameters"] == "pass"


def test_modules_of_a_users_own_do_not_meet_ours_in_a_run(own_names: Any) -> None:
    command = [sys.executable, "-m", "coordbench", "run", "tiny.toml", "--plugin", "mine.py", "--no-report"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=own_names.folder, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("RuntimeError")) == (ExitCode.OK, 0), done.stderr


@pytest.mark.slow
def test_a_path_with_spaces_and_quotes_is_a_path(tmp_path: Path, project_in: Callable[[Path], Any]) -> None:
    project = project_in(tmp_path / "my project's code")
    project.layer("mine")
    project.settings("mine", **SMALL)
    project.commit()
    project.layer("mine", before="x = x * 1")
    assert outcomes(exact(project))["flops"] == "pass"


def test_a_shallow_clone_holds_no_older_base(make_project: Any, tmp_path: Path, capfd: Any, monkeypatch: Any) -> None:
    from coordbench.harness.cli import main as cli

    project = make_project()
    project.layer("mine")
    old = project.commit()
    project.layer("mine", before="x = x * 1")
    project.commit()
    project.git("clone", "-q", "--depth", "1", project.folder.as_uri(), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    assert cli.run(["gate", "--base", old]) == ExitCode.USAGE
    errors = capfd.readouterr().err
    assert "a shallow clone holds only its newest commit: fetch with full depth" in errors
    assert errors.count("\n") == 1


@pytest.mark.slow
def test_a_submodule_is_there_on_the_base_side_too(make_project: Any) -> None:
    library, project = make_project(), make_project()
    library.write("__init__.py", "FACTOR = 1\n")
    library.commit()
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.folder), "scale")
    project.layer("mine", before="import scale; x = x * scale.FACTOR")
    project.settings("mine", **SMALL)
    project.commit()
    project.layer("mine", before="import scale; x = scale.FACTOR * x * 1")
    report = exact(project)
    assert outcomes(report)["parameters"] == "pass"
    dirty, why = report.notes
    assert dirty == "the work tree has changes that are not committed; they are measured with it"
    assert why.startswith("mine: its step changed, and nothing measured did: forward: +1 aten::mul")


@pytest.mark.slow
def test_a_submodule_that_was_not_fetched_is_named(make_project: Any) -> None:
    library, project = make_project(), make_project()
    library.write("__init__.py", "FACTOR = 1\n")
    library.commit()
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.folder), "scale")
    project.layer("mine")
    project.settings("mine", **SMALL)
    project.commit()
    project.git("submodule", "--quiet", "deinit", "--force", "--all")
    project.layer("mine", before="x = x * 1")
    assert "the submodule scale is not checked out; it is empty on the base side" in exact(project).notes


@pytest.mark.slow
def test_a_detached_head_and_a_dirty_tree_are_measured_and_left_as_they_were(make_project: Any) -> None:
    """Staged, unstaged, untracked, removed and ignored files, none of which is committed."""
    project = make_project()
    project.write("unused.py", "A = 1\n")
    project.layer("mine")
    project.layer("other")
    project.settings("mine", "other", **SMALL)
    old = project.commit()
    project.write("notes.txt", "another commit\n")
    project.git("checkout", "-q", "--detach", project.commit())
    project.layer("mine", before="x = x + 0")
    project.git("add", "mine.py")
    project.layer("mine", before="x = x + 0 + 0")
    project.layer("other", before="import helper; x = helper.double(x)")
    project.write("helper.py", "def double(x):\n    return 2 * x\n")
    project.git("rm", "-q", "unused.py")
    before = project.git("status", "--porcelain"), project.git("rev-parse", "HEAD"), project.git("branch", "--list")
    for base in (old, "HEAD"):
        report = exact(project, base)
        assert report.notes[0] == "the work tree has changes that are not committed; they are measured with it"
        grown = {row.layer for row in report.rows if row.quantity == "allocated_bytes" and row.outcome == "regressed"}
        assert grown == {"mine", "other"}
    state = project.git("status", "--porcelain"), project.git("rev-parse", "HEAD"), project.git("branch", "--list")
    assert state == before
    assert project.worktrees() == 1


def test_a_base_that_fails_to_import_is_not_measured_and_says_why(make_project: Any) -> None:
    project = make_project()
    project.write("mine.py", "import no_such_library\n")
    project.settings("mine", **SMALL)
    project.commit()
    project.layer("mine")
    with pytest.raises(Unmeasurable, match=r"it raised .*no_such_library") as caught:
        exact(project)
    assert caught.value.code == ExitCode.NOTHING_MEASURED


def test_a_base_from_before_the_move_into_one_package_is_not_comparable(make_project: Any) -> None:
    project = make_project()
    project.write("harness/registry.py", "entries = {}\n")
    old = project.commit()
    project.write("coordbench/harness/core/registry/__init__.py", "entries = {}\n")
    project.commit()
    with pytest.raises(NotComparable, match="has no package coordbench") as caught:
        exact(project, old)
    assert caught.value.code == ExitCode.NOT_COMPARABLE


@pytest.mark.slow
def test_this_project_refuses_its_own_older_layout_and_measures_its_newer_one(tmp_path: Path) -> None:
    listed = ["git", "-C", str(ROOT), "log", "--format=%H %s"]
    history = subprocess.run(listed, capture_output=True, text=True).stdout.splitlines()
    moves = [line.split()[0] for line in history if "One import package" in line]
    if not moves:
        pytest.skip("the history that holds the older layout is not here")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)

    def gate(base: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "coordbench", "gate", "--base", base, "--stages", "costs", "--layers", "conv"]
        environment = {**os.environ, "PYTHONPATH": str(clone)}
        return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)

    refused = gate(f"{moves[-1]}^")
    assert (refused.returncode, refused.stderr.count("\n")) == (ExitCode.NOT_COMPARABLE, 1)
    assert "has no package coordbench" in refused.stderr
    layer = clone / "variants" / "conv.py"
    layer.write_text(layer.read_text() + "\n_MORE = 1\n")
    measured = gate("HEAD")
    assert measured.returncode == ExitCode.OK, measured.stdout + measured.stderr
    assert "pass conv: parameters, flops, allocated_bytes" in measured.stdout


@pytest.mark.parametrize("name", shipping.FILES)
def test_what_is_shipped_imports_nothing_of_this_project_when_it_is_loaded(name: str) -> None:
    """But relatively, and what a side asks its own tree, within functions."""
    lines = (ROOT / "harness" / name).read_text().splitlines()
    absolute = [line for line in lines if line.startswith(("from coordbench", "import coordbench"))]
    assert absolute == []
