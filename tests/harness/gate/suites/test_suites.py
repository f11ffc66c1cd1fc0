"""Gates over a project's own benchmarks, in repositories that hold nothing of ours."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordbench.harness.cli import main as cli
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.gate.pipeline import Request, run_gate
from coordbench.harness.gate.rows import Report
from coordbench.harness.gate.sides import Tree
from coordbench.harness.gate.suites import listing

FILE = "tests/bench_mine.py"
WORK = "def work(n):\n    total = 0\n    for i in range({times}):\n        total += i % n\n    return total\n"
BENCH = """
import pytest
from mine import work

@pytest.mark.parametrize("n", [3, 5])
def test_work(benchmark, n):
    benchmark(work, n)

def test_equal(benchmark):
    benchmark.pedantic(sorted, setup=lambda: ((list(range(900)),), {}))
"""
SMALL = {"pairs": [5, 10], "turns": 5}


def gate(project: Any, *files: str, **more: Any) -> Report:
    request = Request("HEAD", bench=files or (FILE,), out=project.folder / "coordbench-results", **more)
    return run_gate(request, project.folder, lambda line: None)


def committed(project: Any, times: int = 1000) -> Any:
    project.write("mine.py", WORK.format(times=times))
    project.write(FILE, BENCH)
    project.settings(**SMALL)
    project.commit()
    return project


@pytest.mark.slow
def test_a_slower_function_regresses_in_each_of_its_benchmarks_and_in_no_other(
    make_project: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = committed(make_project())
    project.write("mine.py", WORK.format(times=1300))
    monkeypatch.chdir(project.folder)
    assert cli.run(["gate", "--base", "HEAD", "--bench", FILE, "--markdown", "pull.md"]) == ExitCode.REGRESSED
    report = json.loads((project.folder / "coordbench-results" / "gate.json").read_text())
    outcomes = {row["layer"].removeprefix(f"{FILE}::"): row["outcome"] for row in report["rows"]}
    assert outcomes.pop("test_equal") in ("pass", "inconclusive")  # other jobs may disturb it
    assert outcomes == {"test_work[3]": "regressed", "test_work[5]": "regressed"}
    dots = sum(len(row["pairs"]) for row in report["rows"])
    assert (project.folder / "coordbench-results" / "gate.html").read_text().count("<circle cx=") == dots >= 35
    assert "❌ regressed" in (project.folder / "pull.md").read_text()
    assert "regressed      tests/bench_mine.py::test_work[3]: call  +3" in capsys.readouterr().out
    assert project.worktrees() == 1


@pytest.mark.slow
def test_layers_and_benchmarks_are_compared_in_one_gate(make_project: Any) -> None:
    project = make_project()
    project.layer("layer")
    project.write("mine.py", WORK.format(times=1000))
    project.write(FILE, BENCH)
    sizes = {"phases": ["forward"], "channels": 2, "size": 4, "batch": 1}
    project.settings("layer", bench=[FILE], **SMALL, **sizes)
    project.commit()
    project.layer("layer", before="x = x + 0")
    report = gate(project, stages=("costs", "speed"))
    outcomes = {row.name: row.outcome for row in report.rows}
    assert outcomes["layer: allocated_bytes"] == "regressed"
    assert outcomes[f"{FILE}::test_equal: call"] in ("pass", "inconclusive")  # other jobs may disturb it


def test_files_that_did_not_change_are_not_timed(make_project: Any) -> None:
    (row,) = gate(committed(make_project())).rows
    assert (row.layer, row.outcome, row.note) == (listing.ALL, "pass", "both sides have the same files")


def test_a_file_that_is_not_there_is_one_line(
    make_project: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = committed(make_project())
    monkeypatch.chdir(project.folder)
    assert cli.run(["gate", "--base", "HEAD", "--bench", "tests/other.py"]) == ExitCode.USAGE
    errors = capsys.readouterr().err
    assert errors.startswith("coordbench: benchmarks 'tests/other.py' are no file or folder inside")
    assert errors.count("\n") == 1
    with pytest.raises(UsageError, match="no file or folder inside"):
        gate(project, "../elsewhere.py")


def sides(base: dict[str, str], candidate: dict[str, str], folder: Path) -> listing.Listing:
    """The listing of two trees of these files."""
    trees = []
    for name, files in (("base", base), ("candidate", candidate)):
        for file, content in files.items():
            (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / file).write_text(content)
        trees.append(Tree(name, (folder / name).resolve(), folder.resolve()))
    return listing.compare(trees[0], trees[1], ["tests"], 120)


def test_new_gone_and_broken_benchmarks_have_their_rows(tmp_path: Path) -> None:
    one = "def test_{name}(benchmark):\n    benchmark(len, '')\n"
    base = {
        "tests/test_a.py": one.format(name="stays") + one.format(name="old"),
        "tests/test_b.py": one.format(name="b"),
    }
    candidate = {
        "tests/test_a.py": one.format(name="stays") + one.format(name="new"),
        "tests/test_b.py": "import no_such_library\n",
    }
    listed = sides(base, candidate, tmp_path)
    assert listed.labels == ["tests/test_a.py::test_stays"]
    assert {row.layer: (row.outcome, row.note) for row in listed.rows} == {
        "tests/test_a.py::test_new": ("listed", "new"),
        "tests/test_a.py::test_old": ("listed", "gone"),
        "tests/test_b.py": (
            "regressed",
            "the candidate side cannot be collected: ModuleNotFoundError: No module named 'no_such_library'",
        ),
    }
    assert listed.notes == [
        "tests/test_a.py itself differs between the sides: its benchmarks may measure something else"
    ]


def test_a_package_that_is_imported_from_elsewhere_is_not_measured(tmp_path: Path) -> None:
    """An import hook, as of an editable installation, gives both sides the code of one."""
    stranger = "import sys, types\nmine = sys.modules['mine'] = types.ModuleType('mine')\nmine.__file__ = '/x.py'\n"
    test = {"tests/conftest.py": stranger, "tests/test_a.py": "def test_a(benchmark):\n    benchmark(len, '')\n"}
    listed = sides({**test, "mine/__init__.py": ""}, {**test, "src/mine/__init__.py": ""}, tmp_path)
    assert {row.outcome for row in listed.rows} == {"not measured"}
    assert "imported mine from /x.py, not its own" in listed.rows[0].note
    assert not listed.labels


@pytest.fixture(scope="module")
def cattrs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of a public package that carries benchmarks; skip where there is no registry."""
    folder = tmp_path_factory.mktemp("cattrs")
    download = ["download", "-q", "--no-deps", "--no-build-isolation", "--no-binary", ":all:", "cattrs"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *download, "-d", str(folder)], capture_output=True, text=True, timeout=300
    )
    archives = list(folder.glob("*.tar.gz"))
    if not archives:
        pytest.skip(f"no package registry can be reached from here: {done.stderr.strip().splitlines()[-1:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    return next((folder / "unpacked").iterdir())


@pytest.mark.slow
def test_the_benchmarks_of_a_public_package_find_a_planted_slowdown(
    cattrs: Path, project_in: Callable[[Path], Any], tmp_path: Path
) -> None:
    project = project_in(tmp_path / "repository")
    for file in (file for file in cattrs.rglob("*") if file.is_file() and file.suffix in (".py", ".toml")):
        project.write(str(file.relative_to(cattrs)), file.read_text())
    project.commit()
    source = "src/cattrs/converters.py"
    fast = "        return self._structure_func.dispatch(cl)(obj, cl)\n"
    content = (project.folder / source).read_text()
    assert fast in content
    project.write(source, content.replace(fast, f"        sum(range(60))\n{fast}", 1))
    report = gate(project, "bench/test_tuples.py", "bench/test_primitives.py::test_unstructure_int")
    outcomes = {row.layer.rpartition("::")[2]: row.outcome for row in report.rows}
    slower = {name for name, outcome in outcomes.items() if outcome == "regressed"}
    assert len(outcomes) == 12
    assert {f"test_structure_homo_tuple[{x}-Converter]" for x in (True, False)} <= slower
    assert all("unstructure" not in name for name in slower)
