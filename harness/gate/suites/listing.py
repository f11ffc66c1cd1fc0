"""Which benchmarks both sides have: pytest collects the files on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate import shipping
from coordbench.harness.gate.rows import GateRow, Outcome
from coordbench.harness.gate.sides import Service, SideError, Tree, running

ALL = "all benchmarks"


@dataclass(frozen=True)
class Collected:
    """What one side holds: ids of its benchmarks in order, files that cannot be collected, what it took elsewhere."""

    benchmarks: Sequence[str] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    strangers: Sequence[str] = ()


@dataclass
class Listing:
    """Benchmarks of both sides, rows about the others, and notes."""

    labels: list[str] = field(default_factory=list)
    rows: list[GateRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def service(tree: Tree, files: Sequence[str], seed: int = 0) -> Service:
    """The process of a side; strings hash alike on both sides of a pair, which makes dictionaries alike."""
    there = [path for path in dict.fromkeys(map(_path, files)) if (tree.folder / path).exists()]
    return Service(shipping.SUITES, there, {"PYTHONHASHSEED": str(seed)}, ["src"])


def check(folder: Path, files: Sequence[str]) -> None:
    """Raise UsageError for a file that is not in the project."""
    for file in files:
        path = (folder / _path(file)).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.exists():
            raise UsageError(f"benchmarks {file!r} are no file or folder inside {folder}; give their path from there")


def compare(base: Tree, candidate: Tree, files: Sequence[str], deadline: float) -> Listing:
    """Collect both sides and list what they share."""
    listing = Listing()
    sides = [_collected(tree, files, deadline, listing.rows) for tree in (base, candidate)]
    if listing.rows:
        return listing
    before, after = sides
    for name, side in zip(("base", "candidate"), sides, strict=True):
        listing.rows += [_stranger(name, module) for module in side.strangers[:1]]
    if listing.rows:
        return listing
    listing.rows += [_broken(file, before, after) for file in {**before.broken, **after.broken}]
    both = set(before.benchmarks) & set(after.benchmarks)
    for label in _chosen(files, [*dict.fromkeys((*after.benchmarks, *before.benchmarks))], listing.rows):
        if label in both:
            listing.labels.append(label)
        elif label.partition("::")[0] not in {**before.broken, **after.broken}:
            note = "new" if label in after.benchmarks else "gone"
            listing.rows.append(GateRow(label, "layer", "benchmark", "listed", note=note))
    listing.notes += _changed(base.folder, candidate.folder, listing.labels)
    return listing


def _collected(tree: Tree, files: Sequence[str], deadline: float, rows: list[GateRow]) -> Collected:
    """What a tree holds; a tree that cannot be collected at all adds a row that says why."""
    chosen = service(tree, files)
    if not chosen.arguments:
        return Collected()
    with running(tree, deadline=deadline, service=chosen) as (side,):
        try:
            return Collected(**side.ask("collect"))
        except SideError as error:
            outcome: Outcome = "regressed" if tree.name == "candidate" else "not measured"
            note = f"the {tree.name} side cannot be collected: it {error.reason}"
            rows.append(GateRow(ALL, "layer", "import", outcome, note=note))
            return Collected()


def _chosen(files: Sequence[str], labels: Sequence[str], rows: Sequence[GateRow]) -> list[str]:
    """The labels that the files stand for: all of a file, or one function or class, or one of its parameters."""
    for file in files:
        if "::" in file and not rows and not any(_names(file, label) for label in labels):
            raise UsageError(f"unknown benchmark {file!r}; valid: {', '.join(labels) or 'none'}")
    return [label for label in labels if any(_names(file, label) for file in files)]


def _names(file: str, label: str) -> bool:
    """Whether a file, a folder or `FILE::NAME` stands for a benchmark."""
    if "::" not in file:
        return Path(_path(label)).is_relative_to(Path(file))
    return label == file or label.startswith((f"{file}[", f"{file}::"))


def _broken(file: str, before: Collected, after: Collected) -> GateRow:
    """A file that one side at least cannot collect; only the work tree can have broken it."""
    outcome: Outcome = "not measured" if file in before.broken else "regressed"
    side = "base" if file in before.broken else "candidate"
    reason = before.broken.get(file) or after.broken[file]
    return GateRow(file, "layer", "import", outcome, note=f"the {side} side cannot be collected: {reason}")


def _stranger(side: str, module: str) -> GateRow:
    note = f"the {side} side imported {module}, not its own: an installed copy gives both sides the same code"
    return GateRow(ALL, "layer", "import", "not measured", note=note)


def _changed(base: Path, candidate: Path, labels: Sequence[str]) -> list[str]:
    """One note for each file of benchmarks that is another on both sides."""
    files = dict.fromkeys(label.partition("::")[0] for label in labels)
    return [
        f"{file} itself differs between the sides: its benchmarks may measure something else"
        for file in files
        if (base / file).read_bytes() != (candidate / file).read_bytes()
    ]


def _path(file: str) -> str:
    """The file of a pytest argument, which may name a test in it."""
    return file.partition("::")[0]
