"""Actions and workflows: linted by actionlint and zizmor, ten lines to copy, and no credentials beside foreign code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[4]
BINARIES = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
COPIED = sorted((ROOT / "docs" / "ci").glob("*.yml"))
ACTIONS = [ROOT / "action.yml", ROOT / ".github" / "actions" / "comment" / "action.yml"]


def read(path: Path) -> dict[str, Any]:
    """A file of YAML; its key `on` is read as a truth value by YAML 1.1."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def output_of(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_actionlint_accepts_every_workflow() -> None:
    assert {"gate.yml", "comment.yml"} <= {path.name for path in WORKFLOWS}
    assert len(COPIED) == 2
    assert output_of(BINARIES / "actionlint", "-no-color", *WORKFLOWS, *COPIED) == ""


def test_zizmor_sees_no_way_to_credentials() -> None:
    assert (
        output_of(BINARIES / "zizmor", "--offline", "--no-progress", "--min-severity=medium", *WORKFLOWS, *ACTIONS)
        == ""
    )


def test_the_linters_would_see_a_fault(tmp_path: Path) -> None:
    broken = tmp_path / "gate.yml"
    broken.write_text((ROOT / "docs/ci/gate.yml").read_text().replace("runs-on", "run-on"))
    assert "run-on" in output_of(BINARIES / "actionlint", "-no-color", broken)
    injected = (ROOT / ".github/workflows/gate.yml").read_text()
    broken.write_text(f"{injected}      - run: echo ${{{{ github.event.pull_request.title }}}}\n")
    findings = output_of(BINARIES / "zizmor", "--offline", "--no-progress", broken)
    assert "template-injection" in findings


@pytest.mark.parametrize("path", COPIED, ids=lambda path: path.name)
def test_what_is_copied_has_ten_lines_and_stands_in_the_document(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 10
    indented = "".join(f"    {line}\n" for line in path.read_text().splitlines())
    assert indented in (ROOT / "docs" / "ci.md").read_text()


def test_the_job_that_runs_foreign_code_may_read_and_no_more() -> None:
    for path in (ROOT / "docs/ci/gate.yml", ROOT / ".github/workflows/gate.yml"):
        workflow = read(path)
        assert workflow[True] == "pull_request"
        assert workflow["permissions"] == {"contents": "read"}
        assert all("permissions" not in job for job in workflow["jobs"].values())
        (checkout,) = [step for step in workflow["jobs"]["gate"]["steps"] if "checkout" in step["uses"]]
        assert checkout["with"]["persist-credentials"] is False
        assert "secrets" not in path.read_text()
    assert "token" not in (ROOT / "action.yml").read_text().lower()


def test_the_job_that_may_write_runs_on_what_the_first_wrote_and_checks_nothing_foreign_out() -> None:
    for path in (ROOT / "docs/ci/comment.yml", ROOT / ".github/workflows/comment.yml"):
        workflow = read(path)
        assert workflow[True]["workflow_run"] == {"workflows": ["gate"], "types": ["completed"]}
        (job,) = workflow["jobs"].values()
        assert {**workflow["permissions"], **job.get("permissions", {})}["pull-requests"] == "write"
        assert not [step for step in job["steps"] if "ref" in step.get("with", {}) or "run" in step]
    comment = read(ACTIONS[1])
    runs = [step["run"] for step in comment["runs"]["steps"] if "run" in step]
    assert not [script for script in runs if "${{" in script]


def test_no_script_holds_an_expression() -> None:
    """Whatever a pull request names reaches a shell as a variable, never as source."""
    for path in ACTIONS:
        scripts = [step["run"] for step in read(path)["runs"]["steps"] if "run" in step]
        assert scripts
        assert not [script for script in scripts if "${{" in script]
