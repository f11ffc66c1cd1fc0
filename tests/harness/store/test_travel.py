"""Records that travel: two stores become one, folders are written and read back, bad folders are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sql

from coordbench.harness.cli import main as cli
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CurvePoint, Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.store import checksum
from coordbench.harness.store.encoding import pack
from coordbench.harness.store.schema import items, records, runs, scores, series
from coordbench.harness.store.store import Store, open_store, unpack
from coordbench.harness.store.travel.archive import open_archive, write_archive
from coordbench.harness.store.travel.manifest import MANIFEST, ArchiveError
from coordbench.harness.store.travel.merge import merge

FACTS = {"tasks": {}, "preset": {}, "variants": {}}


def _record(value: float, machine: str = "a") -> Record:
    points = [CurvePoint(step, step / 10, "train/loss", 1 / step) for step in range(1, 101)]
    return Record("ok", scores={"test": {"accuracy": value}}, curves=points, environment={"processor": machine})


def _fill(store: Store, seeds: range, value: Callable[[int], float] = float, machine: str = "a") -> str:
    run = store.start_run("p", "coordbench run", {"processor": machine}, FACTS)
    jobs = [Trial(Cell.of("toy", "net", "conv"), seed) for seed in seeds]
    listed = [(job, Identity(f"toy {job.seed}", {"source x": "1"}), {}) for job in jobs]
    positions = store.add_items(run, listed)
    store.add_many(
        run,
        [
            (place, known, _record(value(job.seed), machine))
            for place, (job, known, _) in zip(positions, listed, strict=True)
        ],
    )
    store.finish_run(run)
    return run


def _content(store: Store) -> set[tuple[str, str, float]]:
    query = sql.select(records.c.identity, scores.c.metric, scores.c.value)
    return {tuple(row) for row in store.read(query.join(scores, scores.c.record == records.c.id))}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Store, Store]:
    return open_store(None, tmp_path / "a"), open_store(None, tmp_path / "b")


def test_two_stores_that_overlap_by_half_become_what_one_run_would_have_held(
    pair: tuple[Store, Store], tmp_path: Path
) -> None:
    first, second = pair
    _fill(first, range(10))
    _fill(second, range(5, 15))
    merged = merge(second, first)
    assert (merged.records, merged.equal, merged.runs, merged.conflicts) == (5, 5, 1, [])
    with open_store(None, tmp_path / "one") as one:
        _fill(one, range(15))
        assert _content(first) == _content(one)
    pointed = first.read(
        sql.select(items.c.run, records.c.key, items.c.key.label("wanted")).join(
            records, items.c.record == records.c.id
        )
    )
    assert len(pointed) == 20
    assert all(row.key == row.wanted for row in pointed)


def test_a_merge_that_is_repeated_or_was_interrupted_comes_to_the_same(
    pair: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    _fill(second, range(4))
    with monkeypatch.context() as patched:  # the process ends after the records and before the runs
        patched.setattr(
            "coordbench.harness.store.travel.merge._copy_runs", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            merge(second, first)
    assert merge(second, first).runs == 1
    again = merge(second, first)
    assert (again.records, again.equal, again.runs) == (0, 4, 0)
    assert _content(first) == _content(second)


def test_another_result_of_the_same_identity_is_kept_and_told_with_both_machines(pair: tuple[Store, Store]) -> None:
    first, second = pair
    _fill(first, range(2), machine="a fast one")
    _fill(second, range(2), lambda seed: seed + 0.5 * (seed == 1), "a slow one")
    merged = merge(second, first)
    [conflict] = merged.conflicts
    assert ("accuracy 1 (a fast one" in conflict.here, "accuracy 1.5 (a slow one" in conflict.there) == (True, True)
    assert len(_content(first)) == 3  # both stay
    assert merge(second, first).conflicts == []  # told once: the second result is there now


def test_a_folder_of_records_comes_back_whole_with_thin_curves(pair: tuple[Store, Store], tmp_path: Path) -> None:
    first, second = pair
    run = _fill(first, range(3))
    folder = write_archive(first, [run], tmp_path / "records")
    with open_archive(folder) as archive:
        assert merge(archive, second).records == 3
        assert merge(archive, first).records == 0  # thinned curves are the same result
    assert _content(first) == _content(second)
    steps = [unpack(row.steps).tolist() for row in second.read(sql.select(series))]
    assert [(len(curve), curve[0], curve[-1]) for curve in steps] == [(20, 1, 100)] * 3


def test_a_command_travels_without_the_folder_of_its_machine(pair: tuple[Store, Store], tmp_path: Path) -> None:
    command = "coordbench run quick --out '/home/me/my runs' --seeds 3"
    run = pair[0].start_run("p", command, {"processor": "any"}, FACTS)
    with open_archive(write_archive(pair[0], [run], tmp_path / "records")) as archive:
        [row] = archive.read(sql.select(runs.c.command))
    assert row.command == "coordbench run quick --seeds 3"


def test_a_thousand_trials_fit_into_a_megabyte(pair: tuple[Store, Store], tmp_path: Path) -> None:
    run = _fill(pair[0], range(1000))
    folder = write_archive(pair[0], [run], tmp_path / "records")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2**20


def _repack(folder: Path, name: str, table: pa.Table) -> None:
    """Replace a table and make its hash true, as an attacker would."""
    import hashlib

    path = folder / f"{name}.parquet"
    pq.write_table(table, path)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["tables"][name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def _other_type(folder: Path) -> None:
    table = pq.read_table(folder / "scores.parquet")
    _repack(folder, "scores", table.set_column(table.schema.get_field_index("value"), "value", [["a"] * len(table)]))


def _path_as_run(folder: Path) -> None:
    table = pq.read_table(folder / "runs.parquet")
    _repack(folder, "runs", table.set_column(0, "id", [["../../etc/passwd"] * len(table)]))


def _bomb(folder: Path) -> None:
    table = pq.read_table(folder / "samples.parquet")
    big = pa.table(
        {
            name: pa.array([b"\0" * (1 << 20)] * 300 if name == "data" else [None] * 300, table.schema.field(name).type)
            for name in table.schema.names
        }
    )
    _repack(folder, "samples", big)


def _no_json(folder: Path) -> None:
    table = pq.read_table(folder / "items.parquet")
    at = table.schema.get_field_index("job")
    _repack(folder, "items", table.set_column(at, "job", [["{" * 5] * len(table)]))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "is no folder of records"),
        (lambda folder: (folder / MANIFEST).write_text("[" * 100_000), "manifest.json cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text(" " * (1 << 21)), "larger than 1 MiB"),
        (lambda folder: (folder / "scores.parquet").write_bytes(b"PAR1"), "is not the file that manifest.json names"),
        (_other_type, "has other columns than a table of scores"),
        (_path_as_run, "is no name of a run"),
        (_bomb, "which is too much"),
        (_no_json, "column job holds no JSON"),
    ],
)
def test_a_malicious_folder_is_refused_in_one_line(
    spoil: Callable[[Path], object], message: str, pair: tuple[Store, Store], tmp_path: Path
) -> None:
    folder = write_archive(pair[0], [_fill(pair[0], range(2))], tmp_path / "records")
    spoil(folder)
    with pytest.raises(ArchiveError, match=message) as refused, open_archive(folder):
        pass
    assert "\n" not in str(refused.value)


def test_merge_reuse_and_verify_from_the_command_line(
    toy: Path, preset: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, plugin = preset(["conv"], seeds=2), ["--plugin", str(toy)]
    a, b, folder = (str(tmp_path / name) for name in ("a", "b", "records"))
    assert cli.run(["run", small, *plugin, "--out", a, "--no-report"]) == ExitCode.OK
    assert cli.run(["export", "--records", folder, "--out", a]) == ExitCode.OK
    capsys.readouterr()
    assert cli.run(["run", small, *plugin, "--out", b, "--dry-run", "--reuse", folder]) == ExitCode.OK
    assert "nothing to train" in capsys.readouterr().out
    assert cli.run(["run", small, *plugin, "--out", b, "--no-report", "--reuse", folder]) == ExitCode.OK
    assert "(6 reused)" in capsys.readouterr().out
    assert cli.run(["verify", folder, "--sample", "3", *plugin]) == ExitCode.OK
    assert "3 verified" in capsys.readouterr().out
    assert cli.run(["merge", folder, a, "--out", str(tmp_path / "c")]) == ExitCode.OK
    assert "6 records and 1 runs are new" in capsys.readouterr().out

    shutil.copytree(a, tmp_path / "changed")
    with Store(f"sqlite:///{tmp_path / 'changed' / 'results.sqlite'}") as store, store.writing() as connection:
        connection.execute(scores.update().values(value=scores.c.value + 1e-9))
    assert cli.run(["verify", str(tmp_path / "changed"), "--sample", "2", *plugin]) == ExitCode.REGRESSED
    assert "6 altered" in capsys.readouterr().out  # all of them, whether they are drawn or not


def test_a_row_whose_sources_changed_is_stale_and_says_which(
    toy: Path, preset: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = ["--plugin", str(toy)]
    assert cli.run(["run", preset(["conv"], seeds=1), *plugin, "--out", str(tmp_path), "--no-report"]) == ExitCode.OK
    with Store(f"sqlite:///{tmp_path / 'results.sqlite'}") as store, store.writing() as connection:
        connection.execute(
            sql.text("UPDATE sources SET parts = replace(parts, 'source toy_task.py', 'source toy_other.py')")
        )
    capsys.readouterr()
    assert cli.run(["verify", str(tmp_path), "--sample", "1", *plugin]) == ExitCode.INCONCLUSIVE
    assert "stale" in (printed := capsys.readouterr().out)
    assert "toy_task.py" in printed


@pytest.mark.parametrize(
    "command", [["merge", "nowhere"], ["verify", "nowhere"], ["verify", "sqlite:///nowhere.sqlite"]]
)
def test_a_source_that_is_not_there_is_a_mistake(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(command) == ExitCode.USAGE
    assert not (tmp_path / "nowhere.sqlite").exists()


def _statements(source: Store, target: Store) -> int:
    """How often a merge asks either database."""
    asked: list[str] = []

    def count(connection: object, cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    for store in (source, target):
        sql.event.listen(store.engine, "before_cursor_execute", count)
    merge(source, target)
    for store in (source, target):
        sql.event.remove(store.engine, "before_cursor_execute", count)
    return len(asked)


def test_a_merge_asks_in_batches_and_never_once_a_record(pair: tuple[Store, Store], tmp_path: Path) -> None:
    first, second = pair
    _fill(second, range(1000))
    few = _statements(second, first)
    with open_store(None, tmp_path / "c") as third, open_store(None, tmp_path / "d") as fourth:
        _fill(third, range(3000))
        many = _statements(third, fourth)
        assert len(_content(fourth)) == 3000
    assert len(first.read(sql.select(runs))) == 1
    assert few < 100
    assert many <= 3 * few


def test_a_curve_that_was_changed_by_hand_is_still_seen_in_a_folder(pair: tuple[Store, Store], tmp_path: Path) -> None:
    first, _ = pair
    run = _fill(first, range(1))
    with first.writing() as connection:
        connection.execute(series.update().values(values=pack([0.5] * 100)))
    with open_archive(write_archive(first, [run], tmp_path / "records")) as archive:
        [row] = archive.read(sql.select(series))
    assert checksum.of_parts(row.metric, row.steps, row.seconds, row.values) != row.checksum


def test_a_merge_says_what_was_altered_and_a_reuse_leaves_it(pair: tuple[Store, Store], tmp_path: Path) -> None:
    first, second = pair
    _fill(first, range(3))
    with first.writing() as connection:
        connection.execute(scores.update().where(scores.c.record == 2).values(value=0.25))
    merged = merge(first, second)
    assert merged.records == 3
    assert [json.loads(job)["seed"] for job in merged.altered] == [1]
    with open_store(None, tmp_path / "reusing") as reusing:
        reusable = merge(first, reusing, with_runs=False)
        assert (reusable.records, len(reusable.altered)) == (2, 1)
        assert 0.25 not in {value for _, _, value in _content(reusing)}
