"""Count what keeps the house readable, and fail where a count is beyond its limit: `python tests/count_house.py`.

Import cycles of any kind (lazy and type-only imports included), modules at a folder's root, lengths of files, uses of
`Any`, and names that say nothing of what they hold. `nox -s lint` runs it. A limit is only ever lowered.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grimp
import networkx

ROOT = Path(__file__).parents[1]
FOLDERS = ("harness", "variants", "tasks", "reports")
RIDDLES = frozenset({"found", "told", "own", "made"})


@dataclass(frozen=True)
class Count:
    """One figure of the house, with the most that is allowed and the places that make it so large."""

    name: str
    value: float
    limit: float
    places: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The count as a line; the places too where it is beyond its limit."""
        text = f"{self.name:<34} {self.value:>6g}   at most {self.limit:g}"
        return text if self.value <= self.limit else "\n    ".join((f"{text}   TOO MANY", *self.places))


def files() -> list[Path]:
    """The source files of the package, each once: the links in `coordbench/` are not followed."""
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def cycles() -> tuple[str, ...]:
    """Groups of modules that import one another, at whatever time."""
    graph = grimp.build_graph("coordbench", exclude_type_checking_imports=False, cache_dir=None)
    imports = networkx.DiGraph(
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    )
    circles = (sorted(circle) for circle in networkx.strongly_connected_components(imports) if len(circle) > 1)
    return tuple(" <-> ".join(circle) for circle in circles)


def folders() -> Counter[str]:
    """Folder -> modules at its root, `__init__.py` aside."""
    modules = (path for path in files() if path.name != "__init__.py")
    return Counter(str(path.parent.relative_to(ROOT)) for path in modules)


def names(path: Path) -> Iterator[str]:
    """Every name that a file gives or uses: variables, arguments, attributes, functions, imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield node.asname or node.name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def uses(wanted: frozenset[str]) -> Counter[str]:
    """File -> how often it uses one of these names."""
    counted = {path: sum(name in wanted for name in names(path)) for path in files()}
    return Counter({str(path.relative_to(ROOT)): uses for path, uses in counted.items() if uses})


def counts() -> list[Count]:
    """All counts of the house."""
    lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in files())
    circles, roots, anys, riddles = cycles(), folders(), uses(frozenset({"Any"})), uses(RIDDLES)
    return [
        Count("import cycles", len(circles), 0, circles),
        Count("modules at a folder's root", max(roots.values()), 15, _largest(roots)),
        Count("lines of a file, median", statistics.median(lengths), 100),
        Count("lines of a file, 90th percentile", statistics.quantiles(lengths, n=10)[-1], 190),
        Count("uses of Any", anys.total(), 160, _largest(anys)),
        Count("names found, told, own, made", riddles.total(), 70, _largest(riddles)),
    ]


def _largest(counter: Counter[str]) -> tuple[str, ...]:
    return tuple(f"{number:>4}  {place}" for place, number in counter.most_common(10))


if __name__ == "__main__":
    house = counts()
    print(*(count.line for count in house), sep="\n")
    sys.exit(any(count.value > count.limit for count in house))
