"""Turn a plan into records over any executor; only the driver writes the store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.trial import Trial
from coordbench.harness.plan.planning import Plan, with_rate
from coordbench.harness.process import environment, isolate
from coordbench.harness.run import facts, identity, looks
from coordbench.harness.run.looks import Judge, Schedule
from coordbench.harness.run.patience import Patience
from coordbench.harness.run.progress import Listener
from coordbench.harness.run.rates import Tuner
from coordbench.harness.run.recorder import Noted, Recorder, Result
from coordbench.harness.run.stage import Stage, plain
from coordbench.harness.run.worker import Limits
from coordbench.harness.store.leases import Leases
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
    judge: Judge | None = None
    """What says which comparisons are open after a look; without it none is ever decided."""

    def run(self, plan: Plan) -> Result:
        """Run a plan to its end; on KeyboardInterrupt end the workers and raise it again, records kept."""
        if self.checkpoints is not None:
            remove_left(self.checkpoints)
        executor = self.executor or ThreadPoolExecutor(self.workers, thread_name_prefix="worker")
        device = next((cell.device for cell in facts.cells(plan)), "cpu")
        about = environment.describe(device), facts.of_run(plan, self.plugins)
        patience = Patience(self.patience_seconds, self.say)
        result = Result(patience(lambda: self.store.start_run(plan.preset.name, self.command, *about)))
        with self._leases(result.run, patience) as leases:
            recorder = Recorder(self.store, self.listener, result, patience, self.unstored, leases)
            plugins = tuple(self.plugins)
            stage = Stage(
                recorder, executor, self._limits(plan), plugins, self.fresh, self.checkpoints, self.workers,
                plan.costs,
            )  # fmt: skip
            try:
                self.listener.begin(len(plan.tuning) + len(plan.trials) + len(plan.costs))
                trials = self._tune(plan, stage)
                self._train(patience(lambda: looks.schedule(plan, trials, self.store)), stage)
                self.listener.begin(len(plan.costs))  # seeds that no verdict needs any more are not waited for
                stage.answer("costs", plain(plan.costs))
            except BaseException:
                isolate.stop()
                raise
            finally:
                executor.shutdown(wait=True, cancel_futures=True)
        recorder.finish()
        return result

    def _leases(self, run: str, patience: Patience) -> AbstractContextManager[Leases | None]:
        """What keeps other drivers of this store from our trials; a run that does all anew shares none."""
        return nullcontext() if self.fresh else patience(lambda: Leases(self.store, run))

    def _limits(self, plan: Plan) -> Limits:
        preset = plan.preset
        memory = int(min(preset.memory_gib * 2**30, sys.maxsize))
        sources = identity.of_plugins(self.plugins)
        return Limits(preset.deadline_seconds, memory, None, preset.checkpoint_seconds, preset.cost_seconds, sources)

    def _train(self, schedule: Schedule, stage: Stage) -> None:
        """Train up to each look in turn, and give no further seeds to what is decided."""
        note: Callable[[Schedule], None] = lambda now: stage.recorder.note({looks.FACT: now.plain})  # noqa: E731
        note(schedule)
        stage.answer("trials", schedule.first())
        schedule = schedule.began()
        note(schedule)
        for count in schedule.counts():
            going = self._going_on(schedule, stage.recorder)
            stage.answer(f"trials up to {count} seeds", schedule.until(count, going))
            schedule = schedule.taken(count, going)
            note(schedule)

    def _going_on(self, schedule: Schedule, recorder: Recorder) -> dict[Cell, float]:
        """The cells that no verdict has ended yet."""
        judge = self.judge
        standings = [] if judge is None else recorder.patience(lambda: judge(recorder.result.run))
        going = looks.going_on(schedule.planned, standings)
        final = sum(standing.p is None for standing in standings)
        self.say(f"a look: {final} of {len(standings)} comparisons are final, {len(going)} cells go on")
        return going

    def _tune(self, plan: Plan, stage: Stage) -> list[Noted[Trial]]:
        """Run the tuning trials and give every tuned trial the rate its variant chose; extend the grid once for all.

        A tuned trial may come to equal one whose rate the preset fixes: both stay, each with its own note.
        """
        if not plan.tuning:
            return [(trial, plan.notes.get(trial, {})) for trial in plan.trials]
        numbers = stage.answer("learning rates", plain(plan.tuning))
        tuner, patience = Tuner.of(plan, self.store), stage.recorder.patience
        more = patience(lambda: tuner.extensions(numbers))
        numbers = numbers | stage.answer("more learning rates", plain(tuner.trials(more)))
        choices = patience(lambda: tuner.choices(more, numbers))
        trials: list[Noted[Trial]] = []
        for trial in plan.trials:
            note = dict(plan.notes.get(trial, {}))
            choice = choices[trial.cell] if trial in plan.grids else None
            if choice is not None:
                trial = with_rate(trial, choice.rate)
                note["tuning"] = asdict(choice)
            trials.append((trial, note))
        return trials
