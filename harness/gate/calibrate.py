"""How good is the gate on this machine? The same code on both sides, many times, and what that says of slowdowns.

Pairs of processes are measured for real; the decisions are then drawn from those pairs, as they are (false alarms) and
with slowdowns added to them (power). The planted slowdown is arithmetic, the noise is the machine's own.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate import rule, speed
from coordbench.harness.gate.rule import Thresholds
from coordbench.harness.gate.settings import Settings, read_settings
from coordbench.harness.gate.sides import SideError, Tree, running
from coordbench.harness.gate.speed import Comparison, Measured, Say
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
    verdicts: Mapping[str, int]
    """Verdict -> how many of the real A/A runs ended so."""
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
        stage = _stage(Tree("base", folder, temporary), selectors, settings, say)
        found: dict[Comparison, Measured] = {
            (label, phase): Measured() for label in stage.layers for phase in settings.phases
        }
        stage.measure(found, range(runs * settings.pairs[1]))
    failed = next((measured.failure for measured in found.values() if measured.failure), None)
    if failed:
        raise Unmeasurable(f"a layer cannot be timed: it {failed[1]}")
    return [summarize(comparison, measured.ratios, settings.thresholds) for comparison, measured in found.items()]


def _stage(tree: Tree, selectors: Sequence[str], settings: Settings, say: Say) -> speed.Stage:
    """Both sides in one tree."""
    try:
        with running(tree, deadline=settings.deadline_seconds) as (side,):
            described = side.ask("describe", plugins=settings.plugins, selectors=list(selectors))
    except SideError as error:
        raise Unmeasurable(f"{tree.folder} cannot be imported: it {error.reason}") from error
    wrong = [answer["error"] for answer in described["selected"].values() if "error" in answer]
    if wrong:
        raise UsageError(wrong[0])
    layers = {answer["label"]: described["layers"][answer["label"]] for answer in described["selected"].values()}
    return speed.Stage(
        tree, replace(tree, name="candidate"), {label: (layer, layer) for label, layer in layers.items()}, settings, say
    )


def summarize(comparison: Comparison, ratios: rule.Array, limits: Thresholds) -> Calibration:
    """The rates of one comparison from log ratios (pairs,)."""
    blocks = ratios[: len(ratios) // limits.pairs[1] * limits.pairs[1]].reshape(-1, 1, limits.pairs[1])
    codes = rule.decide(blocks, limits).ravel()
    verdicts = {name: int((codes == code).sum()) for code, name in enumerate(rule.NAMES) if (codes == code).any()}
    caught = (change for change in _CHANGES if rate(ratios, change, limits) >= POWER)
    spread = float(np.median(np.abs(ratios - np.median(ratios)))) * 1.4826
    label, phase = comparison
    alarms = rate(ratios, 0.0, limits)
    smallest = next(caught, None)
    return Calibration(
        label, phase, len(ratios), spread, verdicts, alarms, None if smallest is None else float(smallest),
        tuple(ratios.tolist()),
    )  # fmt: skip


def rate(ratios: rule.Array, change: float, limits: Thresholds, verdict: int = rule.REGRESSED) -> float:
    """The share of decisions with this verdict, drawn from pairs of equal code with a slowdown of `change` added.

    Equal sides may be exchanged, so each pair counts with a random sign.
    """
    generator = np.random.default_rng(0)
    shape = (DRAWS, 1, limits.pairs[1])
    drawn = generator.choice(ratios, shape) * generator.choice((-1.0, 1.0), shape)
    return float((rule.decide(drawn + math.log1p(change), limits) == verdict).mean())


def margin(found: Sequence[Calibration], limits: Thresholds) -> float | None:
    """The smallest `slower`, from 5 % on, at which equal code passes and a slowdown of that size is caught.

    Both with 90 % power in every comparison, with at most 1 % false alarms; None if there is none up to 50 %.
    """
    ratios = [np.array(item.ratios) for item in found]
    for slower in np.arange(0.05, 0.5001, 0.01):
        own = replace(limits, slower=float(slower), least=float(slower) / 2)
        fits = all(
            rate(r, 0.0, own, rule.PASS) >= POWER and rate(r, slower, own) >= POWER and rate(r, 0.0, own) <= ALARMS
            for r in ratios
        )
        if fits:
            return round(float(slower), 2)
    return None


def write_margins(file: Path, slower: float) -> None:
    """Set `slower` and `least` in `[tool.coordbench.gate]` of a pyproject.toml and leave all else as it stands."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    head = "[tool.coordbench.gate]"
    if not re.search(rf"^{re.escape(head)}\s*$", text, re.MULTILINE):
        text = f"{text.rstrip()}\n\n{head}\n".lstrip()
    start = re.search(rf"^{re.escape(head)}\s*$\n?", text, re.MULTILINE)
    assert start is not None
    following = re.search(r"^\[", text[start.end() :], re.MULTILINE)
    end = start.end() + following.start() if following else len(text)
    table = re.sub(r"^(slower|least)\s*=.*\n?", "", text[start.end() : end], flags=re.MULTILINE)
    changed = f"{text[: start.end()]}slower = {slower:g}\nleast = {slower / 2:g}\n{table}{text[end:]}"
    tomllib.loads(changed)
    file.write_text(changed, encoding="utf-8")


def show(found: Sequence[Calibration]) -> str:
    """One line per comparison."""
    lines = []
    for item in found:
        told = ", ".join(f"{count} {name}" for name, count in item.verdicts.items())
        caught = "none up to 50 %" if item.smallest is None else f"{item.smallest:.1%}"
        lines.append(
            f"{item.layer} {item.phase}: {item.pairs} pairs of equal code spread by {item.spread:.1%}; "
            f"real runs: {told}; false alarms {item.false_alarms:.2%}; "
            f"smallest slowdown caught with {POWER:.0%} power: {caught}"
        )
    return "\n".join(lines)
