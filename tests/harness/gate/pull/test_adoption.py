"""A repository made from scratch adopts the gate: the steps of both actions run by bash, the API is the stand-in."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import junitparser
import pytest
import yaml

from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.gate.pull.comment import MARKER
from tests.harness.gate.pull.runner import Job, clean_environment

ROOT = Path(__file__).resolve().parents[4]
COMMENT = ROOT / ".github" / "actions" / "comment"
SETTINGS: dict[str, object] = {
    "bench": ["tests/bench_mine.py"], "pairs": [5, 6], "alpha": 0.05, "turns": 11, "phases": ["forward"],
    "channels": 4, "size": 8, "batch": 1,
}  # fmt: skip
SLOW = "time.sleep(5e-4); x = x + 0"
BENCH = "from work import work\n\n\ndef test_work(benchmark):\n    benchmark(work)\n"


def environment_of_a_job(folder: Path) -> None:
    """A virtual environment that has the libraries of this one; the action installs coordbench into it for real."""
    venv.create(folder, with_pip=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "libraries.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")


class Adopter:
    """A project whose pull requests are measured and commented on, job by job."""

    def __init__(self, project: Any, stand: Any, folder: Path) -> None:
        self.project, self.stand, self.folder = project, stand, folder
        self.python = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        self.offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "false"}
        for name in ("gate", "comment"):
            (folder / name).mkdir(parents=True)
        environment_of_a_job(folder / "gate" / "coordbench")
        environment_of_a_job(folder / "comment" / "coordbench-comment")

    def job(self, name: str, **more: str) -> Job:
        values = {
            "github.event.pull_request.base.sha": self.base,
            "github.token": "a-token",
            "github.event.workflow_run.id": "1",
        }
        environment = clean_environment(**self.python, **self.offline, **more)
        return Job(self.project.folder, self.folder / name, self.folder / "artifacts", values, environment)

    @property
    def base(self) -> str:
        return str(self.project.git("rev-parse", "main").strip())

    def measure(self) -> tuple[int, Job]:
        """The job of gate.yml, on the newest commit of the pull request."""
        job = self.job("gate", GITHUB_STEP_SUMMARY=str(self.folder / "summary.md"))
        code = job.run(ROOT, arguments="--stages costs speed")
        return code, job

    def comment(self) -> str:
        """The job of comment.yml; what it says it did."""
        sha = self.project.git("rev-parse", "HEAD").strip()
        self.stand.open(7, sha)
        run = {"head_sha": sha, "head_branch": "branch", "head_repository": {"owner": {"login": "someone"}}}
        event = self.folder / "event.json"
        event.write_text(json.dumps({"workflow_run": run}))
        job = self.job(
            "comment", GITHUB_EVENT_PATH=str(event), GITHUB_API_URL=self.stand.url, GITHUB_REPOSITORY="owner/name"
        )
        assert job.run(COMMENT) == 0, job.output
        return job.output.splitlines()[-1]

    def coordbench(self, *arguments: str) -> None:
        command = [str(self.folder / "gate" / "coordbench" / "bin" / "coordbench"), *arguments]
        subprocess.run(command, cwd=self.project.folder, env=clean_environment(), check=True)


@pytest.mark.slow
def test_a_new_repository_adopts_the_gate_is_told_why_accepts_and_passes(
    make_project: Callable[[], Any], stand: Any, tmp_path: Path
) -> None:
    project = make_project()
    for name in ("gate", "comment"):
        project.write(f".github/workflows/{name}.yml", (ROOT / "docs" / "ci" / f"{name}.yml").read_text())
    project.layer("mine")
    project.write("work.py", "import time\n\n\ndef work():\n    time.sleep(1e-3)\n")
    project.write("tests/bench_mine.py", BENCH)
    project.settings("mine", **SETTINGS)
    project.commit()
    project.git("checkout", "-q", "-b", "branch")
    project.layer("mine", before=SLOW)
    project.write("work.py", "import time\n\n\ndef work():\n    time.sleep(4e-3)\n")
    project.commit()
    adopter = Adopter(project, stand, tmp_path)

    code, job = adopter.measure()
    assert (code, "regressed" in job.output) == (ExitCode.REGRESSED, True), job.output
    assert adopter.comment().startswith("posted on pull request 7")
    (body,) = stand.bodies(7)
    assert body.startswith(f"{MARKER}\n### ❌ regressed")
    assert "forward: +1 aten::add" in body
    assert "mine.py:19 forward" in body
    assert "Why mine changed:" in (tmp_path / "summary.md").read_text()
    written = tmp_path / "artifacts" / "coordbench-gate"
    assert {file.name for file in written.iterdir()} == {"gate.json", "gate.html", "gate.junit.xml", "badge.json"}
    assert json.loads((written / "badge.json").read_text())["color"] == "red"
    suite: Any = next(iter(junitparser.JUnitXml.fromfile(str(written / "gate.junit.xml"))))
    failed = {f"{case.classname}: {case.name}" for case in suite if not case.is_passed}
    benchmark = "tests/bench_mine.py::test_work"
    assert failed >= {"mine: costs: allocated_bytes", "mine: speed: forward"}
    assert [name for name in failed if name.startswith(benchmark)]

    rows = [row for row in json.loads((written / "gate.json").read_text())["rows"] if row["outcome"] == "regressed"]
    for row in rows:
        name = f"{row['layer']}: {row['quantity']}"
        adopter.coordbench("gate", "--acknowledge", name, "--reason", "worth it")
    project.commit()
    code, job = adopter.measure()
    assert code == ExitCode.OK, job.output
    assert adopter.comment().startswith("edited on pull request 7")
    (body,) = stand.bodies(7)
    assert body.startswith(f"{MARKER}\n### ✅ pass")
    assert "accepted: worth it" in body


@pytest.mark.parametrize("name", ["; touch broken", "$(touch broken)", "-x", "a b", '"'])
def test_whatever_a_revision_is_called_it_is_one_argument(make_project: Callable[[], Any], name: str) -> None:
    """The step's own script, with a program in place of the gate that says what it was given."""
    project = make_project()
    project.write("a.txt", "")
    project.commit()
    temporary = project.folder.parent / "temporary"
    program = temporary / "coordbench" / "bin" / "coordbench"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    values = {"github.event.pull_request.base.sha": name}
    job = Job(project.folder, temporary, temporary, values, clean_environment())
    for key, value in (("base", name), ("arguments", "--stages costs  speed"), ("folder", ".")):
        job.values[f"inputs.{key}"] = value
    steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    (step,) = [step for step in steps if step.get("name") == "Gate"]
    assert job.script(step, ROOT) == 0
    assert job.output.splitlines() == ["gate", "--base", name, "--stages", "costs", "speed"]
    assert not (project.folder / "broken").exists()
    shutil.rmtree(temporary)
