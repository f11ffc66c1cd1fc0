"""Where a store is: odd folders are folders, passwords are told to nobody, nothing is made by a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordbench.harness.analysis.runs import runs as listed_runs
from coordbench.harness.analysis.tables import tables as read_tables
from coordbench.harness.cli import main as cli
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.store.address import mask, parse, show
from coordbench.harness.store.store import FILE, Store, StoreError, open_store
from tests.harness.store.filling import FACTS, fill, record, trial

SECRET = "hunter2"


@pytest.mark.parametrize("name", ["que?ry=1", "que?mode=memory", "a#b", "100%25", "two words", "q?uri=true&mode=ro"])
def test_a_folder_of_any_name_holds_its_store(tmp_path: Path, name: str) -> None:
    with open_store(None, tmp_path / name) as store:
        run = fill(store, [(trial(0), record(1.0))])
    assert (tmp_path / name / FILE).is_file()
    with open_store(None, tmp_path / name, existing=True) as store:
        assert read_tables(store, run).trials["score"].tolist() == [1.0]


def test_two_odd_folders_hold_two_stores(tmp_path: Path) -> None:
    for name in ("que?ry=1", "que?mode=memory"):
        with open_store(None, tmp_path / name) as store:
            fill(store, [(trial(0), record(1.0))])
    for name in ("que?ry=1", "que?mode=memory"):
        with open_store(None, tmp_path / name) as store:
            assert len(listed_runs(store)) == 1
    assert not (tmp_path / "que").exists()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hunter2@host:5/name", "postgresql://me:***@host:5/name"),
        ("postgresql+psycopg://me:hun%40ter2@host/name", "postgresql+psycopg://me:***@host/name"),
        (
            "run quick --store postgresql://me:hunter2@host/db --out x",
            "run quick --store postgresql://me:***@host/db --out x",
        ),
        ("postgresql://host/db?user=me&password=hunter2&port=5", "postgresql://host/db?user=me&password=***&port=5"),
        ("postgresql://me:p@ss@host/db", "postgresql://me:***@host/db"),
        ("'postgresql://me:hunter2@host/db'", "'postgresql://me:***@host/db'"),
        ("sqlite:///folder/results.sqlite", "sqlite:///folder/results.sqlite"),
        ("https://host/a:b@c", "https://host/a:b@c"),
        ("no url at all: a@b", "no url at all: a@b"),
    ],
)
def test_passwords_are_masked_in_any_text(text: str, shown: str) -> None:
    assert mask(text) == shown


def test_a_url_is_shown_without_its_password() -> None:
    assert show(parse(f"postgresql+psycopg://me:{SECRET}@host/db")) == "postgresql+psycopg://me:***@host/db"
    assert SECRET not in show(parse(f"postgresql+psycopg://host/db?password={SECRET}"))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/db",  # nobody listens there
        f"postgresql+nodriver://me:{SECRET}@host/db",
        f"nodatabase://me:{SECRET}@host/db",
        f"postgresql://me:{SECRET}@host:port/db",
        f"postgresql//me:{SECRET}@host/db",
        f"sqlite://me:{SECRET}@host/db",
    ],
)
def test_no_error_tells_a_password(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StoreError) as error:
        Store(url)
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)
    assert cli.run(["list", "runs", "--store", url]) == ExitCode.USAGE
    assert SECRET not in "".join(capsys.readouterr())


def test_nothing_that_is_written_tells_the_password_of_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_store(None, tmp_path) as store:
        command = f"coordbench run --store postgresql://me:{SECRET}@host/db"
        run = store.start_run("p", command, {"python": "3"}, FACTS)
        store.finish_run(run)
    out = ["--out", str(tmp_path)]
    for arguments in (["list", "runs", "--json"], ["report", "--files"], ["export", "--format", "json"]):
        assert cli.run([*arguments, *out]) == ExitCode.OK
    assert SECRET not in "".join(capsys.readouterr())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"index.html", "trials.json", "summary.md", FILE} <= {path.name for path in files}
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("command", [["runs", "prune"], ["runs", "delete", "x"], ["report"], ["compare", "a", "b"]])
def test_a_mistyped_store_is_told_and_not_made(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.sqlit"
    out = ["--out", str(tmp_path / "nowhere")]
    assert cli.run([*command, *out]) == ExitCode.USAGE
    assert cli.run([*command, *out, "--store", f"sqlite:///{path}"]) == ExitCode.USAGE
    messages = capsys.readouterr().err.splitlines()
    assert f"there is no store {str(path)!r}" in messages[1]
    assert len(messages) == 2
    assert list(tmp_path.iterdir()) == []
