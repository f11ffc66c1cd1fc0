"""Turn a plan into records over any executor; only the driver writes the store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from coordbench.harness.core.trial import Job, Trial
from coordbench.harness.plan.planning import Plan, with_rate
from coordbench.harness.process import environment, isolate
from coordbench.harness.run import facts, identity
from coordbench.harness.run.patience import Patience
from coordbench.harness.run.progress import Listener
from coordbench.harness.run.rates import Tuner, extra_trials
from coordbench.harness.run.recorder import Recorder, Result
from coordbench.harness.run.stage import Noted, Stage, plain
from coordbench.harness.run.worker import Limits
from coordbench.harness.store.store import Store
from coordbench.harness.training.partial import remove_left


@dataclass(frozen=True)
class Driver:
    """Everything a sweep needs beside its plan."""

    store: Store
    listener: Listener
    workers: int = 2
    executor: Executor | None = None
    plugins: Sequence[str] = ()
    fresh: bool = False
    command: str = "coordbench run"
    checkpoints: Path | None = None
    patience_seconds: float = 300.0
    """How long a store that is away is waited for."""
    unstored: Path | None = None
    """Where finished records are put that the store does not take, and are taken up from."""
    say: Callable[[str], None] = print

    def run(self, plan: Plan) -> Result:
        """Run a plan to its end; on KeyboardInterrupt end the workers and raise it again, records kept."""
        if self.checkpoints is not None:
            remove_left(self.checkpoints)
        executor = self.executor or ThreadPoolExecutor(self.workers, thread_name_prefix="worker")
        stage = self._stage(plan, executor)
        try:
            trials = self._tune(plan, stage)
            stage.answer(sorted(trials, key=lambda item: _by_seed(item[0])))
            stage.answer(plain(plan.costs))
        except BaseException:
            isolate.stop()
            raise
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
        stage.recorder.finish()
        return stage.recorder.result

    def _stage(self, plan: Plan, executor: Executor) -> Stage:
        """Begin the run in the store."""
        device = next((cell.device for cell in facts.cells(plan)), "cpu")
        about = environment.describe(device), facts.of_run(plan, self.plugins)
        result = Result(self.store.start_run(plan.preset.name, self.command, *about))
        patience = Patience(self.patience_seconds, self.say)
        recorder = Recorder(self.store, self.listener, result, patience, self.unstored)
        return Stage(recorder, executor, self._limits(plan), tuple(self.plugins), self.fresh, self.checkpoints)

    def _limits(self, plan: Plan) -> Limits:
        preset = plan.preset
        memory = int(min(preset.memory_gib * 2**30, sys.maxsize))
        sources = identity.of_plugins(self.plugins)
        return Limits(preset.deadline_seconds, memory, None, preset.checkpoint_seconds, preset.cost_seconds, sources)

    def _tune(self, plan: Plan, stage: Stage) -> list[Noted]:
        """Run the tuning trials and give every tuned trial the rate its variant chose; extend the grid once for all.

        A tuned trial may come to equal one whose rate the preset fixes: both stay, each with its own note.
        """
        if not plan.tuning:
            return [(trial, plan.notes.get(trial, {})) for trial in plan.trials]
        numbers = stage.answer(plain(plan.tuning))
        tuner = Tuner.of(plan, self.store)
        more = tuner.extensions(numbers)
        numbers = numbers | stage.answer(plain(extra_trials(more)))
        choices = tuner.choices(more, numbers)
        trials: list[Noted] = []
        for trial in plan.trials:
            note = dict(plan.notes.get(trial, {}))
            choice = choices[trial.cell] if trial in plan.rates else None
            if choice is not None:
                trial = with_rate(trial, choice.rate)
                note["tuning"] = asdict(choice)
            trials.append((trial, note))
        return trials


def _by_seed(job: Job) -> int:
    """All cells with one seed before any with the next, so that an interrupted run has seen every cell."""
    return job.seed if isinstance(job, Trial) else 0
