"""The command line: exit codes, one line for each mistake, lists and exports that machines read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from coordbench.harness.analysis.tables import tables as read_tables
from coordbench.harness.analysis.trials import TRIAL_COLUMNS
from coordbench.harness.cli import main as cli
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.store.store import Store

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "quik"], "unknown preset 'quik'; valid: "),
        (["run", "--variants", "conf"], "unknown variant 'conf'; did you mean 'conv'?"),
        (["run", "--tasks", "dancing"], "unknown task 'dancing'; valid: "),
        (["run", "--seeds", "many"], "many"),
        (["run", "--seeds", "0"], "seeds=0 must be a number of seeds from 1"),
        (["run", "--workers", "0"], "workers=0 must be at least 1"),
        (["run", "--plugin", "nowhere.py"], "plug-in 'nowhere.py' is not a file"),
        (["run", "--store", "nonsense"], "store 'nonsense' cannot be opened"),
        (["run", "--cluster", "local:0"], "write local:N with N of at least 1"),
        (["run", "--devise", "cpu"], "--devise"),
        (["list", "variant"], "variant"),
        (["report"], "holds no run yet"),
        (["report", "2019"], "there is no store"),
        (["export", "--format", "xlsx"], "xlsx"),
        (["runs", "delete"], "needs the names of runs"),
        (["runs", "prune", "--keep", "-1"], "keep=-1"),
        (["check", "nowhere.py"], "is not a file"),
        (["dance"], "unknown command 'dance'; valid: run, list, "),
        (
            ["verify", "here", "--sampel", "3"],
            "--sampel of verify; valid: --data-only, --json, --note, --plug",
        ),
        (["verify", "here", "--device=cpu"], "unknown option --device of verify; valid: --data-only, --json, "),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.err.startswith("coordbench: ")
    assert told in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("kind", ["variants", "tasks", "backbones", "references", "presets", "runs"])
def test_lists_are_arrays_of_objects_with_names(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list", kind, "--json"]) == ExitCode.OK
    rows = json.loads(capsys.readouterr().out)
    assert all(row["name"] for row in rows)
    if kind == "variants":
        assert {"coordconv", "geoconv", "coordgate"} <= {row["name"] for row in rows}
        assert all(row["source"] and row["dims"] and isinstance(row["options"], list) for row in rows)


def test_a_run_is_planned_run_explained_exported_and_pruned(
    toy: Path, preset: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", preset(["conv", "coordconv"]), "--plugin", str(toy)]
    assert cli.run([*command, "--dry-run"]) == ExitCode.OK
    assert "8 trials, 8 to run" in capsys.readouterr().out
    assert cli.run(command) == ExitCode.OK
    told = capsys.readouterr()
    page = Path(told.out.strip().rpartition("report: ")[2])
    assert page.is_file()
    assert told.err.count("\n") == 8  # one plain line per finished trial where there is no terminal
    assert cli.run([*command, "--explain", "--dry-run"]) == ExitCode.OK
    told = capsys.readouterr()
    assert told.out.count(": reused") == 8
    (toy.parent / "toy_helper.py").write_text("SIZE = 9\n")
    code = subprocess.run(
        [sys.executable, "-m", "coordbench", *command, "--explain", "--dry-run"],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    assert code.stdout.count(": run: source toy_helper.py") == 8
    assert cli.run(["export", "--format", "csv", "--out", "tables"]) == ExitCode.OK
    (folder,) = (tmp_path / "tables").iterdir()  # one per run, so that the next does not replace it
    trials = pd.read_csv(folder / "trials.csv")
    assert list(trials.columns) == TRIAL_COLUMNS
    assert len(trials) == 8
    assert cli.run([*command, "--no-report"]) == ExitCode.OK
    capsys.readouterr()
    assert cli.run(["runs", "prune", "--keep", "3"]) == ExitCode.OK  # more than the two that there are
    assert "deleted" not in capsys.readouterr().out
    assert cli.run(["runs", "prune", "--keep", "0"]) == ExitCode.OK
    assert capsys.readouterr().out.count("deleted") == 2
    assert not page.exists()
    assert page.name not in page.with_name("index.html").read_text()
    assert cli.run(["report"]) == ExitCode.USAGE


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_every_format_holds_the_same_scores(form: str, toy: Path, preset: Callable[..., str], tmp_path: Path) -> None:
    out = ["--out", "tables"]  # one folder for the store, the report and the tables
    assert cli.run(["run", preset(["conv"]), "--plugin", str(toy), *out]) == ExitCode.OK
    assert cli.run(["export", "--format", form, *out]) == ExitCode.OK
    read = pd.read_parquet if form == "parquet" else pd.read_json
    (folder,) = [path.parent for path in (tmp_path / "tables").glob(f"*/trials.{form}")]
    frames = {name: read(folder / f"{name}.{form}") for name in ("trials", "scores", "curves", "samples")}
    joined = frames["scores"].query("split == 'test' and metric == 'mse'").set_index("trial")["value"]
    assert joined.to_list() == pytest.approx(frames["trials"]["score"].to_list())
    assert set(frames["curves"]["metric"]) >= {"train/loss", "validation/mse"}


def test_a_preset_without_a_sweep_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.toml").write_text('[run]\ndescription = "nothing"\n')
    assert cli.run(["run", "empty.toml"]) == ExitCode.USAGE
    assert "holds no sweep; write at least one table, headed [[sweep]]" in capsys.readouterr().err


SLOW = """
import time
from torch import nn
from coordbench.harness.core.registry import variant

@variant("sluggish", source="none")
class Sluggish(nn.Conv1d):
    def __init__(self, i, o, k, *, size, stride=1, bias=True):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)
    def forward(self, x):
        time.sleep(0.2)
        return super().forward(x)
"""


@pytest.mark.parametrize("end", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_an_interrupted_run_keeps_what_it_has_and_goes_on(
    end: signal.Signals, toy: Path, preset: Callable[..., str], tmp_path: Path
) -> None:
    slow = toy.with_name("sluggish.py")
    slow.write_text(SLOW)
    command = [
        sys.executable,
        "-m",
        "coordbench",
        "run",
        preset(["sluggish"], seeds=4),
        "--no-report",
        "--plugin",
        str(toy),
        str(slow),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's `&` has it ignored
    )  # fmt: skip
    assert driver.stderr is not None
    seen = [driver.stderr.readline() for _ in range(4)]
    driver.send_signal(end)
    driver.send_signal(end)  # a user who presses Ctrl-C twice
    rest = driver.communicate(timeout=60)[1]
    assert driver.returncode == (ExitCode.INTERRUPTED if end == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in rest
    url = f"sqlite:///{tmp_path / 'coordbench-results' / 'results.sqlite'}"
    with Store(url) as store:
        before = read_tables(store, store.resolve_run(None)).trials
    assert len(before) == 12
    assert before["status"].eq("ok").sum() >= len(seen)
    assert not _alive(driver.pid)
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == ExitCode.OK, again.stderr
    with Store(url) as store:
        after = read_tables(store, store.resolve_run(None)).trials
    done = before["status"].eq("ok")
    assert after["status"].eq("ok").all()
    assert after.loc[done, "score"].equals(before.loc[done, "score"])
    assert int(again.stdout.partition("(")[2].split()[0]) >= done.sum()


def _alive(driver: int) -> bool:
    """Whether a process of the driver's session or below still runs after a moment."""
    for _ in range(100):
        listed = subprocess.run(["ps", "-eo", "sid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
        if not any(line.split()[0] == str(driver) and "Z" not in line.split()[2] for line in listed.splitlines()):
            return False
        time.sleep(0.1)
    return True
