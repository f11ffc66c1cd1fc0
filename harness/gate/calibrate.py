"""How good is the gate on this machine? The same code on both sides, many times, and what that says of slowdowns.

Pairs of processes are measured for real; the decisions are then drawn from those pairs, as they are (false alarms) and
with slowdowns added to them (power). The planted slowdown is arithmetic, the noise is the machine's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tomlkit

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate import rule
from coordbench.harness.gate.pairs import Comparison, Measured, Say, Timer
from coordbench.harness.gate.rule import Thresholds
from coordbench.harness.gate.settings import Settings, read_settings
from coordbench.harness.gate.sides import SideError, Tree, running
from coordbench.harness.gate.stages.speed import LayerWork
from coordbench.harness.gate.trees import Unmeasurable, find_project, interruptible, scratch

DRAWS = 2000
POWER, ALARMS = 0.9, 0.01
_CHANGES = np.arange(0.005, 0.5001, 0.005)


@dataclass(frozen=True)
class Calibration:
    """What pairs of equal code say of one layer and phase."""

    layer: str
    phase: str
    pairs: int
    spread: float
    """Standard deviation of the pairs' log ratios, robustly estimated."""
    outcomes: Mapping[str, int]
    """Outcome -> how many of the real A/A runs ended so."""
    false_alarms: float
    """Share of decisions drawn from the pairs that end as regressed."""
    smallest: float | None
    """The smallest slowdown that is caught with 90 % power; None beyond 50 %."""
    ratios: tuple[float, ...] = ()
    """The pairs' log ratios."""


def calibrate(start: Path, selectors: Sequence[str], runs: int, say: Say) -> list[Calibration]:
    """Measure `runs` A/A gates of layers of the project around `start`, and draw the rates from their pairs."""
    if runs < 1:
        raise UsageError(f"runs={runs} must be at least 1")
    folder = find_project(start).folder.resolve()
    settings = read_settings(folder)
    with interruptible(), scratch() as temporary:
        timer = _timer(Tree("base", folder, temporary), selectors, settings, say)
        results = {comparison: Measured() for comparison in timer.work.comparisons}
        timer.measure(results, range(runs * settings.pairs[1]))
    failed = next((measured.failure for measured in results.values() if measured.failure), None)
    if failed:
        raise Unmeasurable(f"a layer cannot be timed: it {failed[1]}")
    return [summarize(comparison, measured.ratios, settings.thresholds) for comparison, measured in results.items()]


def _timer(tree: Tree, selectors: Sequence[str], settings: Settings, say: Say) -> Timer:
    """Both sides in one tree."""
    try:
        with running(tree, deadline=settings.deadline_seconds) as (side,):
            described = side.describe(settings.plugins, selectors)
    except SideError as error:
        raise Unmeasurable(f"{tree.folder} cannot be imported: it {error.reason}") from error
    errors = [chosen.error for chosen in described.chosen.values() if chosen.error]
    if errors:
        raise UsageError(errors[0])
    layers = {chosen.label: described.layers[chosen.label] for chosen in described.chosen.values()}
    both = {label: (layer, layer) for label, layer in layers.items()}
    return Timer(tree, replace(tree, name="candidate"), LayerWork(both, settings), settings, say)


def summarize(comparison: Comparison, ratios: rule.Array, limits: Thresholds) -> Calibration:
    """The rates of one comparison from log ratios (pairs,)."""
    blocks = ratios[: len(ratios) // limits.pairs[1] * limits.pairs[1]].reshape(-1, 1, limits.pairs[1])
    codes = rule.decide(blocks, limits).ravel()
    outcomes = {name: int((codes == code).sum()) for code, name in enumerate(rule.NAMES) if (codes == code).any()}
    caught = (change for change in _CHANGES if rate(ratios, change, limits) >= POWER)
    spread = float(np.median(np.abs(ratios - np.median(ratios)))) * 1.4826
    label, phase = comparison
    alarms = rate(ratios, 0.0, limits)
    smallest = next(caught, None)
    return Calibration(
        label, phase, len(ratios), spread, outcomes, alarms, None if smallest is None else float(smallest),
        tuple(ratios.tolist()),
    )  # fmt: skip


def rate(ratios: rule.Array, change: float, limits: Thresholds, code: int = rule.REGRESSED) -> float:
    """The share of decisions with this code, drawn from pairs of equal code with a slowdown of `change` added.

    Equal sides may be exchanged, so each pair counts with a random sign.
    """
    generator = np.random.default_rng(0)
    shape = (DRAWS, 1, limits.pairs[1])
    drawn = generator.choice(ratios, shape) * generator.choice((-1.0, 1.0), shape)
    return float((rule.decide(drawn + math.log1p(change), limits) == code).mean())


def margin(calibrations: Sequence[Calibration], limits: Thresholds) -> float | None:
    """The smallest `slower`, from 5 % on, at which equal code passes and a slowdown of that size is caught.

    Both with 90 % power in every comparison, with at most 1 % false alarms; None if there is none up to 50 %.
    """
    ratios = [np.array(item.ratios) for item in calibrations]
    for slower in np.arange(0.05, 0.5001, 0.01):
        wider = replace(limits, slower=float(slower), least=float(slower) / 2)
        fits = all(
            rate(r, 0.0, wider, rule.PASS) >= POWER
            and rate(r, slower, wider) >= POWER
            and rate(r, 0.0, wider) <= ALARMS
            for r in ratios
        )
        if fits:
            return round(float(slower), 2)
    return None


def write_margins(file: Path, slower: float) -> None:
    """Set `slower` and `least` in `[tool.coordbench.gate]` of a pyproject.toml and leave all else as it stands."""
    document = tomlkit.parse(file.read_text(encoding="utf-8") if file.is_file() else "")
    table: MutableMapping[str, object] = document
    for name in ("tool", "coordbench", "gate"):
        inner = table.setdefault(name, tomlkit.table(is_super_table=name != "gate"))
        if not isinstance(inner, MutableMapping):
            raise UsageError(f"{file}: {name}={inner!r} must be a table")
        table = inner
    table["slower"], table["least"] = slower, slower / 2
    file.write_text(tomlkit.dumps(document), encoding="utf-8")


def show(calibrations: Sequence[Calibration]) -> str:
    """One line per comparison."""
    lines = []
    for item in calibrations:
        outcomes = ", ".join(f"{count} {name}" for name, count in item.outcomes.items())
        caught = "none up to 50 %" if item.smallest is None else f"{item.smallest:.1%}"
        lines.append(
            f"{item.layer} {item.phase}: {item.pairs} pairs of equal code spread by {item.spread:.1%}; "
            f"real runs: {outcomes}; false alarms {item.false_alarms:.2%}; "
            f"smallest slowdown caught with {POWER:.0%} power: {caught}"
        )
    return "\n".join(lines)
