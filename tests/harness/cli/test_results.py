"""Documents are written from runs of record: a number that was changed in either is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordbench.harness.cli import main as cli
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.store.schema import scores
from coordbench.harness.store.store import Store, open_store
from coordbench.harness.store.travel.archive import write_archive
from tests.harness.store.filling import fill, record, trial

DOCUMENT = """# Ours

Said by hand. <!-- results: scores toys --><!-- end -->

| a | b |
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two seeds of two layers."""
    opened = open_store(None, tmp_path / "store")
    values = {("conv", 0): 0.5, ("conv", 1): 0.75, ("coordconv", 0): 0.125, ("coordconv", 1): 0.125}
    fill(opened, [(trial(seed, label), record(value)) for (label, seed), value in values.items()])
    return opened


@pytest.fixture
def folder(store: Store, tmp_path: Path) -> Path:
    """A folder of records beside a document that was written from it."""
    results = tmp_path / "results"
    write_archive(store, [store.resolve_run(None)], results / "toys", note="load 0.5")
    (tmp_path / "README.md").write_text(DOCUMENT)
    assert cli.run(["results", str(results)]) == ExitCode.OK
    return results


def test_a_document_is_written_from_records_and_the_rest_stays(folder: Path, tmp_path: Path) -> None:
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("# Ours\n\nSaid by hand. <!-- results: scores toys -->\n| contest |")
    assert text.endswith("<!-- end -->\n\n| a | b |\n")
    assert "| toy, net, 3 steps (mse) | coordconv | 0.125 [0.125, 0.125] | 2 | 0 |" in text
    assert cli.run(["results", str(folder), "--check"]) == ExitCode.OK
    assert cli.run(["results", str(folder)]) == ExitCode.OK
    assert (tmp_path / "README.md").read_text() == text


def test_a_table_of_scores_shows_those_that_it_names(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("<!-- results: scores toys mse -->\n<!-- end -->\n")
    assert cli.run(["results", str(folder)]) == ExitCode.OK
    text = (tmp_path / "README.md").read_text()
    assert "| contest | layer | score | mse | seeds | failed |" in text
    assert "| coordconv | 0.125 [0.125, 0.125] | 0.125 [0.125, 0.125] | 2 | 0 |" in text


def test_a_number_of_a_document_that_was_changed_by_hand_is_seen(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "README.md"
    path.write_text(path.read_text().replace("0.625", "0.525"))
    assert cli.run(["results", str(folder), "--check"]) == ExitCode.REGRESSED
    assert "README.md: `scores toys` is not what the records say" in capsys.readouterr().out


def test_a_record_that_changed_is_seen(folder: Path, store: Store) -> None:
    with store.writing() as connection:
        connection.execute(scores.update().where(scores.c.record == 3).values(value=0.25))
    write_archive(store, [store.resolve_run(None)], folder / "toys")
    assert cli.run(["results", str(folder), "--check"]) == ExitCode.REGRESSED


def test_stale_rows_are_counted_with_what_changed_and_a_release_has_none(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert cli.run(["results", str(folder), "--check"]) == ExitCode.OK
    assert "stale rows: 4 (toys 4 of 4)" in capsys.readouterr().out  # their task is registered nowhere
    assert cli.run(["results", str(folder), "--check", "--release"]) == ExitCode.INCONCLUSIVE
    (tmp_path / "README.md").write_text("<!-- results: state -->\n<!-- end -->\n")
    assert cli.run(["results", str(folder)]) == ExitCode.OK
    text = (tmp_path / "README.md").read_text()
    assert "| toys | 0 | 4 |" in text
    assert "- toys: 4 rows by unknown task 'toy'" in text
    (tmp_path / "README.md").write_text(text.replace("| 4 |", "| 3 |"))
    assert cli.run(["results", str(folder), "--check"]) == ExitCode.OK  # what follows from the sources may be behind


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("<!-- results: runs -->", "has no `<!-- end -->`"),
        ("<!-- results: opinions toys --><!-- end -->", "'opinions toys' is unknown; valid: runs, state"),
        ("<!-- results: scores --><!-- end -->", "too few or too many arguments"),
        ("<!-- results: scores others --><!-- end -->", "holds no run of record 'others'; valid: toys"),
        ("<!-- results: scores toys taste --><!-- end -->", "run of record 'toys' holds no score taste"),
        ("<!-- results: cost toys conv huge forward --><!-- end -->", "valid: small, large, wide; forward_backward"),
        ("<!-- results: cost toys conv large forward --><!-- end -->", "holds 0 rows of 'conv'"),
        ("nothing", "has a mark"),
    ],
)
def test_a_mark_that_asks_for_nothing_there_is_a_mistake(
    mark: str, message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text(f"a {mark} b\n")
    capsys.readouterr()
    assert cli.run(["results", str(folder)]) == ExitCode.USAGE
    assert message in (error := capsys.readouterr().err)
    assert len(error.splitlines()) == 1
