"""The decorators by which a file registers what it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from coordbench.harness.core.contest import Refuse, accepts
from coordbench.harness.core.description import About, Axes, Sentence
from coordbench.harness.core.entries import BackboneEntry, ReferenceEntry, TaskEntry, VariantEntry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import Metric, Models, Problem, ReferenceKind
from coordbench.harness.core.registry import catalog

if TYPE_CHECKING:
    from torch import Tensor, nn

Module = TypeVar("Module", bound="Callable[..., nn.Module]")
Task = TypeVar("Task", bound=Callable[..., Problem])
Solver = TypeVar("Solver", bound=Callable[..., Models])

BOUNDS: tuple[ReferenceKind, ...] = get_args(ReferenceKind)


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
) -> Callable[[Module], Module]:
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
    catalog.check_name("variant", name)

    def register(function: Module) -> Module:
        catalog.add(
            catalog.VARIANTS,
            VariantEntry(name, function, source, dims, fixed_size, flops, parameters, textbook, identity),
        )
        return function

    return register


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
) -> Callable[[Task], Task]:
    """Register a task: a function (network, seed, **options) -> Problem. The first metric is the primary one.

    `network` is a `problem.Network`; `seed` makes the data; `backbones` are the base names of the networks that fit.
    `about(options)` opens the task's contests on a page, `axes` says what conditions and pictures mean, and
    `sentences` are filled in with the scores of a run. `refuse(contest)` says why a contest could tell nothing.
    """
    if not isinstance(metrics, tuple) or not metrics or not all(isinstance(metric, Metric) for metric in metrics):
        raise UsageError(f"task {name!r}: metrics={metrics!r} is not valid; write a tuple of Metric, the primary first")
    if not isinstance(backbones, tuple) or not all(isinstance(backbone, str) for backbone in backbones):
        raise UsageError(f"task {name!r}: backbones={backbones!r} is not valid; write a tuple of names")
    catalog.check_name("task", name)

    def register(function: Task) -> Task:
        catalog.add(
            catalog.TASKS,
            TaskEntry(name, function, suite, metrics, backbones, splits, source, about, axes or {}, sentences, refuse),
        )
        return function

    return register


def backbone(name: str, *, source: str = "", refuse: Refuse = accepts) -> Callable[[Module], Module]:
    """Register a network: a function (layer, input_shape, output_shape, **options) -> nn.Module.

    `refuse(contest)` says why a contest in this network could tell nothing.
    """
    catalog.check_name("backbone", name)

    def register(function: Module) -> Module:
        catalog.add(catalog.BACKBONES, BackboneEntry(name, function, source, refuse))
        return function

    return register


def reference(
    *,
    task: str | tuple[str, ...],
    kind: ReferenceKind,
    name: str | None = None,
    when: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Callable[[Solver], Solver]:
    """Register a solver that uses no variant: a function (problem) -> models as callables.

    `when(options)` tells for which options of the task it stands; it stands for all where left out.
    """
    tasks = (task,) if isinstance(task, str) else task
    if kind not in BOUNDS:
        raise UsageError(f"a reference of {', '.join(tasks)}: kind={kind!r} is not valid; valid: {', '.join(BOUNDS)}")

    def register(function: Solver) -> Solver:
        catalog.add(catalog.REFERENCES, ReferenceEntry(name or function.__name__, function, tasks, kind, when))
        return function

    return register
