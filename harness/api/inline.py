"""A layer that was typed into a notebook, as a plug-in file: its source, and of the rest of the notebook what it uses.

>>> plugin_of(RotaryGate, Path("coordbench-results")).name
'rotary_gate'
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import re
import symtable
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coordbench.harness.core import registry
from coordbench.harness.core.entries import NOTEBOOK
from coordbench.harness.core.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

FOLDER = "plugins"
_written: set[str] = set()
"""The plug-in files that this process wrote: a class that was changed takes the place of what it was before."""
_PLAIN = (bool, int, float, str, bytes, type(None))


@dataclass(frozen=True)
class Inline:
    """A layer's name, and the plug-in file that registers it."""

    name: str
    file: Path


def plugin_of(layer: type[nn.Module], out: Path) -> Inline:
    """Write the plug-in file of a class, load it, and return its name; the same source is the same file.

    A class that is not decorated by `coordbench.variant` is named after itself, `RotaryGate` as `rotary_gate`, and
    stands in as many dimensions as it can be built and called in.
    """
    registered = [entry.name for entry in registry.entries("variant") if entry.function is layer]
    name = registered[0] if registered else _snake(layer.__name__)
    text = _text(layer, name, is_registered=bool(registered))
    folder = out.resolve() / FOLDER / hashlib.sha256(text.encode()).hexdigest()[:12]
    file = folder / f"{name}.py"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    for entry in registry.entries("variant"):
        if entry.name == name and entry.file in {NOTEBOOK, *_written} - {str(file)}:
            registry.unload_plugin(entry.file)
    registry.load_plugin(file)
    _written.add(str(file))
    return Inline(name, file)


def _text(layer: type[nn.Module], name: str, *, is_registered: bool) -> str:
    """The plug-in's source."""
    source = _Source(layer.__module__)
    source.take(layer.__name__, layer)
    registration = ""
    if not is_registered:
        dims = _dimensions(layer)
        registration = f"\n\ncoordbench.variant({name!r}, source='a notebook', dims={dims!r})({layer.__name__})\n"
        source.imports.add("import coordbench")
    head = f'"""Written from a notebook: the layer {layer.__name__}, and what it uses."""'
    return "\n\n".join([head, "\n".join(sorted(source.imports)), *source.definitions]) + registration + "\n"


class _Source:
    """The imports and definitions that a class needs, in the order in which a file must hold them."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.imports: set[str] = set()
        self.definitions: list[str] = []
        self._seen: set[str] = set()

    def take(self, name: str, value: object) -> None:
        """Take in what a name stands for, and before it all that this uses."""
        if name in self._seen:
            return
        self._seen.add(name)
        if line := self._import_line(name, value):
            self.imports.add(line)
        elif isinstance(value, type | types.FunctionType):
            text = _source_of(value)
            for used, known in _used(text, value):
                self.take(used, known)
            self.definitions.append(text)
        elif _is_plain(value):
            self.definitions.append(f"{name} = {value!r}")
        else:
            raise UsageError(
                f"a layer of a notebook uses {name!r}, a {type(value).__name__}, which no plug-in file can hold; "
                "make it in the layer's __init__, or write the layer into a file and give it as plugin="
            )

    def _import_line(self, name: str, value: object) -> str:
        """How a file imports what a name stands for; empty for what was defined beside the class."""
        if isinstance(value, types.ModuleType):
            return f"import {value.__name__}" if name == value.__name__ else f"import {value.__name__} as {name}"
        module = getattr(value, "__module__", None)
        known = sys.modules.get(module) if isinstance(module, str) else None
        if known is None or module == self.home:
            return ""
        original = getattr(value, "__name__", "")
        exported = next((each for each in (original, name) if each and getattr(known, each, None) is value), "")
        if not exported:
            return ""
        return f"from {module} import {exported}" + ("" if exported == name else f" as {name}")


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


def _used(text: str, value: type | types.FunctionType) -> Iterator[tuple[str, object]]:
    """The names that a definition reads from around itself, with what they stand for in the notebook."""
    namespace = _namespace(value)
    for name in dict.fromkeys(_read_from_around(symtable.symtable(text, NOTEBOOK, "exec"))):
        if name in namespace and namespace[name] is not value:
            yield name, namespace[name]


def _read_from_around(scope: symtable.SymbolTable) -> Iterator[str]:
    """Names that are read in a scope or within it, and bound in none of these: not arguments, not local variables."""
    for symbol in scope.get_symbols():
        is_outer = not symbol.is_assigned() if scope.get_type() == "module" else symbol.is_global()
        if symbol.is_referenced() and is_outer:
            yield symbol.get_name()
    for child in scope.get_children():
        yield from _read_from_around(child)


def _namespace(value: type | types.FunctionType) -> Mapping[str, object]:
    return value.__globals__ if isinstance(value, types.FunctionType) else vars(sys.modules[value.__module__])


def _source_of(value: type | types.FunctionType) -> str:
    """The source of a definition, decorators and all, as it stands in its cell or file."""
    lines = _lines(value)
    tree = ast.parse("".join(lines))
    kind = ast.ClassDef if isinstance(value, type) else ast.FunctionDef
    places = [node for node in ast.walk(tree) if isinstance(node, kind) and node.name == value.__name__]
    if not places:
        raise UsageError(f"the source of {value.__name__!r} cannot be read; write it into a file, given as plugin=")
    node = places[-1]
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return inspect.cleandoc("\n" + "".join(lines[first - 1 : node.end_lineno])).rstrip()


def _lines(value: type | types.FunctionType) -> list[str]:
    """The lines of the cell or file that holds a definition: a notebook keeps those of its cells."""
    functions = [value] if isinstance(value, types.FunctionType) else _functions(value)
    for function in functions:
        lines = linecache.getlines(function.__code__.co_filename, function.__globals__)
        if lines:
            return lines
    return []


def _functions(value: type) -> Iterable[types.FunctionType]:
    """The functions that a class itself defines."""
    return [inspect.unwrap(one) for one in vars(value).values() if isinstance(one, types.FunctionType)]


def _dimensions(layer: type[nn.Module]) -> tuple[int, ...]:
    """The numbers of dimensions in which a class makes a layer that can be called; raise UsageError where none."""
    import torch

    reasons: list[str] = []
    working: list[int] = []
    for dims in (1, 2, 3):
        size = (6,) * dims
        try:
            with torch.random.fork_rng(), torch.no_grad():
                shape = tuple(layer(2, 3, 3, size=size, stride=1, bias=True)(torch.zeros(1, 2, *size)).shape)
            working += [dims] if shape == (1, 3, *size) else []
            reasons.append(f"(1, 2, *size) became {shape}, not (1, 3, *size)")
        except Exception as error:
            reasons.append(f"in {dims}-D: {type(error).__name__}: {' '.join(str(error).split())}")
    if not working:
        raise UsageError(
            f"{layer.__name__} is no layer that can be built by (in_channels, out_channels, kernel_size, *, size, "
            f"stride, bias) and called; {reasons[1][:300]}"
        )
    return tuple(working)


def _snake(name: str) -> str:
    """`RotaryGate2d` as `rotary_gate2d`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
