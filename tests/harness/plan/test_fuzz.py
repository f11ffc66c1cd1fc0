"""Presets made from valid ones - keys kept, values mutated: each is planned, or refused in one line."""

from __future__ import annotations

import copy
import random
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.plan import planning, preset

CASES = 10_000
ODD: tuple[object, ...] = (
    *(0, 1, -1, 7, 1000, 10**30, 0.5, -0.0, 1e-300, 1e300, float("nan"), float("inf"), -float("inf")),
    *(True, "", " ", "nan", "é\u202e", "a" * 5000, "]", "x[", "conv[", "conv[a=1]", "../../etc/passwd", "\0", "{}"),
    *([], {}, [[]], [None], ["conv", 3], {"start": 1}, [1, 1], [-1], [0.0]),
)
OPTIONS = ("nan", "inf", "-inf", "-5", "0", "1e300", "true", "x", "''", "1/0", "9" * 30, "a=b", "é")


@dataclass(frozen=True)
class Leaf:
    """A value of a preset: what holds it, under which key, and the key of the preset that it belongs to."""

    holder: list[object] | dict[str, object]
    place: int | str
    key: str

    @property
    def value(self) -> object:
        """The value as it is."""
        return self.holder[self.place]  # type: ignore[call-overload,index]

    def change(self, value: object) -> None:
        """Put another in its place."""
        self.holder[self.place] = value  # type: ignore[call-overload,index]


def _leaves(node: object, key: str = "") -> Iterator[Leaf]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield Leaf(node, name, name)
            yield from _leaves(value, name)
    elif isinstance(node, list):
        for place, value in enumerate(node):
            if not isinstance(value, dict):
                yield Leaf(node, place, key)
            yield from _leaves(value, key)


def _mutated(leaf: Leaf, others: dict[str, list[object]], chance: random.Random) -> object:
    """Another value: most often one of the same key elsewhere or near this one, sometimes an odd one."""
    kind, value = chance.random(), leaf.value
    if kind < 0.15:
        return chance.choice(ODD)
    if kind < 0.6 or isinstance(value, bool | dict):
        return copy.deepcopy(chance.choice(others.get(leaf.key, list(ODD))))
    if isinstance(value, int):
        return max(0, value + chance.choice((-1, 1, 2, 3)))
    if isinstance(value, float):
        return value * chance.choice((0.1, 0.5, 2.0, 10.0))
    if isinstance(value, list):
        return chance.sample(value, chance.randint(0, len(value)))
    name, bracket, options = str(value).partition("[")
    if not bracket or chance.random() < 0.3:
        return name
    first, *rest = options.rstrip("]").split(", ")
    return f"{name}[{', '.join([first.partition('=')[0] + '=' + chance.choice(OPTIONS), *rest])}]"


def _valid() -> list[dict[str, object]]:
    folder = Path(preset.__file__).parents[1] / "presets"
    presets = [tomllib.loads(path.read_text()) for path in sorted(folder.glob("*.toml"))]
    for content in presets:
        run = content["run"]
        run["seeds"] = 2  # the plan of a hundred seeds says no more than that of two, and takes fifty times as long
        run.pop("looks", None)
        content["sweep"] = [sweep for sweep in content["sweep"] if "looks" not in sweep][:2]
    return [content for content in presets if content["sweep"]]


def _case(valid: list[dict[str, object]], others: dict[str, list[object]], seed: int) -> dict[str, object]:
    chance = random.Random(seed)
    content = copy.deepcopy(chance.choice(valid))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        leaf = chance.choice([leaf for leaf in _leaves(content) if leaf.key not in ("run", "sweep")])
        leaf.change(_mutated(leaf, others, chance))
    return content


def _plan(content: dict[str, object]) -> str:
    """How far a preset comes: refused, parsed, planned."""
    end = "refused"
    try:
        parsed = preset.parse_preset(content, "fuzzed")
        end = "parsed"
        planning.make_plan(parsed)
    except UsageError as error:
        return f"{end} in {len(str(error).splitlines())} line"
    return "planned"


@pytest.mark.parametrize("cases", [60, pytest.param(CASES, marks=pytest.mark.slow)])
def test_mutated_presets_are_planned_or_refused_in_one_line(cases: int) -> None:
    registry.load()
    valid = _valid()
    others: dict[str, list[object]] = {}
    for content in valid:
        for leaf in _leaves(content):
            others.setdefault(leaf.key, []).append(leaf.value)
    ends, wrong = Counter[str](), dict[str, dict[str, object]]()
    for seed in range(cases):
        content = _case(valid, others, seed)
        try:
            ends[_plan(copy.deepcopy(content))] += 1
        except Exception as error:
            wrong.setdefault(f"{type(error).__name__}: {error}"[:200], content)
    assert not wrong, (len(wrong), list(wrong.items())[:5])
    assert set(ends) <= {"refused in 1 line", "parsed in 1 line", "planned"}
    assert ends["refused in 1 line"] < cases / 2, ends
