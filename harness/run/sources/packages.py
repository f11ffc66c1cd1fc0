"""Libraries: what counts of a package that a source file imports, and what of a file nobody can follow."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from coordbench.harness.core.sources import digest, imported_modules, source_digest, syntax_tree
from coordbench.harness.run.sources import files

_ALWAYS = ("torch", "numpy")
_UNSEEN_CALLS = {
    "import_module": "imports by a name",
    "__import__": "imports by a name",
    "exec": "runs text as code",
    "eval": "runs text as code",
    "run_path": "runs a file as code",
    "open": "opens a file",
    "read_text": "reads a file",
    "read_bytes": "reads a file",
    "imread": "reads a file",
    "loadtxt": "reads a file",
    "urlopen": "reads from the network",
    "getenv": "reads the environment",
    "CDLL": "loads a library",
}


def parts(sources: list[Path]) -> dict[str, str]:
    """The packages that files import, each by its version, or by a hash of its files where it is not installed."""
    names = set(_ALWAYS).union(*(_libraries(file) for file in sources))
    return dict(filter(None, (part(name) for name in sorted(names))))


@functools.lru_cache(maxsize=4096)
def _libraries(file: Path) -> frozenset[str]:
    """The top-level names of all that a file imports but ours and the standard library."""
    tree = syntax_tree(file)
    names = {*imported_modules(tree, files.package_of(file)), *_named_by_text(tree)}
    outside = {name.partition(".")[0] for name in names if not any(files.modules(name, file))}
    return frozenset(outside - {files.PACKAGE, "", *sys.stdlib_module_names})


def _named_by_text(tree: ast.AST) -> Iterator[str]:
    """Packages named by a text in a file that uses importlib: for data that ship in them, or imported by name."""
    nodes = list(ast.walk(tree))
    if any(isinstance(node, ast.ImportFrom | ast.Import) and "importlib" in ast.unparse(node) for node in nodes):
        texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
        yield from (text for text in texts if text.partition(".")[0] in distributions())


def part(name: str) -> tuple[str, str] | None:
    """A package as a part of an identity: by its version, or, where that does not tell, by its files."""
    installed = distributions().get(name, [])
    versions = {version(one) for one in installed if not _is_editable(one)}
    if versions:
        return f"library {name}", ", ".join(sorted(versions))
    try:
        specification = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        specification = None
    if specification is None:
        return f"package {name}", "missing"
    folders = [Path(folder) for folder in specification.submodule_search_locations or ()]
    alone = [Path(specification.origin)] if specification.origin and not folders else []
    return f"package {name}", digest([_digest_of_code(path) for path in (*folders, *alone)])


def _digest_of_code(path: Path) -> list[tuple[str, str]]:
    """The names and hashes of the source files, and of all that was compiled, in a package or of a module."""
    code = sorted(path.rglob("*")) if path.is_dir() else [path]
    chosen = [file for file in code if file.suffix in (".py", ".so") and "__pycache__" not in file.parts]
    return [(str(file.relative_to(path)), _digest_of_file(file)) for file in chosen]


def _digest_of_file(file: Path) -> str:
    if file.suffix == ".py":
        try:
            return source_digest(file)
        except SyntaxError:
            return "no Python"
    return digest(file.read_bytes().hex())


@functools.cache
def distributions() -> Mapping[str, list[str]]:
    """Top-level name -> the installed distributions that hold it."""
    return importlib.metadata.packages_distributions()


@functools.cache
def version(distribution: str) -> str:
    """The version of an installed distribution, with its name where many may hold one package."""
    return importlib.metadata.version(distribution)


@functools.cache
def _is_editable(distribution: str) -> bool:
    """Whether a distribution is a folder that somebody works in, so that its version does not tell."""
    text = importlib.metadata.distribution(distribution).read_text("direct_url.json")
    return bool(text and json.loads(text).get("dir_info", {}).get("editable"))


@functools.lru_cache(maxsize=4096)
def untracked(file: Path) -> tuple[str, ...]:
    """What a file of a plug-in does that no hash follows, line by line."""
    calls = [node for node in ast.walk(syntax_tree(file)) if isinstance(node, ast.Call)]
    named = [(node.lineno, ast.unparse(node.func)) for node in calls]
    known = [(line, name) for line, name in named if name.rpartition(".")[2] in _UNSEEN_CALLS]
    return tuple(f"{files.short(file)}:{line} {_UNSEEN_CALLS[n.rpartition('.')[2]]} ({n})" for line, n in sorted(known))


def forget() -> None:
    """Forget what was read from files and of installed packages."""
    for cached in (_libraries, distributions, version, _is_editable, untracked):
        cached.cache_clear()
