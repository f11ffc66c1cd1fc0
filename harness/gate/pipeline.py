"""The course of a gate: check out the base, select, compare costs, then speed, then accuracy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.selector import Selector
from coordbench.harness.gate import accuracy, costs, selection, speed
from coordbench.harness.gate.findings import Finding, Report
from coordbench.harness.gate.probe import Layer, source_digest
from coordbench.harness.gate.selection import Described, Selection
from coordbench.harness.gate.settings import Settings, read_settings
from coordbench.harness.gate.sides import SideError, Tree, running
from coordbench.harness.gate.speed import Say
from coordbench.harness.gate.trees import Project, Unmeasurable, checked_out, find_project, interruptible, scratch
from coordbench.harness.plan import planning as plan
from coordbench.harness.process import environment
from coordbench.harness.store.store import open_store

Stage = Literal["costs", "speed", "accuracy"]
STAGES: tuple[Stage, ...] = ("costs", "speed", "accuracy")


@dataclass(frozen=True)
class Request:
    """What a user asks of a gate."""

    base: str
    layers: Sequence[str] = ()
    plugins: Sequence[str] = ()
    everything: bool = False
    stages: Sequence[Stage] = STAGES
    out: Path = Path("coordbench-results")


@dataclass
class Gate:
    """A gate on its way: both trees, what they hold, and the report that grows."""

    request: Request
    settings: Settings
    base: Tree
    candidate: Tree
    report: Report
    say: Say
    preset: Path
    described: dict[str, Described] = field(default_factory=dict)

    def run(self) -> Report:
        """Go through all stages; a candidate that cannot even be imported has regressed."""
        if not (self._plugins or self.candidate.holds_harness):
            return self.report  # nothing to compare
        try:
            self.described = {tree.name: self._describe(tree) for tree in (self.base, self.candidate)}
        except SideError as error:
            if error.side == "base":
                raise Unmeasurable(f"the base revision cannot be imported: it {error.reason}") from error
            note = f"the work tree cannot be imported: it {error.reason}"
            self.report.findings.append(Finding("all layers", "layer", "import", "regressed", note=note))
            return self.report
        chosen = selection.select(
            ((self.base, self.described["base"]), (self.candidate, self.described["candidate"])),
            self.request.layers,
            self.request.everything,
        )
        self.report.findings += chosen.findings
        self.settings.thresholds.check(len(chosen.labels) * len(self.settings.phases))
        sound = self._costs(chosen.labels)
        self._speed(sound)
        self._accuracy(chosen, sound)
        return self.report

    def _describe(self, tree: Tree) -> Described:
        with running(tree, deadline=self.settings.deadline_seconds) as (side,):
            described: Described = side.ask(
                "describe", plugins=list(self._plugins), selectors=list(self.request.layers)
            )
        return described

    @property
    def _plugins(self) -> Sequence[str]:
        return [*dict.fromkeys((*self.settings.plugins, *self.request.plugins))]

    def _layers(self, label: str) -> tuple[Layer, Layer]:
        return self.described["base"]["layers"][label], self.described["candidate"]["layers"][label]

    def _costs(self, labels: Sequence[str]) -> list[str]:
        """Compare costs and return the layers that work on both sides."""
        sound = []
        for label in labels:
            self.say(f"{label}: parameters, FLOPs, bytes, output")
            pairs = zip((self.base, self.candidate), self._layers(label), strict=True)
            base, candidate = (costs.facts(tree, layer, self.settings) for tree, layer in pairs)
            found = costs.compare(label, base, candidate, self.settings)
            if costs.broken(found):
                self.report.findings += found
                continue
            sound.append(label)
            if "costs" in self.request.stages:
                self.report.findings += found
        return sound

    def _speed(self, labels: Sequence[str]) -> None:
        if "speed" in self.request.stages and labels:
            layers = {label: self._layers(label) for label in labels}
            stage = speed.Stage(self.base, self.candidate, layers, self.settings, self.say)
            self.report.findings += stage.run()

    def _accuracy(self, chosen: Selection, sound: Sequence[str]) -> None:
        """Train what differs on both sides, and compare."""
        if "accuracy" not in self.request.stages:
            return
        preset = self.preset
        broken = set(chosen.labels) - set(sound)
        variants = [variant for variant in self._trained(preset, sound) if variant not in broken]
        if not variants:
            return
        try:
            before, after = (self._identities(tree, preset, variants) for tree in (self.base, self.candidate))
        except SideError as error:
            note = f"the {error.side} side cannot plan preset {self.settings.preset!r}: it {error.reason}"
            self.report.findings.append(Finding("all layers", "accuracy", "preset", "not measured", note=note))
            return
        accuracy.check_seeds(after, self.settings.preset)
        differing, tasks = accuracy.changed(before, after)
        if not differing:
            note = f"identical sources in all {len(after)} trials"
            self.report.findings.append(Finding("all layers", "accuracy", "trials", "pass", note=note))
            return
        self._train(preset, ["--variants", *differing, "--tasks", *tasks])

    def _trained(self, preset: Path, sound: Sequence[str]) -> list[str]:
        """The variants to train: those chosen, else the preset's, and in a user's own project its plug-ins."""
        if self.request.layers or not self.candidate.holds_harness:
            return list(sound)
        names = {layer["name"] for layer in self.described["base"]["layers"].values()}
        names &= {layer["name"] for layer in self.described["candidate"]["layers"].values()}
        own = [variant for sweep in plan.read_preset(str(preset)).sweeps for variant in sweep.variants]
        return [variant for variant in dict.fromkeys(own) if Selector.parse(variant).name in names]

    def _identities(self, tree: Tree, preset: Path, variants: Sequence[str]) -> list[dict[str, Any]]:
        with running(tree, deadline=self.settings.deadline_seconds) as (side,):
            side.ask("describe", plugins=list(self._plugins), selectors=[])
            found: list[dict[str, Any]] = side.ask("identities", preset=str(preset), variants=list(variants))
        return found

    def _train(self, preset: Path, choice: Sequence[str]) -> None:
        runs = []
        with open_store(self._store(), self.request.out) as store:
            for tree in (self.base, self.candidate):
                self.say(f"trials of preset {self.settings.preset!r} on the {tree.name} side")
                failure = accuracy.run_trials(tree, preset, choice, self._plugins, store.url)
                run = store.latest_run()
                if failure or run is None or run in runs:
                    note = f"the trials of the {tree.name} side {failure or 'left no run'}"
                    self.report.findings.append(Finding("all layers", "accuracy", "trials", "not measured", note=note))
                    return
                runs.append(run)
            self.report.findings += accuracy.compare(store, (runs[0], runs[1]), self.settings)

    def _store(self) -> str:
        """A store that outlives the gate, so that the next one finds its records, where both sides write it alike."""
        trees = self._trees_with_harness()
        schemas = {source_digest(tree.folder / "harness" / "store" / "schema.py") for tree in trees}
        folder = self.request.out.resolve() if len(schemas) < 2 else self.candidate.scratch
        folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{folder / 'gate.sqlite'}"

    def _trees_with_harness(self) -> list[Tree]:
        return [tree for tree in (self.base, self.candidate) if tree.holds_harness]


def preset_file(name: str, tree: Tree) -> Path:
    """Where the preset lies that both sides run: a built-in one of this tree, or a path in it."""
    if name.endswith(".toml"):
        path = tree.folder / name
    else:
        path = (tree.folder / "harness" / "presets" if tree.holds_harness else plan.PRESETS) / f"{name}.toml"
    plan.read_preset(str(path) if path.is_file() else name)
    return path


def run_gate(request: Request, start: Path, say: Say) -> Report:
    """Compare the work tree around `start` with a base revision of it."""
    project = find_project(start)
    settings = read_settings(project.folder)
    commit = project.commit(request.base)
    _check_plugins(project, (*settings.plugins, *request.plugins))
    report = Report(f"{request.base} ({commit[:12]})", _candidate(project))
    report.facts = {"base": commit, "settings": vars(settings), "machine": environment.machine()}
    if project.dirty:
        report.notes.append("the work tree has changes that are not committed; they are measured with it")
    with _trees(project, commit) as (base, candidate):
        preset = preset_file(settings.preset, candidate)
        return Gate(request, settings, base, candidate, report, say, preset).run()


@contextlib.contextmanager
def _trees(project: Project, commit: str) -> Iterator[tuple[Tree, Tree]]:
    """The base revision and the work tree, for as long as they are compared."""
    with interruptible(), scratch() as folder, checked_out(project, commit, folder / "base") as base:
        inside = base / project.inside
        if not inside.is_dir():
            raise Unmeasurable(f"the base revision has no folder {project.inside}")
        yield Tree("base", inside.resolve(), folder), Tree("candidate", project.folder.resolve(), folder)


def _candidate(project: Project) -> str:
    return f"work tree at {project.commit('HEAD')[:12]}"


def _check_plugins(project: Project, plugins: Sequence[str]) -> None:
    for plugin in plugins:
        inside = (project.folder / plugin).resolve().is_relative_to(project.folder.resolve())
        if not inside or not (project.folder / plugin).is_file():
            raise UsageError(f"plug-in {plugin!r} is no file inside {project.folder}; give its path from there")
