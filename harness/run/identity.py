"""What a record depends on: as named parts that explain a re-run, and as one hash that decides it.

The source parts are syntax trees without comments and docstrings, of the files that a trial uses and of every file of
this project, or beside the plug-in, that those import. Libraries count where such a file imports them.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import itertools
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.entries import Kind
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.sources import digest, digest_of_files, imported_modules, syntax_tree
from coordbench.harness.core.sources import source_digest as uncached_digest
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.process import environment

_PACKAGE = "coordbench"
_ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("harness", "variants", "tasks")
_ALWAYS = ("torch", "numpy")


@dataclass(frozen=True)
class Identity:
    """`key` names a job, whatever its sources; `parts` are the hashes of all else that its record depends on."""

    key: str
    parts: Mapping[str, str]

    @functools.cached_property
    def digest(self) -> str:
        """One hash over all."""
        return digest({**self.parts, "job": self.key})

    def explain(self, before: Mapping[str, str]) -> str:
        """Say in one line how these parts differ from those of an earlier record."""
        changed = [name for name in self.parts if name in before and before[name] != self.parts[name]]
        added = [f"{name} (new)" for name in self.parts if name not in before]
        gone = [f"{name} (gone)" for name in before if name not in self.parts]
        return ", ".join(sorted(changed + added + gone)) or "nothing changed"


def of_trial(trial: Trial) -> Identity:
    """The identity of a trial's scores."""
    parts = _parts(_registered(trial.cell), _ROOT / "harness" / "training" / "train.py")
    return Identity(digest(trial.plain), parts)


def of_cost(job: CostJob) -> Identity:
    """The identity of a cost: that of a trial, the measuring code, the plain convolution beside it, and the machine."""
    measuring = sorted((_ROOT / "harness" / "measure").rglob("*.py"))
    baseline = Path(registry.entry("variant", "conv").file)
    parts = _parts(_registered(job.cell), _ROOT / "harness" / "training" / "train.py", *measuring, baseline)
    parts["machine"] = environment.fingerprint(job.cell.device)
    return Identity(digest(job.plain), parts)


def of_plugins(plugins: Sequence[str]) -> str:
    """A hash of plug-ins and what they import beside them, as they are on disk now; "" where they are unreadable."""
    files = [file for file in closure(frozenset(Path(name).resolve() for name in plugins)) if not _is_ours(file)]
    try:
        return digest(sorted(uncached_digest(file) for file in files)) if files else ""
    except (OSError, SyntaxError):  # just being written
        return ""


def _registered(cell: Cell) -> list[tuple[Kind, Selector | str]]:
    """Everything of the registry that a cell names."""
    named: list[tuple[Kind, Selector | str | None]] = [
        ("task", cell.task),
        ("backbone", cell.backbone),
        ("variant", cell.variant),
        ("reference", cell.reference),
    ]
    return [(kind, name) for kind, name in named if name is not None]


def _parts(chosen: Iterable[tuple[Kind, Selector | str]], *more: Path) -> dict[str, str]:
    parts = {"library python": ".".join(platform.python_version_tuple()[:2])}
    roots, libraries = set(more), set(_ALWAYS)
    for kind, name in chosen:
        selected = registry.select(kind, name)
        roots.add(Path(selected.entry.file))
        for option, value in selected.options.items():
            if isinstance(value, Path):
                parts[f"input {option}={value}"] = digest_of_files(value)
        if kind == "backbone" and selected.options.get("where", "all") != "all":
            roots.add(Path(registry.entry("variant", "conv").file))  # what the rest of the backbone is built of
    for file in closure(frozenset(roots)):
        parts[f"source {short(file)}"] = source_digest(file)
        libraries |= _imports(file)[1]
    parts |= {f"library {name}": version for name in sorted(libraries) if (version := _version(name))}
    return parts


@functools.lru_cache(maxsize=4096)
def closure(roots: frozenset[Path]) -> tuple[Path, ...]:
    """The files that `roots` import, directly or not, out of this project or beside a plug-in; `roots` among them."""
    found: set[Path] = set()
    waiting = set(roots)
    while waiting:
        file = waiting.pop()
        found.add(file)
        waiting |= _imports(file)[0] - found
    return tuple(sorted(found))


source_digest = functools.lru_cache(maxsize=4096)(uncached_digest)


@functools.lru_cache(maxsize=4096)
def _imports(file: Path) -> tuple[frozenset[Path], frozenset[str]]:
    """The files of ours that a file imports, and the top-level names of all else but the standard library."""
    files: set[Path] = set()
    libraries: set[str] = set()
    for module in _imported_modules(file):
        resolved = list(_resolve(module, file))
        files.update(resolved)
        top = module.partition(".")[0]
        if not resolved and top != _PACKAGE and top not in sys.stdlib_module_names:
            libraries.add(top)
    return frozenset(files), frozenset(libraries)


def _imported_modules(file: Path) -> Iterator[str]:
    package = _module_name(file).split(".")[: None if file.name == "__init__.py" else -1]
    tree = syntax_tree(file)
    yield from imported_modules(tree, ".".join(package))
    nodes = list(ast.walk(tree))
    if any(isinstance(node, ast.ImportFrom | ast.Import) and "importlib" in ast.unparse(node) for node in nodes):
        # data that ship in a package, or a module imported by name: the package is named by a string
        texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
        yield from (text for text in texts if text.partition(".")[0] in _distributions())


def _resolve(module: str, importer: Path) -> Iterator[Path]:
    """The files that importing `module` runs: those of its packages and its own."""
    names = module.split(".")
    ours = names[0] == _PACKAGE
    if _is_ours(importer) and not ours:
        return
    roots = {_ROOT} if ours else {_base(importer), importer.parent}
    names = names[1:] if ours else names
    for root, depth in itertools.product(sorted(roots), range(1, len(names) + 1)):
        stem = root.joinpath(*names[:depth])
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if file.is_file():
                yield file


def _is_ours(file: Path) -> bool:
    return any(file.is_relative_to(_ROOT / name) for name in _FOLDERS)


def _base(file: Path) -> Path:
    """What a file's absolute imports start from: this project, or the folder of the plug-in that it belongs to."""
    if _is_ours(file):
        return _ROOT
    around = [folder for folder in registry.plugin_folders() if file.is_relative_to(folder)]
    return min(around, key=lambda folder: len(folder.parts), default=file.parent)


def _module_name(file: Path) -> str:
    relative = file.relative_to(_base(file)).with_suffix("")
    parts = [part for part in relative.parts if part != "__init__"]
    return ".".join([_PACKAGE, *parts] if _is_ours(file) else parts)


def short(file: Path) -> str:
    """The name of a source file: its path in this project, or its bare name outside."""
    return str(file.relative_to(_ROOT)) if file.is_relative_to(_ROOT) else file.name


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@functools.cache
def _version(top: str) -> str | None:
    names = _distributions().get(top)
    return importlib.metadata.version(names[0]) if names else None
