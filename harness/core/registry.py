"""Names for layers, tasks, backbones and references, and the selector grammar `name[option=value, ...]`.

A file registers what it holds by a decorator; nothing else lists it. Built-in files are found by walking the packages
`variants` and `tasks`; a user's own come as plug-in files (`--plugin my_layer.py`) or by the entry point group
`coordbench.plugins`.

    >>> layer = registry.layer("coordconv[radius=true]")
    >>> layer(3, 8, 3, size=(32, 32))
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from coordbench.harness.core.contest import Contest, Refuse, accepts
from coordbench.harness.core.description import About, Axes, Description, Sentence
from coordbench.harness.core.entries import Entry, Kind, Layer, Selected
from coordbench.harness.core.errors import UsageError, describe_error
from coordbench.harness.core.options import options_of_function, valid
from coordbench.harness.core.problem import LayerFactory, Metric, Models, Network, Problem, ReferenceKind
from coordbench.harness.core.selector import Selector

if TYPE_CHECKING:
    from torch import Tensor, nn

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGES = ("coordbench.variants", "coordbench.tasks")
_LAYER_ARGUMENTS = ("size", "stride", "bias")
_KINDS: tuple[ReferenceKind, ...] = ("floor", "ceiling", "anchor")
_NAME = re.compile(r"[A-Za-z_]\w*")

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
    textbook: Callable[..., Tensor] | None = None,
    identity: Callable[..., None] | str = "",
) -> Callable[[F], F]:
    """Register a layer: a class or function with the arguments of `LayerFactory`; further keywords are its options.

    `source` cites the paper. `fixed_size` layers work only at the size they were built for. `flops(module, shape)` is
    the hand formula of a forward pass [FLOPs, 2 per multiply-add] on an input of `shape` (N, C, *size);
    `parameters(in_channels, out_channels, kernel_size, size=, stride=, bias=, **options)` that of the parameter count.
    `textbook(module, x)` is the layer as its paper writes it, in two dimensions, however slow: what tests compare with.
    `identity(module, weight, bias)` makes a layer the plain convolution of that weight (C_out, C_in, *kernel) and bias
    (C_out,) or None; a text says why a layer cannot be made one.
    """
    if not isinstance(dims, tuple) or not dims or not set(dims) <= {1, 2, 3}:
        raise UsageError(f"variant {name!r}: dims={dims!r} is not valid; write a tuple of 1, 2 and 3, such as (2,)")
    facts = {"source": source, "dims": dims, "fixed_size": fixed_size, "flops": flops, "parameters": parameters}
    facts |= {"textbook": textbook, "identity": identity}
    facts["formula"] = _first_line(parameters.__doc__).rstrip(".") if parameters else ""
    return _register("variant", name, facts, _LAYER_ARGUMENTS)


def task(
    name: str,
    *,
    suite: str,
    metrics: tuple[Metric, ...],
    backbones: tuple[str, ...],
    splits: tuple[str, ...] = ("validation", "test"),
    source: str = "",
    about: Callable[[Mapping[str, Any]], About] | None = None,
    axes: Mapping[str, Axes] | None = None,
    sentences: tuple[Sentence, ...] = (),
    refuse: Refuse = accepts,
) -> Callable[[F], F]:
    """Register a task: a function (network, seed, **options) -> Problem. The first metric is the primary one.

    `network` is a `problem.Network`; `seed` makes the data; `backbones` are the base names of the networks that fit.
    `about(options)` opens the task's contests on a page, `axes` says what conditions and pictures mean, and
    `sentences` are filled in with the scores of a run. `refuse(contest)` says why a contest could tell nothing.
    """
    if not isinstance(metrics, tuple) or not metrics or not all(isinstance(metric, Metric) for metric in metrics):
        raise UsageError(f"task {name!r}: metrics={metrics!r} is not valid; write a tuple of Metric, the primary first")
    if not isinstance(backbones, tuple) or not all(isinstance(backbone, str) for backbone in backbones):
        raise UsageError(f"task {name!r}: backbones={backbones!r} is not valid; write a tuple of names")
    facts: dict[str, object] = {"suite": suite, "metrics": metrics, "backbones": backbones, "splits": splits}
    facts |= {"source": source, "about": about, "axes": axes or {}, "sentences": sentences, "refuse": refuse}
    return _register("task", name, facts)


def described(selected: Selected) -> Description:
    """What a task says of itself with these options."""
    facts = selected.entry.facts
    about = facts["about"](selected.all_options) if facts["about"] else None
    return Description(about, facts["axes"], facts["sentences"])


def backbone(name: str, *, source: str = "", refuse: Refuse = accepts) -> Callable[[F], F]:
    """Register a network: a function (layer, input_shape, output_shape, **options) -> nn.Module.

    `refuse(contest)` says why a contest in this network could tell nothing.
    """
    return _register("backbone", name, {"source": source, "refuse": refuse})


def refusal(task: Selected, network: Selected, variants: Sequence[Selector]) -> str:
    """Why the task or the backbone refuses to compare these variants; "" where neither does."""
    contest = Contest(task.all_options, network.entry.name, network.all_options, tuple(variants))
    return next(filter(None, (chosen.entry.facts["refuse"](contest) for chosen in (task, network))), "")


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
    if kind not in _KINDS:
        raise UsageError(f"a reference of {', '.join(tasks)}: kind={kind!r} is not valid; valid: {', '.join(_KINDS)}")

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
    load()  # so that it is the plug-in that takes a name twice
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
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"plug-in {str(path)!r} cannot be loaded: {describe_error(error)}") from error
    _check_references(file)
    _loaded.add(str(file))


def plugin_folders() -> set[Path]:
    """The folders of the plug-in files that were loaded."""
    return {Path(name).parent for name in _loaded if name.endswith(".py")}


def _check_references(file: Path) -> None:
    """Refuse references that stand for no task: nobody would ever see them."""
    tasks = [entry.name for entry in entries("task")]
    for found in entries("reference"):
        for name in found.facts["tasks"] if found.file == str(file) else ():
            if name not in tasks:
                raise UsageError(f"reference {found.name!r} stands for an unknown task {name!r}; {valid(name, tasks)}")


def entries(kind: Kind) -> list[Entry]:
    """Everything registered of one kind, by name."""
    load()
    return [entry for (other, _), entry in sorted(_entries.items()) if other == kind]


def entry(kind: Kind, name: str) -> Entry:
    """One entry by its base name, or a UsageError that lists the valid names."""
    load()
    found = _entries.get((kind, name))
    if found is None:
        raise UsageError(f"unknown {kind} {name!r}; {valid(name, [e.name for e in entries(kind)])}")
    return found


def select(kind: Kind, selector: Selector | str) -> Selected:
    """What `name[option=value, ...]` names, with typed options."""
    wanted = Selector.parse(selector) if isinstance(selector, str) else selector
    known = entry(kind, wanted.name)
    return Selected(known, known.convert(dict(wanted.options)))


def layer(selector: Selector | str) -> Layer:
    """The factory of a variant, such as `layer("coordconv[radius=true]")`."""
    return Layer(select("variant", selector))


def network(selector: Selector | str, factory: LayerFactory, width: float | None = None) -> Network:
    """A backbone bound to a layer factory, `width` in place of its own option of that name."""
    chosen = select("backbone", selector)
    options = dict(chosen.options) | ({} if width is None else {"width": width})

    def build(input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> nn.Module:
        module: nn.Module = chosen.entry.function(factory, input_shape, output_shape, **options)
        return module

    return build


def problem(selector: Selector | str, build: Network, seed: int) -> Problem:
    """A task made concrete for one seed."""
    chosen = select("task", selector)
    made: Problem = chosen.entry.function(build, seed, **chosen.options)
    return made


def references(task_selector: Selector | str) -> list[Entry]:
    """The references that stand for a task with its options, floors first."""
    chosen = select("task", task_selector)
    found = [
        e
        for e in entries("reference")
        if chosen.entry.name in e.facts["tasks"] and (e.facts["when"] is None or e.facts["when"](chosen.all_options))
    ]
    return sorted(found, key=lambda e: (_KINDS.index(e.facts["reference_kind"]), e.name))


def solve(name: str, made: Problem) -> Models:
    """The models of a reference for a problem."""
    solved: Models = entry("reference", name).function(made)
    return solved


def _register(kind: Kind, name: str, facts: Mapping[str, Any], hidden: tuple[str, ...] = ()) -> Callable[[F], F]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(f"{kind} {name!r} cannot be named so; write letters, digits and _, no digit first")

    def register(function: F) -> F:
        made = Entry(
            kind, name, function, _file_of(function), options_of_function(function, hidden), _summary(function), facts
        )
        known = _entries.get((kind, name))
        if known is not None and _place(known.function) != _place(function):
            raise UsageError(f"{kind} {name!r} of {_place(function)} is already registered by {_place(known.function)}")
        _entries[kind, name] = made
        return function

    return register


def _file_of(function: Callable[..., Any]) -> str:
    return str(Path(inspect.getfile(inspect.unwrap(function))).resolve())


def _place(function: Callable[..., Any]) -> str:
    """File and line of a definition."""
    return f"{_file_of(function)}:{inspect.getsourcelines(inspect.unwrap(function))[1]}"


def _summary(function: Callable[..., Any]) -> str:
    """The first line of what a definition says of itself, or else of what its file says: never of what it inherits."""
    written = vars(function).get("__doc__") if inspect.isclass(function) else function.__doc__
    module = sys.modules.get(function.__module__)
    return _first_line(written or (module.__doc__ if module else ""))


def _first_line(text: str | None) -> str:
    return inspect.cleandoc(text or "").partition("\n")[0]
