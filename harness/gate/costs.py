"""What is compared exactly, on a fixed input with fixed seeds: parameters, FLOPs, allocated bytes, output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coordbench.harness.gate.findings import Finding, Verdict
from coordbench.harness.gate.probe import Layer
from coordbench.harness.gate.settings import Settings
from coordbench.harness.gate.sides import LayerError, SideError, Tree, running

COUNTS = {"parameters": "", "flops": "FLOPs", "allocated_bytes": "bytes"}
"""Quantities that should not grow, with their units; 2 FLOPs per multiply-add."""

HASHES = {"output_hash": "output", "gradient_hash": "gradients", "buffers": "buffers"}
"""Quantities whose change is told, and no more."""


def facts(tree: Tree, layer: Layer, settings: Settings) -> Mapping[str, Any] | str:
    """The facts of a layer on one side, or the reason why it has none; a process that dies is given a second chance."""
    for attempt in (1, 2):
        with running(tree, deadline=settings.deadline_seconds) as (side,):
            try:
                found: Mapping[str, Any] = side.ask("facts", layer=layer, case=settings.case)
                return found
            except LayerError as error:
                return error.reason
            except SideError as error:
                if attempt == 2:
                    return f"{error.reason}, twice"
    raise AssertionError("unreachable")


def compare(
    label: str, base: Mapping[str, Any] | str, candidate: Mapping[str, Any] | str, settings: Settings
) -> list[Finding]:
    """Findings of one layer; a layer that works on the base side only has regressed."""
    if isinstance(base, str):
        return [Finding(label, "costs", "layer", "not measured", note=f"the base side {base}")]
    if isinstance(candidate, str):
        return [Finding(label, "costs", "layer", "regressed", "works", "fails", note=f"the candidate side {candidate}")]
    if base["output_shape"] != candidate["output_shape"]:
        before, after = ("x".join(map(str, side["output_shape"])) for side in (base, candidate))
        return [Finding(label, "costs", "output shape", "not comparable", before, after)]
    counts = [_count(label, name, unit, base[name], candidate[name], settings) for name, unit in COUNTS.items()]
    told = [
        Finding(label, "costs", title, "pass", base[name], candidate[name], note="changed")
        for name, title in HASHES.items()
        if base[name] != candidate[name]
    ]
    return counts + told


def _count(label: str, name: str, unit: str, base: int | None, candidate: int | None, settings: Settings) -> Finding:
    if base is None or candidate is None:
        missing = " and ".join(side for side, value in (("base", base), ("candidate", candidate)) if value is None)
        return Finding(label, "costs", name, "listed", base, candidate, unit=unit, note=f"no formula on {missing}")
    change = (candidate - base) / base if base else float(candidate > base)
    tolerated: float = getattr(settings, name)
    verdict: Verdict = "regressed" if change > tolerated else "improved" if change < 0 else "pass"
    note = f"up to {tolerated:.3g} is tolerated" if 0 < change <= tolerated else ""
    return Finding(label, "costs", name, verdict, base, candidate, change, unit=unit, note=note)


def broken(findings: list[Finding]) -> bool:
    """Whether a layer cannot be timed and trained on both sides."""
    return any(finding.quantity in ("layer", "output shape") for finding in findings)
