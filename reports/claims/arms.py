"""Whether the arms that claims compare are planned by a preset; a claim that nothing tests is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.selector import Selector
from coordbench.harness.plan import planning
from coordbench.reports.claims.claims import Claim, Side, agrees


def check_arms(claims: Sequence[Claim]) -> None:
    """Raise UsageError for a claim of which no built-in preset plans all arms; exact ones need none."""
    for claim in claims:
        if claim.kind != "exact" and not presets_of(claim):
            arms = " and ".join(
                f"{side.variant} in {side.backbone or 'any backbone'} on {side.task or claim.task}"
                for side in claim.sides
            )
            raise UsageError(
                f"claim {claim.id!r}: no preset plans {arms} with these options; add a sweep with them to a preset, or "
                f"correct the claim; presets: {', '.join(planning.presets())}"
            )


def presets_of(claim: Claim) -> list[str]:
    """The built-in presets that plan every arm of a claim: those with looks first, then that with the fewest cells."""
    return [
        name
        for name, cells in _planned().items()
        if all(any(is_of(cell, claim, side) for cell in cells) for side in claim.sides)
    ]


def is_of(cell: Cell, claim: Claim, side: Side) -> bool:
    """Whether a cell is an arm of a claim."""
    backbone = Selector.parse(side.backbone) if side.backbone else None
    return (
        str(cell.variant) == side.variant
        and _fits(cell.task, side.task or claim.task, {**claim.options, **side.options})
        and (backbone is None or _fits(cell.backbone, backbone.name, dict(backbone.options)))
    )


def _fits(selector: Selector | None, name: str, wanted: Mapping[str, str]) -> bool:
    """Whether a canonical selector is of this name and has these options."""
    return selector is not None and selector.name == name and agrees(dict(selector.options), wanted)


@cache
def _planned() -> dict[str, frozenset[Cell]]:
    """Preset -> the cells that it trains: those with looks, and with them the seeds that decide, first."""
    plans = [planning.make_plan(planning.read_preset(name)) for name in planning.presets()]
    cells = {plan.preset.name: frozenset(t.cell for t in plan.trials if t.cell.variant) for plan in plans}
    order = sorted(plans, key=lambda plan: (not plan.looks, len(cells[plan.preset.name])))
    return {plan.preset.name: cells[plan.preset.name] for plan in order}
