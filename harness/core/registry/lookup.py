"""From a name to its entry, and from a selector to the layer, the network or the problem that it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, overload

from coordbench.harness.core.contest import Contest
from coordbench.harness.core.entries import (
    BackboneEntry,
    Entry,
    Kind,
    Layer,
    ReferenceEntry,
    Selected,
    TaskEntry,
    VariantEntry,
)
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.options import valid
from coordbench.harness.core.problem import LayerFactory, Models, Network, Problem
from coordbench.harness.core.registry import catalog
from coordbench.harness.core.registry.decorators import BOUNDS
from coordbench.harness.core.registry.plugins import load
from coordbench.harness.core.selector import Selector

if TYPE_CHECKING:
    from torch import nn

_CATALOGS: Mapping[Kind, Mapping[str, Entry]] = {
    "variant": catalog.VARIANTS,
    "task": catalog.TASKS,
    "backbone": catalog.BACKBONES,
    "reference": catalog.REFERENCES,
}


@overload
def entry(kind: Literal["variant"], name: str) -> VariantEntry: ...
@overload
def entry(kind: Literal["task"], name: str) -> TaskEntry: ...
@overload
def entry(kind: Literal["backbone"], name: str) -> BackboneEntry: ...
@overload
def entry(kind: Literal["reference"], name: str) -> ReferenceEntry: ...
@overload
def entry(kind: Kind, name: str) -> Entry: ...
def entry(kind: Kind, name: str) -> Entry:
    """One entry by its base name, or a UsageError that lists the valid names."""
    load()
    known = _CATALOGS[kind]
    if name not in known:
        raise UsageError(f"unknown {kind} {name!r}; {valid(name, known)}")
    return known[name]


@overload
def entries(kind: Literal["variant"]) -> Sequence[VariantEntry]: ...
@overload
def entries(kind: Literal["task"]) -> Sequence[TaskEntry]: ...
@overload
def entries(kind: Literal["backbone"]) -> Sequence[BackboneEntry]: ...
@overload
def entries(kind: Literal["reference"]) -> Sequence[ReferenceEntry]: ...
def entries(kind: Kind) -> Sequence[Entry]:
    """Everything registered of one kind, by name."""
    load()
    return [known for _, known in sorted(_CATALOGS[kind].items())]


@overload
def select(kind: Literal["variant"], selector: Selector | str) -> Selected[VariantEntry]: ...
@overload
def select(kind: Literal["task"], selector: Selector | str) -> Selected[TaskEntry]: ...
@overload
def select(kind: Literal["backbone"], selector: Selector | str) -> Selected[BackboneEntry]: ...
@overload
def select(kind: Kind, selector: Selector | str) -> Selected[Entry]: ...
def select(kind: Kind, selector: Selector | str) -> Selected[Entry]:
    """What `name[option=value, ...]` names, with typed options."""
    wanted = Selector.parse(selector) if isinstance(selector, str) else selector
    known = entry(kind, wanted.name)
    return Selected(known, known.convert(dict(wanted.options)))


def layer(selector: Selector | str) -> Layer:
    """The factory of a variant, such as `layer("coordconv[radius=true]")`."""
    return Layer(select("variant", selector))


def network(selector: Selector | str, factory: LayerFactory, width: float | None = None) -> Network:
    """A backbone bound to a layer factory, `width` in place of its own option of that name."""
    backbone = select("backbone", selector)
    options = dict(backbone.options) | ({} if width is None else {"width": width})

    def build(input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> nn.Module:
        return backbone.entry.function(factory, input_shape, output_shape, **options)

    return build


def problem(selector: Selector | str, build: Network, seed: int) -> Problem:
    """A task made concrete for one seed."""
    task = select("task", selector)
    return task.entry.function(build, seed, **task.options)


def references(task_selector: Selector | str) -> list[ReferenceEntry]:
    """The references that stand for a task with its options, floors first."""
    task = select("task", task_selector)
    standing = [reference for reference in entries("reference") if reference.stands_for(task)]
    return sorted(standing, key=lambda reference: (BOUNDS.index(reference.bound), reference.name))


def refusal(task: Selected[TaskEntry], network: Selected[BackboneEntry], variants: Sequence[Selector]) -> str:
    """Why the task or the backbone refuses to compare these variants; "" where neither does."""
    contest = Contest(task.all_options, network.entry.name, network.all_options, tuple(variants))
    return task.entry.refuse(contest) or network.entry.refuse(contest)


def solve(name: str, given: Problem) -> Models:
    """The models of a reference for a problem."""
    return entry("reference", name).function(given)
