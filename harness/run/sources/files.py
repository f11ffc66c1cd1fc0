"""Source files: which are this project's, how they are named, and which files an import runs."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from coordbench.harness.core import registry
from coordbench.harness.core.sources import imported_modules, syntax_tree

PACKAGE = "coordbench"
ROOT = Path(__file__).resolve().parents[3]
_FOLDERS = ("harness", "variants", "tasks")
_PUBLIC = Path(str(sys.modules["coordbench"].__file__)).resolve()
"""The public names."""


def is_ours(file: Path) -> bool:
    """Whether a file is this project's."""
    return file == _PUBLIC or any(file.is_relative_to(ROOT / name) for name in _FOLDERS)


def all_of_ours() -> Iterator[Path]:
    """Every source file that records may depend on."""
    yield _PUBLIC
    for name in _FOLDERS:
        yield from (ROOT / name).rglob("*.py")


def is_machinery(file: Path) -> bool:
    """Whether a file is of the harness, which all trials share: it counts by what is used of it."""
    return file == _PUBLIC or file.is_relative_to(ROOT / "harness")


def short(file: Path) -> str:
    """The name of a source file: its path in this project, or its bare name outside."""
    if file == _PUBLIC:
        return f"{PACKAGE}/{file.name}"
    return str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else file.name


def package_of(file: Path) -> str:
    """The package that a file's relative imports start from."""
    if file == _PUBLIC:
        return PACKAGE
    parts = [*([PACKAGE] if is_ours(file) else []), *file.relative_to(_base(file)).parts]
    return ".".join(parts[:-1])


def modules(name: str, importer: Path) -> Iterator[tuple[str, Path]]:
    """The packages on the way to a module and the module itself, with their files; none for a library."""
    names = name.split(".")
    ours = names[0] == PACKAGE
    if is_ours(importer) and not ours:
        return
    if ours:
        yield PACKAGE, _PUBLIC
    roots = {ROOT} if ours else {_base(importer), importer.parent}
    for root, depth in itertools.product(sorted(roots), range(1 + ours, len(names) + 1)):
        stem = root.joinpath(*names[ours:depth])
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if file.is_file():
                yield ".".join(names[:depth]), file


def closure(roots: frozenset[Path]) -> tuple[Path, ...]:
    """The files that `roots` import, directly or not, beside a plug-in; `roots` among them.

    A file of this project ends the way: what it imports is this project's, too.
    """
    files: set[Path] = set()
    waiting = set(roots)
    while waiting:
        file = waiting.pop()
        files.add(file)
        if not is_ours(file):
            waiting |= _imported(file) - files
    return tuple(sorted(files))


@functools.lru_cache(maxsize=4096)
def _imported(file: Path) -> frozenset[Path]:
    names = imported_modules(syntax_tree(file), package_of(file))
    return frozenset(path for name in names for _, path in modules(name, file))


def _base(file: Path) -> Path:
    """What a file's absolute imports start from: this project, or the folder of the plug-in that it belongs to."""
    if is_ours(file):
        return ROOT
    around = [folder for folder in registry.plugin_folders() if file.is_relative_to(folder)]
    return min(around, key=lambda folder: len(folder.parts), default=file.parent)


def forget() -> None:
    """Forget what was read from files."""
    _imported.cache_clear()
