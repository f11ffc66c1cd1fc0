"""Layers that misbehave for real: each leaves a record with its status, and every other trial is unharmed."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sql

from coordbench.harness.analysis.tables import tables as read_tables
from coordbench.harness.analysis.trials import TRIAL_COLUMNS
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.process import family
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store

BAD = '''
"""Layers that misbehave."""
import os, time
import torch
from torch import nn
from coordbench.harness.core.registry import variant

class Base(nn.Conv1d):
    def __init__(self, i, o, k, *, size, stride=1, bias=True):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)

def bad(name):
    def register(method):
        kind = type(name, (Base,), {"forward": lambda self, x: method(super(kind, self).forward(x))})
        return variant(name, source="none")(kind)
    return register

@bad("raises")
def raises(y): raise ValueError("a layer\\nthat raises")

@bad("wrong_shape")
def wrong_shape(y): return y[:, :1]

@bad("gives_nan")
def gives_nan(y): return y * float("nan")

@bad("hangs")
def hangs(y):
    while True: pass

@bad("eats_memory")
def eats_memory(y):
    kept = []
    while True: kept.append(torch.ones(1 << 24))

@bad("kills_itself")
def kills_itself(y): os.kill(os.getpid(), 9)
'''
FAULTS = ["raises", "wrong_shape", "gives_nan", "hangs", "eats_memory", "kills_itself"]
STATUSES = ["error", "error", "diverged", "timeout", "out_of_memory", "crashed"]

ROOT = Path(__file__).parents[3]
Run = Callable[..., tuple[int, pd.DataFrame]]


def _left(temporary: Path, out: Path) -> list[str]:
    """Processes and files that a run left behind, after a moment to clear up."""
    mark = f"TMPDIR={temporary}".encode()
    for _ in range(600):  # a fork server that still imports sees only then that its driver is gone
        found = [path for folder in (temporary, out / "checkpoints") for path in folder.rglob("*")]
        files = [str(path) for path in found if "torchinductor" not in str(path)]  # torch's cache, one for all
        running = [str(pid) for pid in family._pids() if mark in family._read(pid, "environ").split(b"\0")]
        if not files + running:
            break
        time.sleep(0.1)
    return files + running


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "plugins" / "bad_layers.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(BAD)
    return path


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the processes under test put what they need for a moment."""
    path = tmp_path / "t"
    path.mkdir()
    return path


@pytest.fixture
def run(tmp_path: Path, temporary: Path) -> Run:
    """Run the command line in a process of its own; return its exit code and the trials it left."""

    def call(preset: str, plugins: Sequence[Path], *more: str) -> tuple[int, pd.DataFrame]:
        command = [sys.executable, "-m", "coordbench", "run", preset, "--out", str(tmp_path / "out"), *more]
        command += ["--plugin", *map(str, plugins)]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"TMPDIR": str(temporary)}
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert _left(temporary, tmp_path / "out") == []
        with Store(f"sqlite:///{tmp_path / 'out' / 'results.sqlite'}") as store:
            return done.returncode, read_tables(store, store.resolve_run(None)).trials

    return call


def test_each_fault_is_a_row_with_its_reason_and_the_rest_is_unharmed(
    toy: Path, bad: Path, preset: Callable[..., str], run: Run, tmp_path: Path
) -> None:
    code, trials = run(preset(["conv", *FAULTS], seeds=1, deadline=10), [toy, bad])
    assert code == ExitCode.TRIALS_FAILED
    found = trials.set_index("label")
    assert [found.loc[fault, "status"] for fault in FAULTS] == STATUSES, found["error"].to_dict()
    assert found.loc[["conv", "toy_mean", "toy_exact"], "status"].eq("ok").all()
    assert len(trials) == len(FAULTS) + 3
    assert found.loc["raises", "error"].startswith("ValueError: a layer that raises (bad_layers.py:")
    assert re.search(r"wrong_shape breaks the law of shapes: .* gave .*, expected ", found.loc["wrong_shape", "error"])
    assert found.loc["gives_nan", "error"] == "loss is nan at step 1"
    assert "within 10 s" in found.loc["hangs", "error"]
    assert "SIGKILL" in found.loc["kills_itself", "error"]
    assert found.loc[FAULTS, "score"].isna().all()
    assert _attempts(tmp_path / "out") == [2]  # only the one that died was tried again


def _attempts(out: Path) -> list[int]:
    with Store(f"sqlite:///{out / 'results.sqlite'}") as store:
        notes = [row.facts for row in store.read(sql.select(schema.records.c.facts))]
    return [note["attempts"] for note in notes if "attempts" in note]


def test_a_driver_killed_at_any_moment_goes_on_and_doubles_nothing(
    toy: Path, bad: Path, preset: Callable[..., str], run: Run, temporary: Path, tmp_path: Path
) -> None:
    small, out = preset(["conv"], seeds=6), tmp_path / "out"
    command = [sys.executable, "-m", "coordbench", "run", small, "--out", str(out), "--plugin", str(toy), str(bad)]
    reported: set[str] = set()
    for seconds in (random.uniform(1, 3), random.uniform(3, 9)):
        driver = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"TMPDIR": str(temporary)}, stderr=subprocess.PIPE, text=True
        )
        time.sleep(seconds)
        driver.kill()
        told = driver.communicate()[1]
        reported |= set(re.findall(r"\] (.*): mse", told))
        assert _left(temporary, out) == []
        assert len(_identities(out)) >= len(reported)  # what was told as done is there before the run goes on
    code, trials = run(small, [toy, bad], "--no-report")
    assert code == ExitCode.OK
    assert len(trials) == 18
    done = _identities(out)
    assert len(done) == len(set(done)) == 18


def _identities(out: Path) -> list[str]:
    out.mkdir(exist_ok=True)  # the driver may have died before it made it
    with Store(f"sqlite:///{out / 'results.sqlite'}") as store:
        return [row.identity for row in store.read(sql.select(schema.records.c.identity))]


def test_a_run_goes_on_where_it_was_and_repeats_only_what_changed(
    toy: Path, bad: Path, preset: Callable[..., str], run: Run
) -> None:
    small = preset(["conv", "raises"], seeds=2)
    code, first = run(small, [toy, bad], "--no-report")
    assert code == ExitCode.TRIALS_FAILED
    bad.write_text(BAD.replace('raise ValueError("a layer\\nthat raises")', "return y"))
    code, second = run(small, [toy, bad], "--no-report")
    assert code == ExitCode.OK
    scores = [frame.set_index(["label", "seed"])["score"] for frame in (first, second)]
    assert scores[0].loc[["conv"]].equals(scores[1].loc[["conv"]])
    assert second["status"].eq("ok").all()
    _, third = run(small, [toy, bad], "--fresh", "--no-report")
    pd.testing.assert_series_equal(third["score"], second["score"])  # the same trial twice on one machine


def test_scores_are_normalized_between_the_computed_bounds(toy: Path, preset: Callable[..., str], run: Run) -> None:
    _, trials = run(preset(["conv"], steps=300), [toy], "--no-report")
    assert list(trials.columns) == [*TRIAL_COLUMNS, "record", "cell", "unsteady"]
    normalized = trials.set_index("label")["normalized"]
    assert normalized["toy_mean"].eq(0).all()
    assert normalized["toy_exact"].eq(1).all()
    assert normalized["conv"].between(0.05, 1).all()  # zero padding tells some position
