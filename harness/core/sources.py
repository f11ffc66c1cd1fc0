"""What code and data are, as hashes: plain values, files, syntax trees; and which modules a source file imports.

The standard library alone is used here, nothing of this project: the gate hands this file to both of its sides.
"""

from __future__ import annotations

import ast
import hashlib
import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

_parsing = threading.Lock()  # Python 3.11 raised a SystemError where threads parsed at the same time


def digest(value: object) -> str:
    """The SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def text_digest(text: str) -> str:
    """The SHA-256 of a text, and of a file that holds it and nothing else."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_files(path: Path) -> str:
    """A hash of a file, or of the names and contents of all files in a folder; `missing` where there is none."""
    if not path.exists():
        return "missing"
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            total.update(f"{file.relative_to(path)}\0".encode())
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def source_digest(file: Path) -> str:
    """A hash of a file's syntax tree, comments and docstrings aside."""
    return tree_digest(syntax_tree(file))


def tree_digest(*nodes: ast.AST) -> str:
    """A hash of syntax trees, wherever they stand in their files."""
    return hashlib.sha256("\0".join(map(ast.dump, nodes)).encode()).hexdigest()


def syntax_tree(file: Path) -> ast.Module:
    """A file's syntax tree without docstrings."""
    with _parsing:
        tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node):  # type: ignore[arg-type]
            node.body = node.body[1:]  # type: ignore[attr-defined]
    return tree


def imported_modules(tree: ast.AST, package: str) -> Iterator[str]:
    """The names of all modules that the code of a file in `package` may import, wherever in it that stands.

    `from a import b` names `a` and `a.b`, since b may be a module; relative names are made absolute by `package`.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = imported_from(node, package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imported_from(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of the module that `from MODULE import ..` reads, in a file of `package`."""
    around = package.split(".")
    base = around[: len(around) - node.level + 1] if node.level else []
    return ".".join([*base, *filter(None, [node.module])])


def with_packages(modules: Iterable[str]) -> Iterator[str]:
    """Modules and the packages that importing them runs first: `a.b.c` gives `a`, `a.b`, `a.b.c`."""
    for module in modules:
        parts = module.split(".")
        yield from (".".join(parts[: i + 1]) for i in range(len(parts)))
