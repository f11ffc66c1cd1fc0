"""Accepted regressions: written from a report, shown as accepted, ending by date, and hiding nothing on top."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordbench.harness.cli import main as cli
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.gate import accepted, output
from coordbench.harness.gate.accepted import Accepted
from coordbench.harness.gate.rows import GateRow, Report

TODAY = datetime.date(2030, 6, 1)


def slower(change: float, spread: float = 0.02) -> GateRow:
    return GateRow("mine", "speed", "forward", "regressed", 1.0, 1.0 + change, change, change - spread, change + spread)


def written(folder: Path, *rows: GateRow) -> Path:
    (folder / "gate.json").write_text(output.as_json(Report("a", "b", list(rows))))
    return folder / "gate.json"


def accept(folder: Path, row: GateRow, until: str | None = None) -> list[Accepted]:
    accepted.acknowledge(folder, written(folder, row), row.name, "it is worth it", until, TODAY)
    return accepted.read_accepted(folder)


def test_an_accepted_row_passes_with_its_reason_and_what_comes_on_top_does_not(tmp_path: Path) -> None:
    entries = accept(tmp_path, slower(0.09))
    again, noisy, second = (accepted.apply([slower(x)], entries, TODAY)[0] for x in (0.09, 0.12, 0.17))
    assert (again.outcome, noisy.outcome, second.outcome) == ("accepted", "accepted", "regressed")
    assert again.note == "accepted: it is worth it"
    assert Report("a", "b", [again]).code == ExitCode.OK
    assert Report("a", "b", [again, second]).code == ExitCode.REGRESSED
    assert "accepted" in output.text(Report("a", "b", [again]))
    assert accepted.notes([second], entries, TODAY) == ["mine: forward was accepted up to 0.11, and is worse now"]


def test_an_exact_count_is_accepted_to_the_byte(tmp_path: Path) -> None:
    def grown(change: float) -> GateRow:
        return GateRow("mine", "costs", "allocated_bytes", "regressed", 100, round(100 * (1 + change)), change)

    entries = accept(tmp_path, grown(0.05))
    outcomes = [accepted.apply([grown(change)], entries, TODAY)[0].outcome for change in (0.05, 0.06)]
    assert outcomes == ["accepted", "regressed"]


def test_a_loss_of_accuracy_is_accepted_in_its_own_unit(tmp_path: Path) -> None:
    lost = GateRow("mine", "accuracy", "accuracy", "regressed", 0.9, 0.8, -0.10, -0.12, -0.08)
    worse = GateRow("mine", "accuracy", "accuracy", "regressed", 0.9, 0.7, -0.20, -0.22, -0.18)
    entries = accept(tmp_path, lost)
    assert [row.outcome for row in accepted.apply([lost, worse], entries, TODAY)] == ["accepted", "regressed"]


def test_an_entry_ends_after_its_day(tmp_path: Path) -> None:
    entries = accept(tmp_path, slower(0.09), "2030-06-01")
    assert accepted.apply([slower(0.09)], entries, TODAY)[0].outcome == "accepted"
    tomorrow = TODAY + datetime.timedelta(days=1)
    row = accepted.apply([slower(0.09)], entries, tomorrow)[0]
    assert row.outcome == "regressed"
    assert accepted.notes([row], entries, tomorrow) == ["mine: forward was accepted until 2030-06-01"]


def test_one_entry_per_row_and_others_are_kept(tmp_path: Path) -> None:
    accept(tmp_path, slower(0.09))
    accept(tmp_path, GateRow("other", "costs", "parameters", "regressed", 1, 2, 1.0))
    entries = accept(tmp_path, slower(0.30))
    assert [(entry.row, round(entry.change, 2)) for entry in entries] == [
        ("mine: forward", 0.32),
        ("other: parameters", 1.0),
    ]


@pytest.mark.parametrize(
    ("row", "reason", "until", "message"),
    [
        ("nobody: forward", "why", None, r"unknown row 'nobody: forward' .*; valid: 'mine: forward'"),
        ("mine: forward", " ", None, "needs a --reason"),
        ("mine: forward", "why", "soon", "--until 'soon' is no date"),
        ("mine: forward", "why", "2030-05-31", "--until 2030-05-31 has passed"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, row: str, reason: str, until: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        accepted.acknowledge(tmp_path, written(tmp_path, slower(0.1)), row, reason, until, TODAY)
    assert not (tmp_path / accepted.FILE).exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accepted = 3", r"accepted must be tables, each headed \[\[accepted\]\]"),
        ("[[accepted]]\nrow = 'a'", "entry 1: missing keys change, reason"),
        ("[[accepted]]\nrow='a'\nchange=1\nreason='b'\nuntil='x'", "until='x' is not valid; expected date"),
        ("[[acepted]]\nrow = 'a'", "unknown key 'acepted'; valid: accepted"),
        ("{", "cannot be read"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / accepted.FILE).write_text(text)
    with pytest.raises(UsageError, match=rf"coordbench-accepted\.toml.*{message}"):
        accepted.read_accepted(tmp_path)


@pytest.mark.slow
def test_a_regression_is_acknowledged_on_the_command_line_and_the_gate_passes(
    make_project: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    project = make_project()
    project.layer("mine")
    project.settings("mine", channels=2, size=4, batch=1)
    project.commit()
    project.layer("mine", before="x = x + 0")
    monkeypatch.chdir(project.folder)
    gate = ["gate", "--base", "HEAD", "--stages", "costs"]
    assert cli.run(gate) == ExitCode.REGRESSED
    assert "why: forward: +1 aten::add" in capfd.readouterr().out
    row = "mine: allocated_bytes"
    assert cli.run(["gate", "--acknowledge", row, "--reason", "a clearer layer"]) == ExitCode.OK
    capfd.readouterr()
    assert cli.run(gate) == ExitCode.OK
    assert "accepted: a clearer layer" in " ".join(capfd.readouterr().out.split())
    project.layer("mine", before="x = x + 0; y = [x + i for i in range(9)]")
    assert cli.run(gate) == ExitCode.REGRESSED
    assert cli.run(["gate"]) == ExitCode.USAGE
