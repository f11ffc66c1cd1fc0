"""One comment, edited in place, silent where nothing changed: over HTTP to a stand-in of the API on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import coordbench
from coordbench.harness.cli import main as cli
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.gate import output
from coordbench.harness.gate.pull.comment import MARKER, WAITS, Target, post
from coordbench.harness.gate.pull.github import ApiAway, GitHub
from coordbench.harness.gate.rows import GateRow, Outcome, Report

ROOT = Path(coordbench.__file__).resolve().parents[1]
SHA, OLDER = "a" * 40, "b" * 40
TOKEN = "a-token-of-a-test"
WHY = ("forward: +1 aten::add (128 bytes), mine.py:19 forward",)


def report(outcome: Outcome = "regressed", change: float = 0.093) -> Report:
    row = GateRow("mine", "speed", "forward", outcome, 1.0, 1 + change, change, unit="s", why=WHY)
    return Report("main", "work tree", [row])


def api(stand: Any, seconds: float = 20.0) -> GitHub:
    return GitHub(stand.url, "owner/name", TOKEN, seconds)


def said(stand: Any, result: Report, target: Target | None = None) -> list[str]:
    waits: list[float] = []
    done = post(api(stand), target or Target(SHA, 7), result, wait=waits.append)
    assert not waits
    return [each.deed for each in done]


def test_a_comment_is_posted_then_edited_in_place(stand: Any) -> None:
    stand.open(7, SHA)
    stand.say(7, "looks good", "a-reviewer")
    assert said(stand, report()) == ["posted"]
    assert said(stand, report()) == ["unchanged"]
    assert said(stand, report(change=0.2)) == ["edited"]
    first, second = stand.bodies(7)
    assert first == "looks good"
    assert second.startswith(MARKER)
    assert "+20.0 %" in second
    assert "aten::add" in second
    assert [line.split()[0] for line in stand.requests if not line.startswith("GET")] == ["POST", "PATCH"]
    assert stand.headers["Authorization"] == f"Bearer {TOKEN}"


def test_nothing_changed_is_silence_and_an_earlier_comment_is_taken_back(stand: Any) -> None:
    stand.open(7, SHA)
    assert said(stand, report("pass")) == ["silent"]
    assert stand.bodies(7) == []
    assert said(stand, report()) == ["posted"]
    assert said(stand, report("pass")) == ["edited"]
    (body,) = stand.bodies(7)
    assert "no change any longer" in body
    assert "aten" not in body
    assert said(stand, report("pass")) == ["unchanged"]


@pytest.mark.parametrize("outcome", ["improved", "accepted", "inconclusive", "not measured", "not comparable"])
def test_whatever_needs_a_look_is_said(stand: Any, outcome: Outcome) -> None:
    stand.open(7, SHA)
    assert said(stand, report(outcome)) == ["posted"]


def test_the_comment_is_looked_for_on_all_pages_and_by_its_author(stand: Any) -> None:
    stand.open(7, SHA)
    stand.say(7, f"{MARKER}\nplanted by someone else", "someone")
    for number in range(230):
        stand.say(7, f"remark {number}", "someone")
    stand.say(7, f"{MARKER}\nan earlier result")
    for number in range(30):
        stand.say(7, f"answer {number}", "someone")
    assert said(stand, report()) == ["edited"]
    assert stand.bodies(7)[0].endswith("planted by someone else")
    assert "aten" in stand.bodies(7)[231]
    assert sum("page=" in line and line.startswith("GET /repos/owner/name/issues") for line in stand.requests) == 3


def test_a_pull_request_of_a_fork_is_the_one_whose_newest_commit_was_measured(stand: Any) -> None:
    stand.open(7, SHA, head="someone:fix/a+b")
    stand.open(8, OLDER, head="someone:fix/a+b")
    stand.open(9, SHA, head="another:branch")
    stand.open(10, SHA, head="someone:fix/a+b", state="closed")
    assert said(stand, report(), Target(SHA, None, "someone", "fix/a+b")) == ["posted"]
    assert [len(stand.bodies(number)) for number in (7, 8, 9, 10)] == [1, 0, 0, 0]


@pytest.mark.parametrize("target", [Target(OLDER, 7), Target(OLDER, None, "someone", "branch"), Target(SHA)])
def test_a_result_of_another_commit_is_not_posted(stand: Any, target: Target) -> None:
    stand.open(7, SHA)
    assert said(stand, report(), target) == ["outdated"]
    assert stand.bodies(7) == []


def test_an_api_that_is_away_for_a_while_gets_one_comment(stand: Any) -> None:
    """Also where it has carried out what it says it has not."""
    stand.open(7, SHA)
    stand.faults, stand.after = [500, 429], [502]
    waits: list[float] = []
    (done,) = post(api(stand), Target(SHA, 7), report(), wait=waits.append)
    assert (done.deed, len(stand.bodies(7)), waits) == ("unchanged", 1, list(WAITS))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "is the token in GITHUB_TOKEN valid"),
        (403, "status 403, Resource not accessible <b>@here</b>; the job needs `permissions: pull-requests: write`"),
        (404, "is GITHUB_REPOSITORY right"),
        (422, "status 422"),
    ],
)
def test_a_refusal_is_one_line_and_not_tried_again(stand: Any, status: int, message: str) -> None:
    stand.open(7, SHA)
    stand.faults = [status]
    with pytest.raises(UsageError, match=message.replace("[", r"\[")) as caught:
        said(stand, report())
    assert not isinstance(caught.value, ApiAway)
    assert len(stand.requests) == 1
    assert TOKEN not in f"{caught.value}{api(stand)!r}"


def test_an_api_that_stays_away_has_an_exit_code(stand: Any) -> None:
    stand.faults = [503] * (len(WAITS) + 1)
    with pytest.raises(ApiAway, match="status 503") as caught:
        post(api(stand), Target(SHA, 7), report(), wait=lambda seconds: None)
    assert caught.value.code == ExitCode.STORE_LOST
    nobody = GitHub("http://127.0.0.1:9", "owner/name", TOKEN)
    with pytest.raises(ApiAway, match="no answer"):
        post(nobody, Target(SHA, 7), report(), wait=lambda seconds: None)


@pytest.fixture
def job(stand: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`coordbench comment` in a job of GitHub Actions."""

    def run(result: Report | str, event: object, *arguments: str) -> int:
        (tmp_path / "event.json").write_text(json.dumps(event))
        content = result if isinstance(result, str) else output.as_json(result)
        (tmp_path / "gate.json").write_text(content)
        monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
        monkeypatch.setenv("GITHUB_API_URL", stand.url)
        monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        return cli.run(["comment", str(tmp_path / "gate.json"), *arguments])

    return run


FORK = {
    "workflow_run": {
        "head_sha": SHA, "head_branch": "branch", "event": "pull_request", "pull_requests": [],
        "head_repository": {"owner": {"login": "someone", "id": 1}, "full_name": "someone/name"},
    }
}  # fmt: skip


@pytest.mark.parametrize("event", [FORK, {"pull_request": {"number": 7, "head": {"sha": SHA}}}])
def test_the_command_posts_where_the_event_says(stand: Any, job: Any, event: object, capfd: Any) -> None:
    stand.open(7, SHA)
    assert job(report(), event) == ExitCode.OK
    assert capfd.readouterr().out.startswith("posted on pull request 7: https://")
    assert len(stand.bodies(7)) == 1


def test_a_number_on_the_command_line_must_belong_to_its_commit(stand: Any, job: Any, capfd: Any) -> None:
    stand.open(7, SHA)
    assert job(report(), {}, "--pull", "7", "--sha", OLDER) == ExitCode.OK
    assert capfd.readouterr().out == "outdated on pull request 7: no open pull request has this commit as its newest\n"
    assert job(report(), {}, "--pull", "7") == ExitCode.USAGE
    assert job(report(), {"push": {}}) == ExitCode.USAGE
    errors = capfd.readouterr().err.splitlines()
    assert ["--pull and --sha go together" in errors[0], "this event is of no pull request" in errors[1]] == [
        True,
        True,
    ]
    assert stand.bodies(7) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no result of a gate: it: Invalid JSON"),
        ("[]", "is no result of a gate"),
        ("{}", "is no result of a gate: base: Field required"),
        ('{"base": "a", "candidate": "b", "rows": [{"layer": 3}]}', "is no result of a gate: rows.0.layer"),
        ('{"base": "a", "candidate": "b", "rows": 7}', "is no result of a gate: rows"),
        ("[" * 100_000, "is no result of a gate"),
        ('{"base": "\\ud800", "candidate": "b"}', "is no result of a gate"),
        (json.dumps({"base": "a" * 9_000_000}), "has 9,000,012 bytes; at most 8,388,608 are read"),
        (
            json.dumps({"base": "", "candidate": "", "rows": [asdict(GateRow("a", "costs", "b", "pass", 10**99))]}),
            "is no result of a gate",
        ),
        (
            json.dumps({"base": "", "candidate": "", "rows": [asdict(GateRow("a", "costs", "b", "pass"))] * 10_001}),
            "10,001 rows, more than 10,000",
        ),
    ],
    ids=range(10),
)
def test_what_is_no_result_is_refused_in_one_line_and_nothing_is_posted(
    stand: Any, job: Any, content: str, message: str, capfd: Any
) -> None:
    stand.open(7, SHA)
    assert job(content, FORK) == ExitCode.USAGE
    errors = capfd.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert len(errors) < 500
    assert stand.requests == []


def test_a_link_is_not_followed(tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "gate.json").symlink_to("/etc/passwd")
    assert cli.run(["comment", str(tmp_path / "gate.json"), "--show"]) == ExitCode.USAGE
    assert "is no file" in capfd.readouterr().err


def test_an_outcome_that_its_rows_do_not_bear_out_is_not_believed(stand: Any, job: Any) -> None:
    stand.open(7, SHA)
    lie = json.loads(output.as_json(report())) | {"outcome": "pass", "exit_code": 0}
    assert job(json.dumps(lie), FORK) == ExitCode.OK
    assert "❌ regressed" in stand.bodies(7)[0]


def test_the_job_that_may_write_needs_neither_torch_nor_pandas(tmp_path: Path) -> None:
    """It installs three small packages, and imports nothing that the job before it has made."""
    (tmp_path / "gate.json").write_text(output.as_json(report()))
    script = (
        "import sys\nfrom coordbench.harness.cli import main\n"
        "code = main.run(['comment', 'gate.json', '--show'])\n"
        "assert not {'torch', 'numpy', 'pandas', 'scipy', 'jinja2', 'sqlalchemy'} & set(sys.modules)\nsys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(MARKER)
