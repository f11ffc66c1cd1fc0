"""One contract for every database: SQLite always, PostgreSQL where a server is named."""

from __future__ import annotations

import multiprocessing
import pickle
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sql

from coordbench.harness.analysis.runs import runs as listed_runs
from coordbench.harness.analysis.tables import tables as read_tables
from coordbench.harness.cli import main as cli
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.problem import Sample
from coordbench.harness.core.record import CostRecord
from coordbench.harness.core.scores import At, Fate, State
from coordbench.harness.core.trial import CostJob
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store, StoreError, open_store
from tests.harness.store.filling import FACTS, fill, identity, record, trial


def test_what_is_stored_is_read_back_exactly(url: str) -> None:
    with Store(url) as store:
        run = fill(store, [(trial(0), record(0.1 + 0.2))])
        tables = read_tables(store, run)
    assert tables.trials["score"].tolist() == [0.1 + 0.2]
    assert tables.curves["value"].tolist() == [1, 1 / 2, 1 / 3]
    assert tables.curves["seconds"].tolist() == [0.1, 0.2, 0.3]
    sample = tables.samples.iloc[0]
    array = np.frombuffer(sample["data"], sample["dtype"]).reshape(sample["shape"])
    assert np.array_equal(array, np.arange(6).reshape(2, 3))


def test_conditions_steps_and_fates_are_columns_not_parts_of_names(url: str) -> None:
    """A name that looks like a condition is none; nobody parses it."""
    named = {"mse": 1.0, At("mse", "m", 8): 2.0, At("mse", "image", "camera"): 3.0, "odd@m=9": 4.0}
    shown = [Sample("a", "sheet", "line", np.zeros(2), step) for step in (300, None)]
    fate = Fate(State.COLLAPSED, 1.5, 30.0)
    conditional = record(0.0, scores={"test": named}, samples=shown, fate=fate, epoch_steps=16.0)
    with Store(url) as store:
        tables = read_tables(store, fill(store, [(trial(0), pickle.loads(pickle.dumps(conditional)))]))
    scores = tables.scores.set_index("metric").astype(object)
    columns = scores[["of", "axis", "level", "part"]]
    rows = columns.where(columns.notna(), None).to_dict("split")
    assert dict(zip(rows["index"], rows["data"], strict=True)) == {
        "mse": ["mse", None, None, None],
        "mse@m=8": ["mse", "m", 8.0, None],
        "mse@camera": ["mse", "image", None, "camera"],
        "odd@m=9": ["odd@m=9", None, None, None],
    }
    assert tables.samples["step"].fillna(-1).tolist() == [300, -1]
    row = tables.trials.iloc[0]
    assert (row["fate"], row["fate_start"], row["fate_time"]) == ("collapsed", 1.5, 30.0)
    assert row["epoch_steps"] == 16
    assert row["score"] == 1  # the metric itself, whatever holds under conditions


def test_normalized_is_zero_at_the_floor_and_one_at_the_ceiling_of_the_same_seed(url: str) -> None:
    jobs = [
        (trial(0, None, "mean"), record(4.0)),
        (trial(0, None, "exact"), record(0.0)),
        (trial(0), record(1.0)),
        (trial(1), record(1.0)),
    ]
    with Store(url) as store:
        trials = read_tables(store, fill(store, jobs)).trials
    assert trials["normalized"].tolist()[:3] == [0.0, 1.0, 0.75]
    assert pd.isna(trials["normalized"][3])  # that seed has no bounds


def test_an_item_without_a_record_is_a_skipped_row(url: str) -> None:
    with Store(url) as store:
        run = fill(store, [(trial(0), record(1.0))])
        store.add_items(run, [(trial(1), identity(trial(1)), {})])
        trials = read_tables(store, run).trials
    assert trials["status"].tolist() == ["ok", "skipped"]


@pytest.mark.parametrize(
    ("status", "found"), [("ok", True), ("diverged", True), ("timeout", False), ("crashed", False)]
)
def test_only_records_that_would_come_out_the_same_are_used_again(url: str, status: str, found: bool) -> None:
    job = trial(0)
    with Store(url) as store:
        fill(store, [(job, record(1.0, status=status))])
        assert (store.find(identity(job)) is not None) == found
        assert store.find(identity(job, source="2")) is None
        before = store.earlier_parts(identity(job, source="2"))
        assert before is not None
        assert identity(job, source="2").explain(before) == "source x.py"


def test_costs_stand_beside_every_seed_and_raw_latencies_are_kept(url: str) -> None:
    job = CostJob(Cell.of("toy", "net", "conv"))
    cost = CostRecord("ok", parameters=7, flops=2**40, latencies={"forward": [0.1, 0.3]}, environment={"python": "3"})
    with Store(url) as store:
        run = fill(store, [(trial(seed), record(1.0)) for seed in (0, 1)])
        [position] = store.add_items(run, [(job, identity(job), {})])
        store.add(run, position, identity(job), cost)
        tables = read_tables(store, run)
    assert tables.trials["flops"].tolist() == [2**40, 2**40]
    assert tables.latencies[["variant", "phase", "turn", "seconds"]].to_numpy().tolist() == [
        ["conv", "forward", 0, 0.1],
        ["conv", "forward", 1, 0.3],
    ]


def test_deleting_a_run_keeps_what_another_run_uses(url: str) -> None:
    with Store(url) as store:
        first = fill(store, [(trial(0), record(1.0)), (trial(1), record(2.0))])
        second = store.start_run("p", "", {}, FACTS)
        [position] = store.add_items(second, [(trial(0), identity(trial(0)), {})])
        answered = store.reuse(second, [(position, identity(trial(0))), (position, identity(trial(9)))])
        assert [status for _, status in answered.values()] == ["ok"]
        assert store.delete_run(first) == 1
        assert read_tables(store, second).trials["score"].tolist() == [1.0]
        assert store.resolve_run(None) == second
        with pytest.raises(UsageError, match=f"no run named '{first}'"):
            store.resolve_run(first)


def test_the_latest_run_is_the_last_one_started_also_when_the_clock_goes_backwards(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(url) as store:
        monkeypatch.setattr("coordbench.harness.store.encoding.now", lambda: "2030-01-01T00:00:00.000+00:00")
        store.start_run("p", "", {}, FACTS)
        monkeypatch.setattr("coordbench.harness.store.encoding.now", lambda: "2020-01-01T00:00:00.000+00:00")
        last = store.start_run("p", "", {}, FACTS)
        assert store.latest_run() == last
        assert listed_runs(store)["run"].iloc[-1] == last


def test_a_store_that_may_only_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with Store(f"sqlite:///{path}") as store:
        run = fill(store, [(trial(0), record(1.0))])
    with Store(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        assert read_tables(store, run).trials["score"].tolist() == [1.0]
        with pytest.raises(StoreError, match="readonly database"):
            store.start_run("p", "", {}, FACTS)


def test_text_of_any_kind_survives(url: str) -> None:
    nasty = "'; DROP TABLE records; -- \u2603 <script>\n\x01"
    failed = record(1.0, status="error", error=nasty + "\0", notes={"log": nasty + "\0\ud800"})
    with Store(url) as store:
        trials = read_tables(store, fill(store, [(trial(0, label=f"conv[text={nasty}]"), failed)])).trials
    assert trials["label"].tolist() == [f"conv[text={nasty}]"]
    assert trials["variant_options"].tolist() == [f"text={nasty}"]
    assert trials["error"].tolist() == [nasty]


def test_what_a_database_cannot_hold_is_replaced(url: str) -> None:
    scores = {"test": {"mse": float("nan"), "m\0x": 1.0}}
    details = {"ratio": float("nan"), "list": [float("inf"), 1.0], "path": Path("a")}
    job = CostJob(Cell.of("toy", "net", "conv"))
    with Store(url) as store:
        run = fill(store, [(trial(0), record(1.0, scores=scores, error="half \ud800"))])
        [position] = store.add_items(run, [(job, identity(job), {})])
        store.add(run, position, identity(job), CostRecord("ok", details=details, environment={"python": "3"}))
        tables = read_tables(store, run)
    assert tables.trials["error"].tolist() == ["half ?"]
    assert set(tables.scores["metric"]) == {"mse", "mx"}
    assert tables.costs["details"].tolist() == [{"ratio": None, "list": [None, 1.0], "path": "a"}]


def test_many_records_are_committed_together_or_not_at_all(url: str) -> None:
    jobs = [trial(seed) for seed in range(5)]
    with Store(url) as store:
        run = store.start_run("p", "coordbench run", {"python": "3"}, FACTS)
        places = store.add_items(run, [(job, identity(job), {}) for job in jobs])
        answers = [(place, identity(job), record(float(job.seed))) for place, job in zip(places, jobs, strict=True)]
        broken = record(9.0, steps=object())
        with pytest.raises(StoreError):
            store.add_many(run, [*answers[:3], (places[3], identity(jobs[3]), broken)])
        assert read_tables(store, run).trials["status"].eq("skipped").all()
        numbers = store.add_many(run, answers[::-1])
        tables = read_tables(store, run)
        assert store.add_many(run, []) == []
        assert [store.score(number, "test", "mse") for number in numbers] == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert tables.trials["score"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert tables.curves.groupby("trial").size().tolist() == [3] * 5


def _append(url: str, count: int) -> None:
    with Store(url) as store:
        fill(store, [(trial(seed), record(float(seed))) for seed in range(count)])


def test_two_runs_write_into_one_store_at_once(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append, args=(url, 40)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    with Store(url) as store:
        for run in listed_runs(store)["run"]:
            assert read_tables(store, run).trials["score"].tolist() == [float(seed) for seed in range(40)]


def test_a_run_waits_for_another_that_makes_the_store_at_the_same_moment(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    first = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    first.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, first.execute, ["COMMIT"])
    release.start()
    with Store(f"sqlite:///{path}") as store, store.engine.connect() as connection:
        assert not release.is_alive()
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    first.close()


@pytest.mark.parametrize(("version", "says"), [(schema.SCHEMA_VERSION + 1, "newer than"), (1, "older than")])
def test_a_store_of_another_version_is_refused_in_one_line(url: str, version: int, says: str) -> None:
    with Store(url) as store, store.engine.begin() as connection:
        connection.execute(schema.meta.update().values(value=str(version)))
    with pytest.raises(StoreError, match=f"schema version {version}, {says} {schema.SCHEMA_VERSION}; ") as caught:
        Store(url)
    assert "\n" not in str(caught.value)


def test_a_broken_or_foreign_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match=r"results\.sqlite: file is not a database"):
        Store(f"sqlite:///{path}")
    with pytest.raises(StoreError, match=r"cannot be opened: .* write sqlite:///FILE"):
        Store("nonsense")
    with pytest.raises(StoreError, match="cannot be made"):
        open_store(None, path / "below")


def test_a_full_disk_is_told_and_loses_nothing_committed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'results.sqlite'}"
    with Store(url) as store:
        run = fill(store, [(trial(0), record(1.0))])
        [position] = store.add_items(run, [(trial(1), identity(trial(1)), {})])
        with store.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

        @sql.event.listens_for(store.engine, "checkout")
        def _full(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count={pages}")

        big = [Sample("a", "output", "image", np.zeros((1000, 1000), np.float32))]
        with pytest.raises(StoreError, match="full"):
            store.add(run, position, identity(trial(1)), record(2.0, samples=big))
    with Store(url) as store:
        assert read_tables(store, run).trials["status"].tolist() == ["ok", "skipped"]


def test_a_store_that_another_run_holds_for_long_is_waited_for(url: str) -> None:
    with Store(url) as store, Store(url) as other:
        run = fill(store, [(trial(0), record(1.0))])
        with other.writer.connect() as holder:
            transaction = holder.begin()
            holder.execute(schema.items.update().values(reused=False))
            with ThreadPoolExecutor(1) as thread:
                job = (trial(1), identity(trial(1)), {})
                waiting = thread.submit(store.add_items, run, [job])
                waiting2 = thread.submit(store.add, run, 0, identity(trial(0)), record(2.0))
                time.sleep(1)
                assert not waiting2.done()
                transaction.commit()
                assert waiting.result() == [1]
                assert waiting2.result() > 1
        assert read_tables(store, run).trials["score"].tolist()[0] == 2.0


def test_a_store_that_stays_locked_is_told_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordbench.harness.store.engine.WAIT_SECONDS", 0.2)
    url = f"sqlite:///{tmp_path / 'results.sqlite'}"
    with Store(url) as store:
        run = fill(store, [(trial(0), record(1.0))])
        with sqlite3.connect(tmp_path / "results.sqlite", isolation_level=None) as holder:
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="database is locked"):
                store.add(run, 0, identity(trial(0)), record(2.0))
            assert read_tables(store, run).trials["score"].tolist() == [1.0]  # readers are not in the way
            holder.execute("ROLLBACK")
        assert store.add(run, 0, identity(trial(0)), record(2.0)) == 2


def test_a_damaged_store_is_told_with_what_can_still_be_read(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with Store(f"sqlite:///{path}") as store:
        run = fill(store, [(trial(seed), record(1.0)) for seed in range(60)])
        [page] = store.read(sql.text("SELECT rootpage FROM sqlite_master WHERE name = 'scores'"))
    with path.open("r+b") as file:  # its write-ahead log went when the last connection closed
        file.seek(4096 * (page.rootpage - 1))
        file.write(b"\xff" * 4096)
    with Store(f"sqlite:///{path}") as store, pytest.raises(StoreError) as told:
        read_tables(store, run)
    assert "malformed; still readable: 1 environments, 60 items, 1 meta, 60 records, 1 runs" in str(told.value)
    assert "60 series" in str(told.value)
    assert "scores" not in str(told.value)


def test_runs_are_deleted_by_name_and_pruned_by_age(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(url) as store:
        names = [fill(store, [(trial(seed), record(1.0))]) for seed in range(3)]
    assert cli.run(["runs", "delete", names[1], "--store", url]) == ExitCode.OK
    assert capsys.readouterr().out == f"deleted {names[1]} and 1 records\n"
    assert cli.run(["runs", "prune", "--keep", "1", "--store", url]) == ExitCode.OK
    assert capsys.readouterr().out == f"deleted {names[0]} and 1 records\n"
    with Store(url) as store:
        assert list(listed_runs(store)["run"]) == names[2:]
        assert read_tables(store, names[2]).trials["score"].tolist() == [1.0]
