"""Processes and trees of the two sides: how they die, hang, import from elsewhere, and what they leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import coordbench
from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate import selection, trees
from coordbench.harness.gate.side.messages import Described, Layer
from coordbench.harness.gate.sides import LayerError, Side, SideError, Tree, running
from coordbench.harness.gate.trees import Unmeasurable, checked_out, find_project, interruptible, scratch


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "tree").mkdir()
    return Tree("candidate", (tmp_path / "tree").resolve(), tmp_path)


def test_a_side_answers_and_says_what_its_code_raised(tree: Tree) -> None:
    with running(tree, deadline=60) as (side,):
        with pytest.raises(LayerError, match="the candidate side raised KeyError: 'nothing'"):
            side.ask("turn", key="nothing", calls=1)
        assert side.ask("pin", core=min(os.sched_getaffinity(0))) is None


def test_a_side_that_dies_says_of_what(tree: Tree) -> None:
    with running(tree, deadline=60) as (side,):
        os.kill(side.process.pid, signal.SIGSEGV)
        with pytest.raises(SideError, match="the candidate side was killed by SIGSEGV"):
            side.ask("pin", core=0)


def test_a_side_that_hangs_is_given_up_and_ended(tree: Tree) -> None:
    with running(tree, deadline=0.2) as (side,):
        os.kill(side.process.pid, signal.SIGSTOP)
        with pytest.raises(SideError, match=r"did not answer within 0\.2 s"):
            side.ask("pin", core=0)
    assert not Path("/proc", str(side.process.pid)).exists()
    assert not side.log.exists()


def test_a_side_ends_with_its_driver(tree: Tree) -> None:
    script = (
        "import sys, pathlib; from coordbench.harness.gate.sides import Side, Tree\n"
        f"side = Side(Tree('base', pathlib.Path({str(tree.folder)!r}), pathlib.Path({str(tree.scratch)!r})), 60)\n"
        "side.ask('pin', core=min(__import__('os').sched_getaffinity(0)))\n"
        "print(side.process.pid, flush=True); __import__('os').kill(__import__('os').getpid(), 9)\n"
    )
    root = Path(coordbench.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    side = Path("/proc", done.stdout.strip(), "stat")
    for _ in range(200):
        if not side.exists() or side.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        signal.sigtimedwait([], 0.02)
    else:
        pytest.fail("the side outlived its driver")


def test_the_tree_comes_before_whatever_is_installed(tree: Tree) -> None:
    assert tree.environment["PYTHONPATH"].split(os.pathsep)[0] == str(tree.folder)
    assert tree.environment["OMP_NUM_THREADS"] == "1"


HOOK = """
import importlib.util, sys
class Elsewhere:  # what an editable install with an import hook does
    def find_spec(self, name, path=None, target=None):
        if name == "coordbench":
            file = {installed!r}
            places = [file.rpartition("/")[0]]
            return importlib.util.spec_from_file_location(name, file, submodule_search_locations=places)
sys.meta_path.insert(0, Elsewhere())
"""


def test_an_installed_copy_that_hides_the_tree_is_not_measured(tree: Tree) -> None:
    """The tree holds a harness of its own, and yet both sides would import the installed one."""
    installed = Path(coordbench.__file__)
    core = tree.folder / "coordbench" / "harness" / "core"
    core.mkdir(parents=True)
    shutil.copy(registry.__file__, core)
    (tree.folder / "sitecustomize.py").write_text(HOOK.format(installed=str(installed)))
    with running(tree, deadline=120) as (side,):
        described = side.describe([], [])
    with pytest.raises(Unmeasurable, match=r"which is not in its tree .* an installed copy"):
        selection.verify(tree, described)


def test_a_source_that_differs_from_its_tree_is_not_measured(tree: Tree) -> None:
    (tree.folder / "mine.py").write_text("x = 1\n")
    file = str(tree.folder / "mine.py")
    layer = Layer("mine", "mine", "mine", "Mine", {}, 2, None, "mine.py", file, {"mine.py": "0" * 64})
    with pytest.raises(Unmeasurable, match=r"imported another mine\.py than the one"):
        selection.verify(tree, Described("", {"mine": layer}, {}))


def test_a_worktree_goes_whatever_happens_inside(make_project: Any) -> None:
    project = make_project()
    project.write("a.txt", "old")
    commit = project.commit()
    project.write("a.txt", "new")
    around = find_project(project.folder)
    seen: list[Path] = []

    def fail() -> None:
        with scratch() as folder, checked_out(around, commit, folder / "base") as base:
            seen.append(folder)
            assert (base / "a.txt").read_text() == "old"
            assert around.dirty
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert project.worktrees() == 1
    assert not seen[0].exists()


def test_a_gate_that_is_told_to_end_tidies_up_as_after_ctrl_c(make_project: Any) -> None:
    project = make_project()
    project.write("a.txt", "")
    commit = project.commit()
    seen: list[Path] = []

    def end() -> None:
        around = find_project(project.folder)
        with interruptible(), scratch() as folder, checked_out(around, commit, folder / "base"):
            seen.append(folder)
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        end()
    assert project.worktrees() == 1
    assert not seen[0].exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_worktree_of_a_killed_gate_is_removed_by_the_next(make_project: Any, tmp_path: Path) -> None:
    project = make_project()
    project.write("a.txt", "")
    project.commit()
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    abandoned = tmp_path / f"coordbench-gate-{gone.stdout.strip()}-x" / "base"
    alive = tmp_path / f"coordbench-gate-{os.getpid()}-x" / "base"
    for folder in (abandoned, alive):
        project.git("worktree", "add", "--quiet", "--detach", str(folder))
    trees.forget_abandoned(project.folder)
    assert (abandoned.exists(), alive.exists(), project.worktrees()) == (False, True, 2)


def test_a_project_lies_where_its_pyproject_does(make_project: Any) -> None:
    project = make_project()
    project.write("part/pyproject.toml", "")
    project.write("part/deep/a.txt", "")
    assert find_project(project.folder / "part" / "deep").inside == Path("part")
    with pytest.raises(UsageError, match="unknown base revision '--help'"):
        find_project(project.folder).commit("--help")


def test_no_room_for_the_base_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    with pytest.raises(Unmeasurable, match="no folder for the base revision can be made"), scratch():
        pass


def test_a_request_to_a_dead_side_is_no_broken_pipe(tree: Tree) -> None:
    side = Side(tree, 60)
    side.process.kill()
    side.process.wait()
    with pytest.raises(SideError, match="killed by SIGKILL"):
        side.ask("pin", core=0)
    side.close()
