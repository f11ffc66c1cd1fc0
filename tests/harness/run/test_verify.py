"""What verify says of a row: equal bits where the platform is the same, measured tolerances where it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sql

from coordbench.harness.cli import main as cli
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.trial import Trial
from coordbench.harness.process import environment
from coordbench.harness.run.verify import tolerance
from coordbench.harness.run.verify.check import Answer, compared
from coordbench.harness.run.verify.stored import Result, Score, StoredJob, stored_jobs, stored_result
from coordbench.harness.store import checksum
from coordbench.harness.store.encoding import pack, unpack
from coordbench.harness.store.schema import samples, series
from coordbench.harness.store.store import Store
from coordbench.harness.store.travel import verified

HERE = environment.describe()
BEFORE = Result(
    {"test mse": Score(0.5, "mse"), "test psnr": Score(20.0, "psnr")},
    {"train/loss": (np.array([1.0, 2.0]), np.array([0.3, 0.2]))},
    {"1: a output": b"abc"},
)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if differences of 0.01 had been measured of the mse, and nothing of any other metric."""
    known = {("toy", "mse"): tolerance.Tolerance("toy", "mse", 9, 0.008, 0.01)}
    monkeypatch.setattr(tolerance, "tolerances", lambda: known)


def _row(processor: str) -> StoredJob:
    trial = Trial(Cell.of("toy[noise=1]", "net", "conv"), 0)
    return StoredJob(1, "i", trial, "ok", {}, HERE | {"processor": processor})


def _scored(mse: float = 0.5, psnr: float = 20.0) -> Result:
    return replace(BEFORE, scores={"test mse": Score(mse, "mse"), "test psnr": Score(psnr, "psnr")})


@pytest.mark.parametrize(
    ("now", "same", "elsewhere"),
    [
        (BEFORE, "verified", "verified"),
        (_scored(mse=0.5 + 1e-15), "differs", "within tolerance"),
        (_scored(mse=0.5099), "differs", "within tolerance"),
        (_scored(mse=0.511), "differs", "differs"),
        (_scored(psnr=20.1), "differs", "undecided"),
        (_scored(mse=0.511, psnr=20.1), "differs", "differs"),
        (_scored(mse=float("nan")), "differs", "differs"),
        (replace(BEFORE, scores={"test mse": Score(0.5, "mse")}), "differs", "differs"),
        (
            replace(BEFORE, curves={"train/loss": (np.array([1.0, 2.0]), np.array([0.3, 0.21]))}),
            "differs",
            "within tolerance",
        ),
        (replace(BEFORE, samples={"1: a output": b"abd"}), "differs", "within tolerance"),
    ],
)
@pytest.mark.usefixtures("measured")
def test_equal_bits_here_and_measured_differences_elsewhere(now: Result, same: Answer, elsewhere: Answer) -> None:
    answers = [
        compared(_row(processor), BEFORE, now, {}).answer for processor in (str(HERE["processor"]), "another one")
    ]
    assert answers == [same, elsewhere]


@pytest.mark.usefixtures("measured")
def test_the_line_names_the_worst_score_with_both_values_and_what_is_another_one() -> None:
    check = compared(_row("another one"), BEFORE, _scored(mse=0.52), {})
    assert check.detail == "test mse was 0.5, is 0.52 (0.02 apart, 0.01 may be); another processor"


@pytest.mark.parametrize(
    ("psnr", "seeds", "answer"),
    [
        (20.1, [19.9, 20.0, 20.1, 20.2, 19.8], "within tolerance"),
        (30.0, [19.9, 20.0, 20.1, 20.2, 19.8], "differs"),
        (20.1, [19.9, 20.0, 20.1, 20.2], "undecided"),  # too few seeds to tell
        (20.1, [20.0] * 5, "undecided"),
        (20.0 + 1e-6, [20.0] * 5, "within tolerance"),  # rounding
        (20.0 + 1e-4, [20.0] * 5, "undecided"),
    ],
)
@pytest.mark.usefixtures("measured")
def test_elsewhere_a_score_is_as_near_as_seeds_are_where_nothing_was_measured(
    psnr: float, seeds: list[float], answer: Answer
) -> None:
    assert compared(_row("another one"), BEFORE, _scored(psnr=psnr), {"test psnr": seeds}).answer == answer


@pytest.mark.usefixtures("measured")
def test_seeds_count_before_what_was_measured_of_shorter_trainings() -> None:
    near = compared(_row("another one"), BEFORE, _scored(mse=0.505), {"test mse": [0.5, 0.5001, 0.4999, 0.5, 0.5001]})
    assert near.answer == "differs"


@pytest.mark.parametrize("count", [5, 20])
def test_two_seeds_lie_within_the_bound_of_others(count: int) -> None:
    generator = np.random.default_rng(5)
    drawn, pairs = generator.normal(0, 2.0, (2000, count)), generator.normal(0, 2.0, (2000, 2))
    bounds = np.array([tolerance.bound_of_seeds(row) for row in drawn], float)
    assert np.mean(np.abs(pairs[:, 0] - pairs[:, 1]) <= bounds) >= 0.999
    assert np.median(bounds) < 60  # so that a number from nowhere is still seen


def test_a_bound_holds_what_it_says() -> None:
    generator = np.random.default_rng(3)
    drawn = generator.normal(0, 2.0, (400, 20))
    held = [np.mean(np.abs(drawn) <= tolerance.bound(row)) >= 0.99 for row in drawn]
    assert 0.9 < np.mean(held) <= 1
    assert tolerance.bound([0.0, 0.0]) == 0
    assert tolerance.bound([0.0] * 1000 + [9.0]) >= 9


def test_tolerances_are_stored_with_what_they_were_measured_on() -> None:
    content = json.loads(tolerance.FILE.read_text())
    assert content["measured"]
    assert all(
        (note.get("settings") or note.get("records")) and note["processor"] and note["versions"]
        for note in content["measured"]
    )
    assert all(row.count >= 10 and row.tolerance >= row.largest >= 0 for row in tolerance.tolerances().values())


def test_numbers_that_were_changed_with_their_checksums_are_seen_when_the_row_is_trained_again(
    toy: Path, preset: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = ["--plugin", str(toy)]
    assert cli.run(["run", preset(["conv"], seeds=1), *plugin, "--out", str(tmp_path), "--no-report"]) == ExitCode.OK
    store = Store(f"sqlite:///{tmp_path / 'results.sqlite'}")
    [row] = (row for row in stored_jobs(store) if row.job.cell.variant)
    assert stored_result(store, row.record).samples
    with store.writing() as connection:
        curve = connection.execute(sql.select(series).where(series.c.record == row.record)).first()
        assert curve is not None
        values = pack((unpack(curve.values) + 1e-9).tolist())
        mark = checksum.of_parts(curve.metric, curve.steps, curve.seconds, values)
        here = (series.c.record == row.record) & (series.c.metric == curve.metric)
        connection.execute(series.update().where(here).values(values=values, checksum=mark))
        data = b"\0" * 32
        forged = samples.update().where(samples.c.record == row.record)
        connection.execute(forged.values(data=data, checksum=checksum.of_parts(data)))
    capsys.readouterr()
    assert cli.run(["verify", str(tmp_path), "--sample", "9", *plugin]) == ExitCode.REGRESSED
    printed = capsys.readouterr().out
    assert "1 differs, 2 verified" in printed
    assert f"curve {curve.metric} at step" in printed
    assert "and 1 more; the platform is the same" in printed


def test_notes_say_how_often_a_row_was_verified_and_on_what(tmp_path: Path) -> None:
    assert verified.read(tmp_path) == []
    verified.add(tmp_path, [("a", "verified")])
    verified.add(tmp_path, [("a", "verified"), ("b", "differs")])
    notes = verified.read(tmp_path)
    assert [(note.identity, note.answer) for note in notes] == [("a", "verified"), ("a", "verified"), ("b", "differs")]
    assert {note.processor for note in notes} == {HERE["processor"]}
    verified.forget_others(tmp_path, ["b", "c"])
    assert [note.identity for note in verified.read(tmp_path)] == ["b"]


@pytest.mark.parametrize(
    "content",
    ["{", "[[1]]", '[{"identity": "a"}]', json.dumps([dict.fromkeys(verified.FIELDS, "a\n<b>")]), "[" * 99999],
)
def test_notes_that_are_none_are_refused_in_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / verified.FILE).write_text(content)
    with pytest.raises(UsageError, match="cannot be read") as refused:
        verified.read(tmp_path)
    assert "\n" not in str(refused.value)
