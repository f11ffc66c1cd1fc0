"""Exact claims: networks and layers built and counted, never trained; at the published size where it is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from coordbench.reports.claims.claims import Claim, Finding, Side, meets

if TYPE_CHECKING:
    from coordbench.harness.measure.untrained import Blueprint

HERE = "counted, untrained"


def counted(claim: Claim) -> Finding:
    """Decide a claim by building what it is about."""
    measured = _measured(claim.measure, claim.metric, claim.sides)
    return Finding(claim, "holds" if meets(claim, measured) else "fails", measured=measured, here=HERE)


def _measured(measure: str, metric: str, sides: tuple[Side, ...]) -> float:
    blueprints = tuple(_blueprint(side) for side in sides)
    if measure == "residual":
        return _residual(*blueprints)
    values = [_count(metric, blueprint) for blueprint in blueprints]
    return MEASURES[measure](*values)


MEASURES: Mapping[str, Callable[..., float]] = {
    "level": lambda left: left,
    "difference": lambda left, right: left - right,
    "reduction": lambda left, right: 1 - left / right,
    "ratio": lambda left, right: left / right,
}


def _blueprint(side: Side) -> Blueprint:
    from coordbench.harness.measure.untrained import Blueprint

    return Blueprint(side.variant, side.input, side.output, side.backbone, side.kernel_size)


@cache
def _count(metric: str, blueprint: Blueprint) -> float:
    from coordbench.harness.measure import untrained  # brings torch, which no other part of a page needs

    return float({"parameters": untrained.parameters, "flops": untrained.forward_flops}[metric](blueprint))


@cache
def _residual(left: Blueprint, right: Blueprint) -> float:
    from coordbench.harness.measure import untrained

    return untrained.residual(left, right)
