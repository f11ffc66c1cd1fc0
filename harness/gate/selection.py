"""Which layers are compared: those that both sides have and whose sources differ, imported from their own trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.sources import source_digest
from coordbench.harness.gate.rows import GateRow
from coordbench.harness.gate.side.messages import Described, Layer
from coordbench.harness.gate.sides import Tree
from coordbench.harness.gate.trees import Unmeasurable


@dataclass
class Selection:
    """Labels of the layers to compare, and rows about those that are not."""

    labels: list[str] = field(default_factory=list)
    rows: list[GateRow] = field(default_factory=list)


def select(
    base: tuple[Tree, Described], candidate: tuple[Tree, Described], selectors: Sequence[str], everything: bool
) -> Selection:
    """Compare what both sides hold; `selectors` narrow the choice, `everything` takes equal layers too."""
    before, after = layers_of(*base), layers_of(*candidate)
    for side in (base, candidate):
        verify(*side)
    selection = Selection()
    for label in _wanted(selectors, (base[1], candidate[1]), {**before, **after}):
        if label not in before or label not in after:
            note = "new" if label in after else "gone"
            selection.rows.append(GateRow(label, "layer", "layer", "listed", note=note))
        elif before[label].sources == after[label].sources and not everything:
            selection.rows.append(GateRow(label, "layer", "sources", "pass", note="identical"))
        else:
            selection.labels.append(label)
    return selection


def verify(tree: Tree, described: Described) -> None:
    """Raise Unmeasurable unless the sources that a side has imported are those of its own tree."""
    if tree.holds_harness:
        _check_inside(tree, Path(described.harness))
    for layer in layers_of(tree, described).values():
        _check_inside(tree, Path(layer.file))
        for name, digest in layer.sources.items():
            file = tree.folder / name  # a full path stays what it is
            if tree.holds_harness or not Path(name).is_absolute():
                _check_inside(tree, file)
            if source_digest(file) != digest:
                raise Unmeasurable(f"the {tree.name} side imported another {name} than the one in {tree.folder}")


def _check_inside(tree: Tree, file: Path) -> None:
    if not file.resolve().is_relative_to(tree.folder):
        raise Unmeasurable(
            f"the {tree.name} side imported {file}, which is not in its tree {tree.folder}: an installed copy "
            "(editable, with an import hook?) gives both sides the same code; uninstall it first"
        )


def layers_of(tree: Tree, described: Described) -> Mapping[str, Layer]:
    """The layers that a tree is responsible for: all of this project's, else those of its plug-ins."""
    if tree.holds_harness:
        return described.layers
    return {label: layer for label, layer in described.layers.items() if layer.plugin}


def _wanted(selectors: Sequence[str], sides: Sequence[Described], known: Mapping[str, Layer]) -> list[str]:
    """Labels in order; without selectors all layers by their names, with default options."""
    if not selectors:
        return sorted(known)
    labels = []
    for selector in selectors:
        answers = [side.chosen[selector] for side in sides]
        label = next((answer.label for answer in answers if answer.label), None)
        if label is None:
            raise UsageError(answers[-1].error)
        if label not in known:
            raise UsageError(f"layer {selector!r} is not of this project; valid: {', '.join(sorted(known)) or 'none'}")
        labels.append(label)
    return sorted(set(labels))
