"""The trials of a preset on both sides: which of them depend on other code on each side, and running them."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.selector import Selector
from coordbench.harness.gate.side.messages import PlannedTrial
from coordbench.harness.gate.sides import Tree, end
from coordbench.harness.process.family import end_with_parent
from coordbench.harness.statistics.paired import FEWEST_PAIRS


def changed(base: Sequence[PlannedTrial], candidate: Sequence[PlannedTrial]) -> tuple[list[str], list[str]]:
    """The variants and the base names of the tasks among whose trials any depends on something else on each side."""
    before = {(trial.cell, trial.seed): trial.digest for trial in base}
    others = [trial for trial in candidate if before.get((trial.cell, trial.seed)) != trial.digest]
    tasks = {Selector.parse(trial.task).name for trial in others}
    return sorted({trial.variant for trial in others}), sorted(tasks)


def check_seeds(trials: Sequence[PlannedTrial], preset: str) -> None:
    """Raise UsageError if a preset has too few seeds for any outcome."""
    seeds = max(Counter(trial.cell for trial in trials).values(), default=FEWEST_PAIRS)
    if seeds < FEWEST_PAIRS:
        raise UsageError(
            f"preset {preset!r} has {seeds} seeds; fewer than {FEWEST_PAIRS} pairs of seeds decide "
            "nothing, so the accuracy of no layer could pass or regress"
        )


def run_trials(tree: Tree, preset: Path, choice: Sequence[str], plugins: Sequence[str], store: str) -> str:
    """Run a preset's trials with the code of a tree, into a store; return why that did not work, or nothing."""
    command = [
        *(sys.executable, "-P", "-m", "coordbench", "run", str(preset), "--device", "cpu", *choice),
        *(["--plugin", *plugins] if plugins else []),
        *("--no-report", "--store", store, "--out", str(tree.scratch / f"out-{tree.name}")),
    ]
    log = tree.scratch / f"trials-{tree.name}.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=tree.folder, env=tree.environment, start_new_session=True,
            preexec_fn=functools.partial(end_with_parent, os.getpid()),
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            code = process.wait()
        finally:
            end(process)
    printed = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if code in (ExitCode.OK, ExitCode.TRIALS_FAILED):
        return ""
    return f"exited with code {code}: {printed[-1][:300] if printed else 'it printed nothing'}"
