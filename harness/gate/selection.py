"""Which layers are compared: those that both sides have and whose sources differ, imported from their own trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate.findings import Finding
from coordbench.harness.gate.probe import Layer, source_digest
from coordbench.harness.gate.sides import Tree
from coordbench.harness.gate.trees import Unmeasurable

Described = Mapping[str, Any]
"""What `probe.describe` answers."""


@dataclass
class Selection:
    """Labels of the layers to compare, and findings about those that are not."""

    labels: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    common: list[str] = field(default_factory=list)
    """Labels that both sides have, compared or not."""


def select(
    sides: tuple[tuple[Tree, Described], tuple[Tree, Described]], selectors: Sequence[str], everything: bool
) -> Selection:
    """Compare what both sides hold; `selectors` narrow the choice, `everything` takes equal layers too."""
    (_, base), (tree, candidate) = sides
    before, after = _own(base, sides[0][0]), _own(candidate, tree)
    for side, described in sides:
        verify(side, described)
    wanted = _wanted(selectors, (base, candidate), {**before, **after})
    found = Selection(common=[label for label in wanted if label in before and label in after])
    for label in wanted:
        if label not in found.common:
            found.findings.append(Finding(label, "layer", "layer", "listed", note="new" if label in after else "gone"))
        elif before[label]["sources"] == after[label]["sources"] and not everything:
            found.findings.append(Finding(label, "layer", "sources", "pass", note="identical"))
        else:
            found.labels.append(label)
    return found


def verify(tree: Tree, described: Described) -> None:
    """Raise Unmeasurable unless the sources that a side has imported are those of its own tree."""
    if tree.holds_harness:
        _inside(tree, Path(described["harness"]))
    for layer in _own(described, tree).values():
        _inside(tree, Path(layer["file"]))
        for name, digest in layer["sources"].items():
            file = tree.folder / name  # a full path stays what it is
            if tree.holds_harness or not Path(name).is_absolute():
                _inside(tree, file)
            if source_digest(file) != digest:
                raise Unmeasurable(f"the {tree.name} side imported another {name} than the one in {tree.folder}")


def _inside(tree: Tree, file: Path) -> None:
    if not file.resolve().is_relative_to(tree.folder):
        raise Unmeasurable(
            f"the {tree.name} side imported {file}, which is not in its tree {tree.folder}: an installed copy "
            "(editable, with an import hook?) gives both sides the same code; uninstall it first"
        )


def _own(described: Described, tree: Tree) -> dict[str, Layer]:
    """The layers that a tree is responsible for: all of this project's own, else those of its plug-ins."""
    layers: dict[str, Layer] = described["layers"]
    if tree.holds_harness:
        return layers
    return {label: layer for label, layer in layers.items() if layer["plugin"]}


def _wanted(selectors: Sequence[str], sides: Sequence[Described], known: Mapping[str, Layer]) -> list[str]:
    """Labels in order; without selectors all layers by their names, with default options."""
    if not selectors:
        return sorted(known)
    labels = []
    for selector in selectors:
        answers = [side["selected"][selector] for side in sides]
        label = next((answer["label"] for answer in answers if "label" in answer), None)
        if label is None:
            raise UsageError(answers[-1]["error"])
        if label not in known:
            raise UsageError(f"layer {selector!r} is not of this project; valid: {', '.join(sorted(known)) or 'none'}")
        labels.append(label)
    return sorted(set(labels))
