"""The commit that made a benchmark slower, out of real commits of a real repository."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from coordbench.harness.cli import main as cli
from coordbench.harness.core.exit_codes import ExitCode

FILE = "bench_mine.py"
ROW = f"{FILE}::test_work: call"
WORK = "def work():\n    total = 0\n    for i in range({times}):\n        total += i % 7\n    return total\n"
BENCH = "import mine\n\ndef test_work(benchmark):\n    benchmark(mine.work)\n"


def history(project: Any, count: int, slow: int, broken: range = range(0), step: float = 1.07) -> list[str]:
    """Commits 0 .. count; from `slow` on the work takes longer, and in `broken` ones the module cannot be imported."""
    project.write(FILE, BENCH)
    commits = []
    for number in range(count + 1):
        source = WORK.format(times=int(2000 * step) if number >= slow else 2000)
        project.write("mine.py", f"import nothing_{number}\n" if number in broken else f"COMMIT = {number}\n{source}")
        commits.append(project.commit())
    return commits


@pytest.fixture
def bisect(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, dict[str, Any], str]]:
    def run(project: Any, *arguments: str) -> tuple[int, dict[str, Any], str]:
        monkeypatch.chdir(project.folder)
        code = cli.run(["bisect", *arguments, "--json"])
        printed = capfd.readouterr()
        return code, json.loads(printed.out or "{}"), printed.err

    return run


@pytest.mark.slow
def test_a_step_of_7_percent_among_32_commits_is_located(make_project: Any, bisect: Callable[..., Any]) -> None:
    project = make_project()
    commits = history(project, 32, slow=21)
    code, result, _ = bisect(project, ROW, "--good", commits[0], "--bad", commits[-1])
    assert code == ExitCode.OK, result
    assert [commit["name"] for commit in result["commits"]] == [commits[21]]
    assert len(result["suspects"]) == 32
    assert result["pairs"] < 5 * 16  # git bisect with a gate at each of its steps
    (row,) = result["report"]["rows"]
    assert row["outcome"] == "regressed"
    assert row["low"] < 0.07 < row["high"] or abs(row["change"] - 0.07) < 0.02
    assert (project.folder / "coordbench-results" / "bisect" / "gate.html").is_file()
    assert project.worktrees() == 1


@pytest.mark.slow
def test_commits_that_cannot_be_measured_are_named_together(make_project: Any, bisect: Callable[..., Any]) -> None:
    project = make_project()
    commits = history(project, 6, slow=3, broken=range(3, 5), step=1.5)
    code, result, errors = bisect(project, ROW, "--good", commits[0], "--bad", commits[-1])
    assert code == ExitCode.INCONCLUSIVE
    assert [commit["name"] for commit in result["commits"]] == commits[3:6]
    assert "skipped" in errors
    assert "No module named 'nothing_" in " ".join(suspect["problem"] for suspect in result["suspects"])


@pytest.mark.slow
def test_what_did_not_become_slower_has_no_commit(make_project: Any, bisect: Callable[..., Any]) -> None:
    project = make_project()
    commits = history(project, 2, slow=9)
    code, result, _ = bisect(project, ROW, "--good", commits[0], "--bad", commits[-1])
    assert (code, result["commits"], result["pairs"]) == (ExitCode.INCONCLUSIVE, [], 0)
    assert "is not surely slower than" in result["report"]["notes"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forward", "--good", "HEAD~1"], "row 'forward' is none of speed; expected a layer and a phase"),
        (["conv: sideways", "--good", "HEAD~1"], "row 'conv: sideways' is none of speed"),
        ([ROW, "--good", "nowhere"], "unknown base revision 'nowhere'"),
        ([ROW, "--good", "HEAD"], "are the same commit; give an older good one"),
        ([ROW, "--good", "HEAD", "--bad", "HEAD~1"], "good revision 'HEAD' is no ancestor of bad revision 'HEAD~1'"),
        ([ROW], "--good"),
    ],
)
def test_mistakes_are_one_line(
    make_project: Any, bisect: Callable[..., Any], arguments: list[str], message: str
) -> None:
    project = make_project()
    history(project, 1, slow=9)
    code, _, errors = bisect(project, *arguments)
    assert (code, errors.count("\n")) == (ExitCode.USAGE, 1)
    assert message in errors


def test_a_benchmark_that_is_nowhere_is_named_with_those_that_are(
    make_project: Any, bisect: Callable[..., Any]
) -> None:
    project = make_project()
    history(project, 1, slow=9)
    code, _, errors = bisect(project, f"{FILE}::test_other", "--good", "HEAD~1")
    assert code == ExitCode.USAGE
    assert f"unknown benchmark '{FILE}::test_other'; valid: {FILE}::test_work" in errors
