"""The tree that a side stands in: its layers, its trials, and the sources that both were made of."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.sources import imported_modules, syntax_tree, tree_digest, with_packages
from .messages import Chosen, Described, Layer, PlannedTrial

if TYPE_CHECKING:
    from torch import nn

    from coordbench.harness.core.entries import Selected, VariantEntry

_PACKAGE = "coordbench"


def describe(plugins: Sequence[str], selectors: Sequence[str]) -> Described:
    """The layers of this tree by their labels, those of `selectors` among them, with the sources they import.

    Where the tree is a user's own, the layers of its plug-ins are all that it is responsible for.
    """
    from coordbench.harness.core import registry

    registry.load()
    owners: dict[str, str] = {}
    for plugin in plugins:
        if Path(plugin).is_file():
            registry.load_plugin(plugin)
            owners[str(Path(plugin).resolve())] = plugin
    inside = Path(str(registry.__file__)).resolve().is_relative_to(Path.cwd())
    wanted = [entry for entry in registry.entries("variant") if inside or entry.file in owners]
    selected = [registry.select("variant", entry.name) for entry in wanted]
    chosen: dict[str, Chosen] = {}
    for selector in selectors:
        try:
            selected.append(registry.select("variant", selector))
            chosen[selector] = Chosen(selected[-1].label)
        except ValueError as error:  # this side may not have it
            chosen[selector] = Chosen(error=str(error))
    layers = {item.label: _layer(item, owners) for item in selected}
    return Described(str(registry.__file__), layers, chosen)


def _layer(selected: Selected[VariantEntry], owners: Mapping[str, str]) -> Layer:
    entry = selected.entry
    facts = _facts(entry)
    dims, count = facts["dims"], facts["flops"]
    return Layer(
        label=selected.label,
        name=entry.name,
        module=entry.function.__module__,
        attribute=entry.function.__qualname__,
        options=dict(selected.options),  # type: ignore[arg-type]  # no variant has a path or nothing as an option
        dims=2 if 2 in dims else dims[0],
        formula=None if count is None else (count.__module__, count.__qualname__),
        plugin=owners.get(entry.file),
        file=entry.file,
        sources=sources(entry.function.__module__),
    )


def formula(name: str) -> Callable[[nn.Module, tuple[int, ...]], int]:
    """What counts the FLOPs of a variant."""
    from coordbench.harness.core import registry

    counted: Callable[[nn.Module, tuple[int, ...]], int] = _facts(registry.entry("variant", name))["flops"]
    return counted


def _facts(entry: VariantEntry) -> Mapping[str, Any]:
    """The fields of a variant by name; revisions before entries were typed kept them in a dictionary."""
    facts: Mapping[str, Any] = getattr(entry, "facts", None) or vars(entry)
    return facts


def sources(module: str) -> dict[str, str]:
    """File -> hash of each source that a loaded module was made of: its own and those of ours that it imports."""
    digests: dict[str, str] = {}
    waiting, seen = {module}, set[str]()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        path = getattr(sys.modules.get(name), "__file__", None)
        if path and path.endswith(".py") and _is_ours(name, Path(path)):
            package = getattr(sys.modules[name], "__package__", None) or ""
            digests[_short(Path(path))], imported = _read(Path(path), package)
            waiting |= imported - seen
    return digests


@functools.cache
def _read(file: Path, package: str) -> tuple[str, frozenset[str]]:
    """The hash of a source, and what it imports; layers share most of theirs."""
    syntax = syntax_tree(file)
    return tree_digest(syntax), frozenset(with_packages(imported_modules(syntax, package)))


def _is_ours(name: str, file: Path) -> bool:
    inside = file.resolve().is_relative_to(Path.cwd()) and "site-packages" not in file.parts
    return inside or name.partition(".")[0] == _PACKAGE


def _short(file: Path) -> str:
    """A path inside this tree, or a full one outside of it."""
    file = file.resolve()
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def plan(preset: str, variants: Sequence[str], plugins: Sequence[str]) -> list[PlannedTrial]:
    """The trials of a preset with these variants instead of its own."""
    from coordbench.harness.plan import planning
    from coordbench.harness.run import identity

    describe(plugins, ())
    trials = planning.make_plan(planning.narrow(planning.read_preset(preset), list(variants))).trials
    return [
        PlannedTrial(
            str(t.cell.task), str(t.cell.backbone), str(t.cell.variant), ", ".join(t.cell.conditions.values()),
            t.seed, identity.of_trial(t).digest,
        )
        for t in trials if t.cell.variant
    ]  # fmt: skip
