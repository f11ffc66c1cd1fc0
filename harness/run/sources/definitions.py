"""Which definitions of the machinery a trial uses: only those count, so that all else can change and re-trains nothing.

A file of the harness counts by the functions, classes and constants that are reached from where a trial begins, name by
name, and by whatever else stands at its top level, since that runs when it is imported. What an exception says is left
out. A file of a variant, a task or a plug-in counts whole.

The decorators that register a layer or a task are not followed: what they note down are the file that they stand in and
its options, and both count by themselves.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

from coordbench.harness.core.sources import imported_from, syntax_tree, tree_digest
from coordbench.harness.run.sources import files

Use = tuple[Path, str | None]
"""A file and a name at its top level; None stands for all of the file, "" for what runs at its import."""

_REGISTRY = files.ROOT / "harness" / "core" / "registry"
_REGISTERING = {"variant", "task", "backbone", "reference"}
_PURE = {"dataclass", "contextmanager", "cache", "lru_cache", "overload", "runtime_checkable", "total_ordering"}
"""Decorators that note nothing down elsewhere."""


def uses(roots: frozenset[Use]) -> dict[Path, frozenset[str | None]]:
    """Everything that roots use, directly or not: file -> its names."""
    seen: dict[Path, set[str | None]] = {}
    waiting = set(roots)
    while waiting:
        file, name = waiting.pop()
        names = seen.setdefault(file, set())
        if name in names:
            continue
        names.add(name)
        waiting |= used_by(file, name)
        if files.is_machinery(file):
            waiting.add((file, ""))
    return {file: frozenset(names) for file, names in seen.items()}


@functools.lru_cache(maxsize=4096)
def digest_of_uses(file: Path, names: frozenset[str | None]) -> str:
    """A hash of the parts of a file that are used."""
    source = source_of(file)
    if not files.is_machinery(file):
        return tree_digest(source.tree)
    chosen = {id(node): node for name in names for node in source.statements(name)}
    return tree_digest(*sorted(chosen.values(), key=lambda node: node.lineno))


@functools.lru_cache(maxsize=1 << 16)
def used_by(file: Path, name: str | None) -> frozenset[Use]:
    """What one name of a file uses, in this file and in others."""
    source = source_of(file)
    imported = source.whole_imports() if name is None else ()
    return frozenset(source.references(source.statements(name))).union(imported, source.exported(name))


class Source:
    """A file by the names at its top level."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.tree = syntax_tree(file)
        self.names: dict[str, list[ast.stmt]] = {}
        self.effects: list[ast.stmt] = []
        if files.is_machinery(file):
            _WithoutErrorTexts().visit(self.tree)
        self.imports = dict(self._imports())
        for statement in self.tree.body:
            self._sort(statement)

    def statements(self, name: str | None) -> list[ast.stmt]:
        """The statements that define a name, those that run at import for "", all for None."""
        if name is None:
            return self.tree.body
        return self.effects if name == "" else self.names.get(name, [])

    def references(self, statements: Iterable[ast.stmt]) -> Iterator[Use]:
        """What statements use."""
        visitor = _References(self)
        for statement in statements:
            visitor.visit(statement)
        yield from visitor.uses

    def resolve(self, name: str, attribute: str | None) -> Iterator[Use]:
        """What a name stands for that is read here, alone or as in `name.attribute`."""
        if name in self.names:
            yield self.file, name
        for module, part in self.imports.get(name, ()):
            yield from self._imported(module, part, attribute)

    def exported(self, name: str | None) -> Iterator[Use]:
        """What a name stands for that is imported here and read elsewhere."""
        if name and name not in self.names:
            yield from self.resolve(name, None)

    def whole_imports(self) -> Iterator[Use]:
        """All files that are imported here and count whole, used or not: importing them may be what they are for."""
        for targets in self.imports.values():
            for module, part in targets:
                for name in (module, f"{module}.{part}"):
                    paths = [path for _, path in files.modules(name, self.file)]
                    yield from ((path, None) for path in paths if part == "*" or not files.is_machinery(path))

    def _imported(self, module: str, part: str | None, attribute: str | None) -> Iterator[Use]:
        whole = module if part is None else f"{module}.{part}"
        reached = dict(files.modules(whole, self.file))
        for path in reached.values():
            yield path, ("" if files.is_machinery(path) else None)
        if whole in reached:
            yield from _of_module(reached[whole], attribute)
        elif module in reached and part is not None:
            yield from _of_module(reached[module], part)

    def _imports(self) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
        """Name -> the modules, and names in them, that it may have been imported from, anywhere in the file."""
        targets: dict[str, list[tuple[str, str | None]]] = {}
        package = files.package_of(self.file)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    targets.setdefault(alias.asname or alias.name.partition(".")[0], []).append((alias.name, None))
            elif isinstance(node, ast.ImportFrom):
                module = imported_from(node, package)
                for alias in node.names:
                    targets.setdefault(alias.asname or alias.name, []).append((module, alias.name))
        yield from targets.items()

    def _sort(self, statement: ast.stmt) -> None:
        """Note a statement under the names that it defines, or as one that runs at import."""
        match statement:
            case ast.Import() | ast.ImportFrom():
                return
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names = [statement.name] if _is_pure(statement) else []
            case ast.Assign(targets=targets) if all(isinstance(target, ast.Name) for target in targets):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names = [name]
            case _:
                names = []
        if not names:
            self.effects.append(statement)
        for name in names:
            self.names.setdefault(name, []).append(statement)


source_of = functools.lru_cache(maxsize=4096)(Source)


def _of_module(file: Path, attribute: str | None) -> Iterator[Use]:
    if not files.is_machinery(file):
        yield file, None
    elif not (file.is_relative_to(_REGISTRY) and attribute in _REGISTERING):
        yield file, attribute


def _is_pure(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Whether nothing but the definition comes of it."""
    called = [decorator.func if isinstance(decorator, ast.Call) else decorator for decorator in node.decorator_list]
    return all(ast.unparse(name).rpartition(".")[2] in _PURE for name in called)


class _WithoutErrorTexts(ast.NodeTransformer):
    """Leave of `raise X(..)` no more than X."""

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.copy_location(ast.Raise(exc=kind, cause=None), node)


class _References(ast.NodeVisitor):
    """Everything that is read by its name, annotations too: an object that comes from elsewhere is of that class."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.uses: set[Use] = set()

    def visit_Name(self, node: ast.Name) -> None:
        self.uses.update(self.source.resolve(node.id, None))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name):
            self.uses.update(self.source.resolve(node.value.id, node.attr))
        else:
            self.visit(node.value)
