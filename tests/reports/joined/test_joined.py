"""The page over all runs: every record once, machines and revisions apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from coordbench.harness.cli import main as cli
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.store.store import Store
from coordbench.reports.joined.data import joined
from tests.reports.conftest import ENVIRONMENT, Fill, outcome

ALPHA = "alpha[canvas=8]"


def _elsewhere(trial: Trial) -> Record:
    """The same on another machine, by another revision."""
    machine = ENVIRONMENT | {"processor": "another <b>one</b>", "revision": {"commit": "f" * 40, "dirty": True}}
    return replace(outcome(trial), environment=machine)


def test_a_shared_record_counts_once_and_machines_stay_apart(store: Store, fill: Fill) -> None:
    fill(variants=["conv"], seeds=3, tasks=[ALPHA])
    fill(variants=["conv"], seeds=3, tasks=[ALPHA], record=_elsewhere)
    scores = [score for score in joined(store).scores if score.cell.variant]
    assert [score.seeds for score in scores] == [3, 3]
    assert len({score.place for score in scores}) == 2
    assert {score.place.revision for score in scores} >= {"ffffffffff+"}
    before = joined(store)
    run = store.latest_run()
    assert run is not None
    _repeat(store, run)
    after = joined(store)
    assert len(after.runs) == len(before.runs) + 1
    assert [replace(score, runs=()) for score in after.scores] == [replace(score, runs=()) for score in before.scores]


def _repeat(store: Store, run: str) -> None:
    """A further run whose items all point to the records of an earlier one."""
    import sqlalchemy as sql

    from coordbench.harness.store.schema import items, runs

    with store.writing() as connection:
        for table, name in ((runs, "id"), (items, "run")):
            rows = connection.execute(sql.select(table).where(table.c[name] == run)).all()
            copies = [dict(row._mapping) | {name: "again"} for row in rows]
            connection.execute(table.insert(), [row | ({"number": 99} if table is runs else {}) for row in copies])


def test_the_page_offers_each_machine_and_revision_and_escapes_their_names(
    store: Store, fill: Fill, tmp_path: Path
) -> None:
    fill(seeds=2)
    fill(seeds=2, record=_elsewhere)
    assert cli.run(["report", "--all", "--out", str(tmp_path)]) == ExitCode.OK
    html = (tmp_path / "all.html").read_text()
    assert "<option>another &lt;b&gt;one&lt;/b&gt;</option>" in html
    assert "<option>ffffffffff+</option>" in html
    assert "<b>one" not in html
    assert "<script>alert" not in html
    assert "http" not in html.replace("http://www.w3.org", "")


def test_all_runs_are_no_run(tmp_path: Path, store: Store, fill: Fill) -> None:
    run = fill(variants=["conv"], seeds=1, tasks=[ALPHA])
    assert cli.run(["report", run, "--all", "--out", str(tmp_path)]) == ExitCode.USAGE
