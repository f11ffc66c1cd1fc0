"""Names for layers, tasks, backbones and references, and the selector grammar `name[option=value, ...]`.

A file registers what it holds by a decorator; nothing else lists it. Built-in files are found by walking the packages
`variants` and `tasks`; a user's own come as plug-in files (`--plugin my_layer.py`) or by the entry point group
`coordbench.plugins`.

    >>> layer = registry.layer("coordconv[radius=true]")
    >>> layer(3, 8, 3, size=(32, 32))
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import math
import pkgutil
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from harness.spec import LayerFactory, Metric, Models, Network, Problem, ReferenceKind, UsageError, Value

if TYPE_CHECKING:
    from torch import nn

Kind = Literal["variant", "task", "backbone", "reference"]
F = TypeVar("F", bound=Callable[..., Any])

_PACKAGES = ("variants", "tasks")
_LAYER_ARGUMENTS = ("size", "stride", "bias")
_SELECTOR = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\[(.*)\])?\s*", re.DOTALL)


@dataclass(frozen=True)
class Option:
    """A keyword argument of a registered function: its type as written and its default."""

    name: str
    annotation: Any
    default: Any

    def convert(self, text: str, where: str) -> Any:
        """Turn the text of a selector into a value of this option's type, or raise a UsageError."""
        for candidate in _alternatives(self.annotation):
            try:
                return _convert(text, candidate)
            except ValueError:
                continue
        raise UsageError(f"{where}: option {self.name}={text!r} is not valid; expected {self.describe()}")

    def describe(self) -> str:
        """What a user may write for this option."""
        return " or ".join(_describe(kind) for kind in _alternatives(self.annotation))


@dataclass(frozen=True)
class Entry:
    """A registered function and what its file says about it."""

    kind: Kind
    name: str
    function: Callable[..., Any]
    file: str
    options: tuple[Option, ...]
    summary: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def parse(self, options: str | None) -> dict[str, Any]:
        """Typed options from the text between the brackets of a selector."""
        known = {option.name: option for option in self.options}
        parsed: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in (options or "").split(","))):
            key, equals, text = (piece.strip() for piece in part.partition("="))
            if key not in known:
                raise UsageError(f"unknown option {key!r} of {self.kind} {self.name!r}; {_valid(key, known)}")
            if not equals:
                raise UsageError(f"{self.kind} {self.name!r}: option {key!r} has no value; write {key}=VALUE")
            if key in parsed:
                raise UsageError(f"{self.kind} {self.name!r}: option {key!r} is given twice")
            parsed[key] = known[key].convert(text, f"{self.kind} {self.name!r}")
        return parsed

    def label(self, options: Mapping[str, Any]) -> str:
        """The canonical selector: options sorted, defaults left out."""
        defaults = {option.name: option.default for option in self.options}
        kept = {key: value for key, value in sorted(options.items()) if value != defaults[key]}
        return self.name + (f"[{', '.join(f'{key}={_show(value)}' for key, value in kept.items())}]" if kept else "")


@dataclass(frozen=True)
class Selected:
    """An entry with its options: what a selector such as `unet[depth=3]` names."""

    entry: Entry
    options: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The canonical selector."""
        return self.entry.label(self.options)

    @property
    def all_options(self) -> dict[str, Any]:
        """The options with their defaults."""
        return {option.name: option.default for option in self.entry.options} | dict(self.options)


@dataclass(frozen=True)
class Layer(LayerFactory):
    """A variant with its options, as a LayerFactory that checks its arguments."""

    selected: Selected

    @property
    def name(self) -> str:
        """The base name of the variant."""
        return self.selected.entry.name

    @property
    def label(self) -> str:
        """The canonical selector of the variant."""
        return self.selected.label

    def __call__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True,
    ) -> nn.Module:  # fmt: skip
        """Build the layer; raise ValueError naming the argument that does not fit."""
        self._check(in_channels, out_channels, kernel_size, tuple(size), stride)
        module: nn.Module = self.selected.entry.function(
            in_channels, out_channels, kernel_size, size=tuple(size), stride=stride, bias=bias, **self.selected.options
        )
        module.coordbench_layer = self  # type: ignore[assignment]  # measure/flops.py finds the formula by it
        return module

    def _check(self, in_channels: int, out_channels: int, kernel_size: int, size: tuple[int, ...], stride: int) -> None:
        counts = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "kernel_size": kernel_size,
            "stride": stride,
        }
        for argument, value in counts.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{self.label}: {argument}={value!r} must be an integer of at least 1")
        dims = self.selected.entry.facts["dims"]
        if len(size) not in dims or any(not isinstance(n, int) or n < 1 for n in size):
            shapes = " or ".join(f"{d}-D" for d in dims)
            raise ValueError(
                f"{self.label}: size={size!r} must be {shapes}, positive integers, such as {(8,) * dims[-1]}"
            )


_entries: dict[tuple[Kind, str], Entry] = {}
_loaded: set[str] = set()


def variant(
    name: str,
    *,
    source: str,
    dims: tuple[int, ...] = (1, 2, 3),
    fixed_size: bool = False,
    flops: Callable[[Any, tuple[int, ...]], int] | None = None,
    parameters: Callable[..., int] | None = None,
) -> Callable[[F], F]:
    """Register a layer: a class or function with the arguments of `LayerFactory`; further keywords are its options.

    `source` cites the paper. `fixed_size` layers work only at the size they were built for. `flops(module, shape)` is
    the hand formula of a forward pass [FLOPs, 2 per multiply-add] on an input of `shape` (N, C, *size);
    `parameters(in_channels, out_channels, kernel_size, size=, stride=, bias=, **options)` that of the parameter count.
    """
    facts = {"source": source, "dims": dims, "fixed_size": fixed_size, "flops": flops, "parameters": parameters}
    return _register("variant", name, facts, _LAYER_ARGUMENTS)


def task(
    name: str,
    *,
    suite: str,
    metrics: tuple[Metric, ...],
    backbones: tuple[str, ...],
    splits: tuple[str, ...] = ("validation", "test"),
    source: str = "",
) -> Callable[[F], F]:
    """Register a task: a function (network, seed, **options) -> Problem. The first metric is the primary one.

    `network` is a `spec.Network`; `seed` makes the data; `backbones` are the base names of the networks that fit.
    """
    facts = {"suite": suite, "metrics": metrics, "backbones": backbones, "splits": splits, "source": source}
    return _register("task", name, facts)


def backbone(name: str, *, source: str = "") -> Callable[[F], F]:
    """Register a network: a function (layer, input_shape, output_shape, **options) -> nn.Module."""
    return _register("backbone", name, {"source": source})


def reference(
    *,
    task: str | tuple[str, ...],
    kind: ReferenceKind,
    name: str | None = None,
    when: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Callable[[F], F]:
    """Register a solver that uses no variant: a function (problem) -> models as callables.

    `when(options)` tells for which options of the task it stands; it stands for all where left out.
    """
    tasks = (task,) if isinstance(task, str) else task

    def register(function: F) -> F:
        facts = {"tasks": tasks, "reference_kind": kind, "when": when}
        return _register("reference", name or function.__name__, facts)(function)

    return register


def load() -> None:
    """Import every built-in file and installed plug-in, so that their names are known."""
    for package in _PACKAGES:
        if package in _loaded:
            continue
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            importlib.import_module(module.name)
        _loaded.add(package)
    if "plugins" not in _loaded:
        for point in importlib.metadata.entry_points(group="coordbench.plugins"):
            point.load()
        _loaded.add("plugins")


def load_plugin(path: str | Path) -> None:
    """Import a user's file, from wherever it lies; raise UsageError with its reason if that fails."""
    file = Path(path).resolve()
    if str(file) in _loaded:
        return
    if not file.is_file():
        raise UsageError(
            f"plug-in {str(path)!r} is not a file; expected a Python file that registers a variant or task"
        )
    name = f"coordbench_plugin_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    specification = importlib.util.spec_from_file_location(name, file)
    if specification is None or specification.loader is None:
        raise UsageError(f"plug-in {str(path)!r} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    if str(file.parent) not in sys.path:  # a plug-in may import helpers that lie beside it
        sys.path.append(str(file.parent))
    try:
        specification.loader.exec_module(module)
    except UsageError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"plug-in {str(path)!r} cannot be loaded: {reason}") from error
    _loaded.add(str(file))


def entries(kind: Kind) -> list[Entry]:
    """Everything registered of one kind, by name."""
    load()
    return [entry for (other, _), entry in sorted(_entries.items()) if other == kind]


def entry(kind: Kind, name: str) -> Entry:
    """One entry by its base name, or a UsageError that lists the valid names."""
    load()
    found = _entries.get((kind, name))
    if found is None:
        raise UsageError(f"unknown {kind} {name!r}; {_valid(name, [e.name for e in entries(kind)])}")
    return found


def select(kind: Kind, selector: str) -> Selected:
    """What `name[option=value, ...]` names, with typed options."""
    match = _SELECTOR.fullmatch(selector)
    if match is None:
        raise UsageError(f"{kind} {selector!r} is no selector; write name or name[option=value, option=value]")
    found = entry(kind, match[1])
    return Selected(found, found.parse(match[2]))


def layer(selector: str) -> Layer:
    """The factory of a variant, such as `layer("coordconv[radius=true]")`."""
    return Layer(select("variant", selector))


def network(selector: str, factory: LayerFactory, width: float | None = None) -> Network:
    """A backbone bound to a layer factory, `width` in place of its own option of that name."""
    chosen = select("backbone", selector)
    options = dict(chosen.options) | ({} if width is None else {"width": width})

    def build(input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> nn.Module:
        module: nn.Module = chosen.entry.function(factory, input_shape, output_shape, **options)
        return module

    return build


def problem(selector: str, build: Network, seed: int) -> Problem:
    """A task made concrete for one seed."""
    chosen = select("task", selector)
    made: Problem = chosen.entry.function(build, seed, **chosen.options)
    return made


def references(task_selector: str) -> list[Entry]:
    """The references that stand for a task with its options, floors first."""
    chosen = select("task", task_selector)
    order = ("floor", "ceiling", "anchor")
    found = [
        e
        for e in entries("reference")
        if chosen.entry.name in e.facts["tasks"] and (e.facts["when"] is None or e.facts["when"](chosen.all_options))
    ]
    return sorted(found, key=lambda e: (order.index(e.facts["reference_kind"]), e.name))


def solve(name: str, made: Problem) -> Models:
    """The models of a reference for a problem."""
    solved: Models = entry("reference", name).function(made)
    return solved


def options_of(selector: str) -> tuple[str, str]:
    """Split a canonical selector into base name and options text."""
    name, _, rest = selector.partition("[")
    return name, rest.removesuffix("]")


def _register(kind: Kind, name: str, facts: Mapping[str, Any], hidden: tuple[str, ...] = ()) -> Callable[[F], F]:
    def register(function: F) -> F:
        made = Entry(kind, name, function, _file_of(function), _options_of(function, hidden), _summary(function), facts)
        known = _entries.get((kind, name))
        if known is not None and known.file != made.file:
            raise UsageError(f"{kind} {name!r} of {made.file} is already registered by {known.file}")
        _entries[kind, name] = made
        return function

    return register


def _file_of(function: Callable[..., Any]) -> str:
    return str(Path(inspect.getfile(inspect.unwrap(function))).resolve())


def _summary(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


def _options_of(function: Callable[..., Any], hidden: tuple[str, ...]) -> tuple[Option, ...]:
    namespace = vars(sys.modules[function.__module__])
    options = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY or parameter.name in hidden:
            continue
        annotation = parameter.annotation
        if isinstance(annotation, str):  # one by one: other annotations may name what exists for type checkers only
            annotation = eval(annotation, namespace)  # a user's own source text, which has just been imported
        if parameter.default is inspect.Parameter.empty:
            raise UsageError(f"option {parameter.name!r} of {function.__qualname__} needs a default")
        options.append(Option(parameter.name, annotation, parameter.default))
    return tuple(options)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (str,) if annotation is inspect.Parameter.empty else (annotation,)


def _convert(text: str, kind: Any) -> Value | Path | None:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    if kind is type(None):
        if text.lower() != "none":
            raise ValueError(text)
        return None
    if typing.get_origin(kind) is Literal:
        for choice in typing.get_args(kind):
            if str(choice) == text:
                return typing.cast(Value, choice)
        raise ValueError(text)
    value = kind(text)
    if kind is float and not math.isfinite(value):
        raise ValueError(text)
    return typing.cast(Value, value)


def _describe(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(kind))
    names = {bool: "true or false", int: "an integer", float: "a number", str: "text", Path: "a path"}
    return "none" if kind is type(None) else names.get(kind, str(kind))


def _show(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _valid(wrong: str, names: Any) -> str:
    names = sorted(names)
    close = difflib.get_close_matches(wrong, names, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid: {', '.join(names) or 'none'}"
