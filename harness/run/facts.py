"""What a run stores of its plan, so that the reports need not import a task, a layer or a preset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.sources import text_digest
from coordbench.harness.plan.planning import Plan
from coordbench.harness.plan.preset import Preset
from coordbench.harness.run.sources import files


def of_run(plan: Plan, plugins: Sequence[str]) -> dict[str, Any]:
    """All that a run stores of its plan: the preset, its tasks and variants, and the files that it came from."""
    return {
        "preset": asdict(plan.preset),
        "tasks": _of_tasks(plan),
        "variants": of_variants({str(cell.variant) for cell in cells(plan) if cell.variant}),
        "files": _files(plan.preset, plugins),
    }


def cells(plan: Plan) -> list[Cell]:
    """The cell of each trial and of each cost of a plan."""
    return [trial.cell for trial in plan.trials] + [job.cell for job in plan.costs]


def _of_tasks(plan: Plan) -> dict[str, Any]:
    """What the reports need to know of each task, so that they need not import it."""
    facts = {}
    for task in {str(trial.cell.task) for trial in plan.trials}:
        chosen = registry.select("task", task)
        entry = chosen.entry
        facts[task] = {
            "name": entry.name,
            "suite": entry.suite,
            "metrics": [asdict(metric) for metric in entry.metrics],
            "source": entry.source,
            "summary": entry.summary,
            "references": {e.name: e.bound for e in registry.references(task)},
        } | entry.describe(chosen.all_options).plain()
    return facts


def of_variants(variants: Iterable[str]) -> dict[str, Any]:
    """Selector -> what the reports need to know of each variant."""
    facts = {}
    for variant in variants:
        entry = registry.select("variant", variant).entry
        facts[variant] = entry.plain | {"summary": entry.summary, "file": files.short(Path(entry.file))}
    return facts


def _files(preset: Preset, plugins: Sequence[str]) -> list[dict[str, str]]:
    """What made the run, whole and with its digest: the preset's TOML and the plug-ins' sources."""
    texts = {f"{preset.name}.toml": preset.text} if preset.text else {}
    texts |= {Path(plugin).name: Path(plugin).read_text(encoding="utf-8", errors="replace") for plugin in plugins}
    return [{"name": name, "digest": text_digest(text), "text": text} for name, text in texts.items()]
