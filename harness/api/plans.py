"""From what a user chose to a plan: the preset, what stands in place of its parts, and what cannot be tested."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coordbench.harness.plan import planning
from coordbench.harness.plan.planning import Plan
from coordbench.harness.plan.preset import Preset
from coordbench.harness.process import environment
from coordbench.reports.claims.floors import asking_tasks, refused
from coordbench.reports.claims.reading import read_claims

NAME = "notebook"
"""What a preset is called that was written as a dictionary."""


@dataclass(frozen=True)
class Choice:
    """A preset, and what is put in place of its variants, tasks and seeds."""

    preset: Preset
    variants: Sequence[str] = ()
    tasks: Sequence[str] = ()
    seeds: int | None = None

    def plan(self, device: str) -> Plan:
        """The trials of this choice on a device, `auto` among them; raise UsageError where there is none."""
        chosen = planning.narrow(self.preset, self.variants, self.tasks, self.seeds)
        plan = planning.make_plan(chosen, environment.device(device))
        _check_families(plan)
        return plan


def read_preset(preset: str | Path | Mapping[str, object]) -> Preset:
    """A preset by its name, by the path of its file, or as a dictionary with the keys of such a file."""
    if isinstance(preset, str | Path):
        return planning.read_preset(str(preset))
    return replace(planning.parse_preset(preset, NAME), text=_toml(preset))


def refused_claims(plan: Plan) -> list[str]:
    """One line for each claim that a plan would train arms for and yet could not test, with the reason."""
    from coordbench.harness.training.floors import floors

    claims = read_claims()
    return refused(plan, claims, floors(asking_tasks(plan, claims)))


def _check_families(plan: Plan) -> None:
    """Raise UsageError where a preset names a family that nobody knows, or families without looks."""
    if plan.preset.families is None:
        return
    from coordbench.reports.standing import check_families

    check_families(plan.preset.families)


def _toml(content: Mapping[str, object]) -> str:
    """A preset as its file would be: strings, numbers, truth values and lists are written as in JSON."""
    sweeps = content.get("sweep")
    tables = [("[run]", content.get("run"))]
    tables += [("[[sweep]]", sweep) for sweep in (sweeps if isinstance(sweeps, list) else [])]
    lines = []
    for head, table in tables:
        pairs = table.items() if isinstance(table, Mapping) else ()
        lines += [head, *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in pairs), ""]
    return "\n".join(lines)
