"""The course of a gate: check out the base, select, compare costs, then speed, then benchmarks, then accuracy."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.sources import source_digest
from coordbench.harness.gate import accepted, selection, why
from coordbench.harness.gate.both import Both, asked
from coordbench.harness.gate.pairs import Say, Timer
from coordbench.harness.gate.rows import STAGES, GateRow, Report, Stage
from coordbench.harness.gate.settings import Settings, read_settings
from coordbench.harness.gate.side.messages import Described, Layer
from coordbench.harness.gate.sides import SideError, Tree, has_other_harness
from coordbench.harness.gate.stages import accuracy, costs, speed
from coordbench.harness.gate.suites import listing
from coordbench.harness.gate.suites.stage import Suites
from coordbench.harness.gate.trees import (
    NotComparable,
    Project,
    Unmeasurable,
    add_submodules,
    checked_out,
    find_project,
    interruptible,
    scratch,
)
from coordbench.harness.gate.trials import changed, check_seeds, run_trials
from coordbench.harness.plan import planning
from coordbench.harness.process import environment
from coordbench.harness.store.store import open_store


@dataclass(frozen=True)
class Request:
    """What a user asks of a gate."""

    base: str
    layers: Sequence[str] = ()
    plugins: Sequence[str] = ()
    everything: bool = False
    stages: Sequence[Stage] = STAGES
    out: Path = Path("coordbench-results")
    bench: Sequence[str] = ()
    """Files of the project's own benchmarks."""


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
    suites: Suites
    both: Both
    equal: bool = False
    """Whether the work tree holds exactly the files of the base revision."""
    described: dict[str, Described] = field(default_factory=dict)
    steps: dict[str, why.Steps] = field(default_factory=dict)
    """Of each layer whose sources differ."""

    def run(self) -> None:
        """Compare the layers, where there are any, and the project's own benchmarks."""
        self.report.rows += self.suites.listed.rows
        self.report.notes += self.suites.listed.notes
        if self.plugins or self.candidate.holds_harness:
            self._layers_compared()
        else:
            self.report.rows += self.suites.time(len(self.suites.listed.labels))

    def _layers_compared(self) -> None:
        """Go through all stages; a candidate that cannot even be imported has regressed."""
        if self.equal and not self.request.layers and not self.request.everything:
            self.report.rows.append(GateRow("all layers", "layer", "sources", "pass", note="identical"))
            return
        try:
            answers = self.both.demand(lambda side: side.describe(self.plugins, self.request.layers))
        except SideError as error:
            self.report.rows.append(self._not_imported(error))
            self.report.rows += self.suites.time(len(self.suites.listed.labels))
            return
        self.described = dict(zip(("base", "candidate"), answers, strict=True))
        base, candidate = ((tree, self.described[tree.name]) for tree in (self.base, self.candidate))
        chosen = selection.select(base, candidate, self.request.layers, self.request.everything)
        self.report.rows += chosen.rows
        family = len(chosen.labels) * len(self.settings.phases) + len(self.suites.listed.labels)
        self.settings.thresholds.check(family)
        sound = self._costs(chosen.labels)
        self._speed(sound, family)
        self.report.rows += self.suites.time(family)
        self._accuracy(chosen.labels, sound)
        self.report.rows = why.explain(self.report.rows, self.steps)
        self.report.steps = {layer: steps.operators for layer, steps in self.steps.items()}
        self.report.notes += why.notes(self.report.rows, self.steps)

    def _not_imported(self, error: SideError) -> GateRow:
        if error.side == "candidate":
            note = f"the work tree cannot be imported: it {error.reason}"
            return GateRow("all layers", "layer", "import", "regressed", note=note)
        if self.base.holds_harness and has_other_harness(error):
            raise NotComparable(
                f"the base revision holds a harness of another form than this one: asking for its layers {error.reason}"
            ) from error
        raise Unmeasurable(f"the base revision cannot be imported: it {error.reason}") from error

    @property
    def plugins(self) -> Sequence[str]:
        """The plug-ins of the settings, then those of the request."""
        return [*dict.fromkeys((*self.settings.plugins, *self.request.plugins))]

    def _layers(self, label: str) -> tuple[Layer, Layer]:
        return self.described["base"].layers[label], self.described["candidate"].layers[label]

    def _costs(self, labels: Sequence[str]) -> list[str]:
        """Compare costs and return the layers that work on both sides."""
        sound = []
        for number, label in enumerate(labels, 1):
            self.say(f"layer {number} of {len(labels)}, {label}: parameters, FLOPs, bytes, output")
            layers = self._layers(label)
            differ = layers[0].sources != layers[1].sources
            base, candidate = costs.count(self.both, layers, self.settings, step=differ)
            if base.step and candidate.step:
                self.steps[label] = why.Steps(base.step, candidate.step)
            rows = costs.compare(label, base.facts, candidate.facts, self.settings)
            if not costs.broken(rows):
                sound.append(label)
            if costs.broken(rows) or "costs" in self.request.stages:
                self.report.rows += rows
        return sound

    def _speed(self, labels: Sequence[str], family: int) -> None:
        if "speed" in self.request.stages and labels:
            work = speed.LayerWork({label: self._layers(label) for label in labels}, self.settings)
            timer = Timer(self.base, self.candidate, work, self.settings, self.say)
            self.report.rows += speed.compare(timer, family)

    def _accuracy(self, labels: Sequence[str], sound: Sequence[str]) -> None:
        """Train what differs on both sides, and compare."""
        if "accuracy" not in self.request.stages:
            return
        broken = set(labels) - set(sound)
        variants = [variant for variant in self._trained(sound) if variant not in broken]
        if not variants:
            return
        try:
            before, after = self.both.demand(lambda side: side.plan(self.preset, variants, self.plugins))
        except SideError as error:
            note = f"the {error.side} side cannot plan preset {self.settings.preset!r}: it {error.reason}"
            self.report.rows.append(GateRow("all layers", "accuracy", "preset", "not measured", note=note))
            return
        check_seeds(after, self.settings.preset)
        self.both.close()
        differing, tasks = changed(before, after)
        if differing:
            self._train(["--variants", *differing, "--tasks", *tasks])
        else:
            note = f"identical sources in all {len(after)} trials"
            self.report.rows.append(GateRow("all layers", "accuracy", "trials", "pass", note=note))

    def _trained(self, sound: Sequence[str]) -> list[str]:
        """The variants to train: those chosen, else the preset's, and in a user's own project its plug-ins."""
        if self.request.layers or not self.candidate.holds_harness:
            return list(sound)
        before, after = ({layer.name for layer in side.layers.values()} for side in self.described.values())
        sweeps = planning.read_preset(str(self.preset)).sweeps
        variants = dict.fromkeys(variant for sweep in sweeps for variant in sweep.variants)
        return [variant for variant in variants if Selector.parse(variant).name in before & after]

    def _train(self, choice: Sequence[str]) -> None:
        runs: list[str] = []
        with open_store(self._store(), self.request.out) as store:
            for tree in (self.base, self.candidate):
                self.say(f"trials of preset {self.settings.preset!r} on the {tree.name} side")
                failure = run_trials(tree, self.preset, choice, self.plugins, store.url)
                run = store.latest_run()
                if failure or run is None or run in runs:
                    note = f"the trials of the {tree.name} side {failure or 'left no run'}"
                    self.report.rows.append(GateRow("all layers", "accuracy", "trials", "not measured", note=note))
                    return
                runs.append(run)
            self.report.rows += accuracy.compare(store, (runs[0], runs[1]), self.settings)

    def _store(self) -> str:
        """A store that outlives the gate, so that the next one finds its records, where both sides write it alike."""
        trees = [tree for tree in (self.base, self.candidate) if tree.holds_harness]
        schemas = {source_digest(tree.folder / "harness" / "store" / "schema.py") for tree in trees}
        folder = self.request.out.resolve() if len(schemas) < 2 else self.candidate.scratch
        folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{folder / 'gate.sqlite'}"


def preset_file(name: str, tree: Tree) -> Path:
    """Where the preset lies that both sides run: a built-in one of this tree, or a path in it."""
    if name.endswith(".toml"):
        path = tree.folder / name
    else:
        path = (tree.folder / "harness" / "presets" if tree.holds_harness else planning.PRESETS) / f"{name}.toml"
    planning.read_preset(str(path) if path.is_file() else name)
    return path


def run_gate(request: Request, start: Path, say: Say) -> Report:
    """Compare the work tree around `start` with a base revision of it."""
    project = find_project(start)
    settings = read_settings(project.folder)
    entries, today = accepted.read_accepted(project.folder), datetime.date.today()
    commit = project.commit(request.base)
    _check_plugins(project, (*settings.plugins, *request.plugins))
    files = [*dict.fromkeys((*settings.bench, *request.bench))] if "speed" in request.stages else []
    listing.check(project.folder, files)
    report = Report(
        f"{request.base} ({commit[:12]})", f"work tree at {project.commit('HEAD')[:12]}",
        commit=commit, settings=vars(settings), machine=environment.machine(),
    )  # fmt: skip
    if project.dirty:
        report.notes.append("the work tree has changes that are not committed; they are measured with it")
    with _trees(project, commit, report) as (base, candidate):
        preset = preset_file(settings.preset, candidate)
        suites = Suites(base, candidate, files, settings, say)
        equal = project.is_at(commit)
        suites.collect(equal=bool(files) and not request.everything and equal)
        with asked(base, candidate, settings.deadline_seconds) as both:
            Gate(request, settings, base, candidate, report, say, preset, suites, both, equal).run()
    report.rows = accepted.apply(report.rows, entries, today)
    report.notes += accepted.notes(report.rows, entries, today)
    return report


@contextlib.contextmanager
def _trees(project: Project, commit: str, report: Report) -> Iterator[tuple[Tree, Tree]]:
    """The base revision and the work tree, for as long as they are compared."""
    with interruptible(), scratch() as folder, checked_out(project, commit, folder / "base") as top:
        report.notes += [
            f"the submodule {path} is not checked out; it is empty on the base side"
            for path in add_submodules(project.top, commit, top)
        ]
        inside = top / project.inside
        if not inside.is_dir():
            raise Unmeasurable(f"the base revision has no folder {project.inside}")
        base, candidate = Tree("base", inside.resolve(), folder), Tree("candidate", project.folder.resolve(), folder)
        if candidate.holds_harness and not base.holds_harness:
            raise NotComparable(
                f"the base revision {commit[:12]} has no package coordbench: it is from before this project moved "
                "into one; choose a later base"
            )
        yield base, candidate


def _check_plugins(project: Project, plugins: Sequence[str]) -> None:
    for plugin in plugins:
        inside = (project.folder / plugin).resolve().is_relative_to(project.folder.resolve())
        if not inside or not (project.folder / plugin).is_file():
            raise UsageError(f"plug-in {plugin!r} is no file inside {project.folder}; give its path from there")
