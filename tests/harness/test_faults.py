"""Layers that misbehave for real: each leaves a record with its status, and every other trial is unharmed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from harness import cli, summarize
from harness.store import Store

BAD = '''
"""Layers that misbehave."""
import os, time
import torch
from torch import nn
from harness.registry import variant

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

Run = Callable[..., tuple[int, pd.DataFrame]]


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "plugins" / "bad_layers.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(BAD)
    return path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command line in a process of its own; return its exit code and the trials it left."""

    def call(profile: str, plugins: Sequence[Path], *more: str) -> tuple[int, pd.DataFrame]:
        command = [sys.executable, "-m", "harness", "run", profile, "--out", str(tmp_path / "out"), *more]
        command += ["--plugin", *map(str, plugins)]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        with Store(f"sqlite:///{tmp_path / 'out' / 'results.sqlite'}") as store:
            return done.returncode, summarize.tables(store, store.resolve_run(None)).trials

    return call


def test_each_fault_is_a_row_with_its_reason_and_the_rest_is_unharmed(
    toy: Path, bad: Path, profile: Callable[..., str], run: Run
) -> None:
    code, trials = run(profile(["conv", *FAULTS], seeds=1, deadline=10), [toy, bad])
    assert code == cli.TRIALS_FAILED
    found = trials.set_index("label")
    assert [found.loc[fault, "status"] for fault in FAULTS] == STATUSES
    assert found.loc[["conv", "toy_mean", "toy_exact"], "status"].eq("ok").all()
    assert len(trials) == len(FAULTS) + 3
    assert found.loc["raises", "error"].startswith("ValueError: a layer that raises (bad_layers.py:")
    assert found.loc["gives_nan", "error"] == "loss is nan at step 1"
    assert "within 10 s" in found.loc["hangs", "error"]
    assert "SIGKILL" in found.loc["kills_itself", "error"]
    assert found.loc[FAULTS, "score"].isna().all()


def test_a_run_goes_on_where_it_was_and_repeats_only_what_changed(
    toy: Path, bad: Path, profile: Callable[..., str], run: Run
) -> None:
    small = profile(["conv", "raises"], seeds=2)
    code, first = run(small, [toy, bad])
    assert code == cli.TRIALS_FAILED
    bad.write_text(BAD.replace('raise ValueError("a layer\\nthat raises")', "return y"))
    code, second = run(small, [toy, bad])
    assert code == cli.OK
    scores = [frame.set_index(["label", "seed"])["score"] for frame in (first, second)]
    assert scores[0].loc[["conv"]].equals(scores[1].loc[["conv"]])
    assert second["status"].eq("ok").all()
    _, third = run(small, [toy, bad], "--fresh")
    pd.testing.assert_series_equal(third["score"], second["score"])  # the same trial twice on one machine


def test_scores_are_normalized_between_the_computed_bounds(toy: Path, profile: Callable[..., str], run: Run) -> None:
    _, trials = run(profile(["conv"], steps=300), [toy])
    assert list(trials.columns) == summarize.TRIAL_COLUMNS
    normalized = trials.set_index("label")["normalized"]
    assert normalized["toy_mean"].eq(0).all()
    assert normalized["toy_exact"].eq(1).all()
    assert normalized["conv"].between(0.05, 1).all()  # zero padding tells some position
