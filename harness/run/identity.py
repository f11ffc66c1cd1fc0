"""Find out what a record depends on.

The source parts are syntax trees without comments and docstrings: of variants, tasks and plug-ins whole files, and all
files beside them that they import; of the harness the definitions that are used (see `definitions`). Libraries count
where such a file imports them, input files where an option names them, whether it was given or is the default.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.entries import Entry, Kind, Selected
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.sources import digest, digest_of_files, source_digest
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.process import environment
from coordbench.harness.process.settings import WORKER
from coordbench.harness.run.sources import definitions, files, packages
from coordbench.harness.run.sources.definitions import Use

_TRAIN = (files.ROOT / "harness" / "training" / "train.py", "run")


def of_trial(trial: Trial) -> Identity:
    """The identity of a trial's scores."""
    return _identity(digest(trial.plain), _selected(trial.cell), [_TRAIN])


def of_cost(job: CostJob) -> Identity:
    """The identity of a cost: that of a trial, the measuring code, the plain convolution beside it, and the machine."""
    measuring = [(file, None) for file in sorted((files.ROOT / "harness" / "measure").rglob("*.py"))]
    baseline = (Path(registry.entry("variant", "conv").file), None)
    machine = {"machine": environment.fingerprint(job.cell.device)}
    return _identity(digest(job.plain), _selected(job.cell), [_TRAIN, *measuring, baseline], machine)


def of_plugins(plugins: Sequence[str]) -> str:
    """A hash of plug-ins and what they import beside them, as they are on disk now; "" where they are unreadable."""
    try:
        beside = files.closure(frozenset(Path(name).resolve() for name in plugins))
        foreign = [file for file in beside if not files.is_ours(file)]
        return digest(sorted(source_digest(file) for file in foreign)) if foreign else ""
    except (OSError, SyntaxError):  # just being written
        return ""


def _selected(cell: Cell) -> list[Selected[Entry]]:
    """Everything of the registry that a cell names."""
    named: list[tuple[Kind, Selector | str | None]] = [
        ("task", cell.task),
        ("backbone", cell.backbone),
        ("variant", cell.variant),
        ("reference", cell.reference),
    ]
    return [registry.select(kind, name) for kind, name in named if name is not None]


def _identity(
    key: str, chosen: Iterable[Selected[Entry]], roots: Iterable[Use], more: dict[str, str] | None = None
) -> Identity:
    parts = {"library python": ".".join(platform.python_version_tuple()[:2])} | WORKER.parts() | (more or {})
    starts = set(roots)
    for selected in chosen:
        starts.add((Path(selected.entry.file), None))
        parts |= _inputs(selected)
        if selected.entry.kind == "backbone" and selected.options.get("where", "all") != "all":
            # what the rest of the backbone is built of
            starts.add((Path(registry.entry("variant", "conv").file), None))
    sources, untracked = _sources(frozenset(starts))
    return Identity(key, parts | sources, untracked)


@functools.lru_cache(maxsize=1024)
def _sources(starts: frozenset[Use]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The parts that stand for code, of this project, of plug-ins and of libraries, and what in it is not tracked."""
    used = definitions.uses(starts)
    parts = {f"source {files.short(file)}": definitions.digest_of_uses(file, names) for file, names in used.items()}
    foreign = [file for file in sorted(used) if not files.is_ours(file)]
    untracked = tuple(line for file in foreign for line in packages.untracked(file))
    return parts | packages.parts(sorted(used)), untracked


def forget() -> None:
    """Forget what was read from files, for a process in which they change."""
    for cached in (_sources, definitions.digest_of_uses, definitions.used_by, definitions.source_of):
        cached.cache_clear()
    files.forget()
    packages.forget()


def _inputs(selected: Selected[Entry]) -> dict[str, str]:
    """The files that options name."""
    paths = {name: value for name, value in selected.all_options.items() if isinstance(value, Path)}
    return {f"input {name}={value}": digest_of_files(value) for name, value in paths.items()}
