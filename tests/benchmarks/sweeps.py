"""Whole sweeps as a researcher would write them, and by coordbench: `python -m tests.benchmarks.sweeps [--rounds N]`.

The trials of variants of one seed of `quick`, costs left out, three ways, which take turns: a script for each trial
with torch's defaults, one process that trains them in a loop with torch's defaults, and `coordbench run`, its floors,
its checks and its records included. All three train by the same code, so that only the way counts. Printed are the
seconds of each, their medians over coordbench's, and how far scores lie apart: another number of threads rounds
otherwise, and training lets that grow.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import tomlkit

from coordbench.harness.analysis.tables import tables
from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.trial import Trial
from coordbench.harness.plan.planning import make_plan
from coordbench.harness.plan.preset import parse_preset
from coordbench.harness.process.settings import WORKER
from coordbench.harness.store.store import open_store

ROOT = Path(__file__).parents[2]
PRESET = "sweeps.toml"
Scores = dict[str, float]
"""The label of a trial -> its first score on test data."""


def preset(sweeps: int | None = None, steps: int | None = None) -> dict[str, object]:
    """`quick` with one seed and no costs; or its first sweeps alone, or with fewer steps."""
    content = tomllib.loads((ROOT / "harness" / "presets" / "quick.toml").read_text())
    content["run"]["seeds"] = 1
    content["sweep"] = [
        sweep | {"costs": False, "steps": steps or sweep["steps"]} for sweep in content["sweep"][:sweeps]
    ]
    return content


def trials(content: dict[str, object]) -> list[Trial]:
    """Its trials of variants."""
    registry.load()
    plan = make_plan(parse_preset(content, "sweeps"))
    return [trial for trial in plan.trials if trial.cell.reference is None]


def by_scripts(content: dict[str, object], folder: Path) -> Scores:
    """A script for each trial."""
    scores: Scores = {}
    for number in range(len(trials(content))):
        scores |= _script(folder, str(number))
    return scores


def by_loop(content: dict[str, object], folder: Path) -> Scores:
    """One process for all."""
    return _script(folder)


def by_coordbench(content: dict[str, object], folder: Path) -> Scores:
    """`coordbench run`, with its own settings."""
    out = Path(tempfile.mkdtemp(dir=folder))
    command = ["-m", "coordbench", "run", str(folder / PRESET), "--no-report", "--fresh", "--out", str(out)]
    subprocess.run([sys.executable, *command], cwd=ROOT, env=_environment(), check=True, capture_output=True)
    with open_store(None, out, existing=True) as store:
        rows = tables(store, store.resolve_run(None)).trials
    rows = rows[rows["reference"].isna()]
    return {_name(cell): float(score) for cell, score in zip(rows["cell"], rows["score"], strict=True)}


WAYS = {"a script each": by_scripts, "a loop": by_loop, "coordbench": by_coordbench}


def train_here(chosen: list[Trial]) -> None:
    """Train with torch's defaults and print the scores, as a script would."""
    from coordbench.harness.training import train

    scores = {}
    for trial in chosen:
        record = train.run(trial)
        metric = registry.select("task", trial.cell.task).entry.metrics[0].name
        scores[_name(trial.cell)] = record.scores["test"][metric]
    print(json.dumps(scores))


def _script(folder: Path, *number: str) -> Scores:
    command = [sys.executable, "-m", "tests.benchmarks.sweeps", "--train", str(folder / PRESET), *number]
    done = subprocess.run(command, cwd=ROOT, env=_environment(), check=True, capture_output=True, text=True)
    scores: Scores = json.loads(done.stdout.splitlines()[-1])
    return scores


def _environment() -> dict[str, str]:
    """A shell's, in which nobody has set up torch."""
    return {name: value for name, value in os.environ.items() if name not in WORKER.variables()}


def _name(cell: Cell) -> str:
    return f"{cell.task}, {cell.backbone}, {cell.label}"


def _apart(scores: Scores, others: Scores) -> float:
    """The largest relative difference; raises where the trials are not the same."""
    assert scores.keys() == others.keys(), scores.keys() ^ others.keys()
    return max(abs(others[name] - score) / max(abs(score), 1e-12) for name, score in scores.items())


def main() -> None:
    """Let the ways take turns, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sweeps", type=int, help="the first sweeps of the preset alone")
    parser.add_argument("--steps", type=int, help="fewer steps, to try this benchmark itself")
    parser.add_argument("--train", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        path, *numbers = options.train
        listed = trials(tomllib.loads(Path(path).read_text()))
        return train_here([listed[int(number)] for number in numbers] or listed)
    content = preset(options.sweeps, options.steps)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    scores: dict[str, Scores] = {}
    print(f"{len(trials(content))} trials; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / PRESET).write_text(tomlkit.dumps(content))
        for turn in range(options.rounds):
            order = list(WAYS)[turn % 3 :] + list(WAYS)[: turn % 3]
            for way in order:
                began = time.perf_counter()
                scores[way] = WAYS[way](content, Path(name))
                seconds[way].append(time.perf_counter() - began)
                print(f"{way}: {seconds[way][-1]:.1f} s", flush=True)
    base = statistics.median(seconds["coordbench"])
    for way, taken in seconds.items():
        middle, apart = statistics.median(taken), _apart(scores["coordbench"], scores[way])
        print(f"{way}: {middle:.1f} s, {middle / base:.2f} x coordbench's; scores at most {apart:.1e} apart")
    return None


if __name__ == "__main__":
    main()
