"""What `coordbench submit` does: train a layer over a preset's contests, and write what a pull request needs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coordbench.harness.api.execution import Execution, execute, exit_code
from coordbench.harness.cli.arguments import command_line, complain
from coordbench.harness.cli.running import show_result
from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.sources import text_digest
from coordbench.harness.plan import planning
from coordbench.harness.plan.preset import Preset
from coordbench.harness.run.sources import files
from coordbench.harness.store.store import open_store
from coordbench.harness.store.travel import manifest, submission
from coordbench.harness.store.travel.archive import write_archive


@dataclass(frozen=True)
class Request:
    """A plug-in, and the contests in which its layers meet the baseline."""

    plugin: Path
    preset: str
    suite: str | None
    variants: Sequence[str]
    seeds: int | None

    @property
    def layers(self) -> list[str]:
        """The selectors of the plug-in's layers; raise UsageError where it has none, or one that is not its own."""
        names = [entry.name for entry in registry.entries("variant") if Path(entry.file) == self.plugin.resolve()]
        if not names:
            raise UsageError(f"{str(self.plugin)!r} registers no variant; see `coordbench list variants`")
        chosen = [registry.select("variant", text).selector for text in self.variants or names]
        if foreign := [selector.name for selector in chosen if selector.name not in names]:
            raise UsageError(f"{str(self.plugin)!r} does not register {foreign[0]!r}; valid: {', '.join(names)}")
        return [str(selector) for selector in chosen]

    def narrowed(self, preset: Preset) -> Preset:
        """The preset with the baseline and the plug-in's layers alone, in the tasks of the suite."""
        tasks = {Selector.parse(task).name for sweep in preset.sweeps for task in sweep.tasks}
        suites = {task: registry.entry("task", task).suite for task in tasks}
        if self.suite is not None and self.suite not in suites.values():
            valid = ", ".join(sorted(set(suites.values())))
            raise UsageError(f"preset {preset.name!r} has no contest of the suite {self.suite!r}; valid: {valid}")
        chosen = [task for task, suite in suites.items() if self.suite in (None, suite)]
        arms = list(dict.fromkeys([preset.baseline, *self.layers]))
        return planning.narrow(preset, arms, sorted(chosen), self.seeds)


def submit(request: Request, device: str, out: Path, folder: Path, workers: int | None) -> int:
    """Train, write the folder, and print what may be done with it."""
    preset = planning.read_preset(request.preset)
    plan = planning.make_plan(request.narrowed(preset), device)
    plugin = str(request.plugin.resolve())
    target = folder / request.plugin.stem
    with open_store(None, out) as store:
        result = execute(plan, store, Execution(device, workers, None, (plugin,), False, out, command_line()), complain)
        write_archive(store, [result.run], target / submission.RECORDS)
        show_result(result, store, None)
    _write(request, preset, target)
    _, count = submission.check_submission(target)
    again = shlex.join(["coordbench", "verify", str(target), "--plugin", str(target / request.plugin.name)])
    print(f"{target}: {count} records\nverify: {again}")
    return exit_code(result)


def _write(request: Request, preset: Preset, target: Path) -> None:
    beside = [file for file in files.closure(frozenset([request.plugin.resolve()])) if not files.is_ours(file)]
    if twins := {file.name for file in beside if [other.name for other in beside].count(file.name) > 1}:
        raise UsageError(f"two files that {str(request.plugin)!r} imports are named {', '.join(sorted(twins))}")
    content = submission.Submission(
        request.plugin.name, {file.name: manifest.sha256(file) for file in beside}, request.layers, preset.name,
        text_digest(preset.text), request.suite or "", command_line(),
    )  # fmt: skip
    submission.write_submission(target, content, beside, preset.text)
