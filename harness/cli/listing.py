"""What there is to choose from, as rows: variants, tasks, backbones, references, presets, runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coordbench.harness.analysis.runs import runs as listed_runs
from coordbench.harness.core import registry
from coordbench.harness.core.entries import Entry, ReferenceEntry, TaskEntry, VariantEntry
from coordbench.harness.plan import planning as plan
from coordbench.harness.run.sources import files
from coordbench.harness.store.store import open_store

Row = dict[str, Any]


def rows(kind: str, plugins: Sequence[Path] = (), store: str | None = None, out: Path = Path()) -> list[Row]:
    """The things of one kind, each with at least a name."""
    for plugin in plugins:
        registry.load_plugin(plugin)
    if kind == "presets":
        return [{"name": name, "description": plan.read_preset(name).description} for name in plan.presets()]
    if kind == "runs":
        with open_store(store, out) as opened:
            frame = listed_runs(opened).rename(columns={"run": "name"})
        listed: list[Row] = json.loads(frame.to_json(orient="records"))
        return listed
    if kind == "variants":
        return [_variant(entry) for entry in registry.entries("variant")]
    if kind == "tasks":
        return [_task(entry) for entry in registry.entries("task")]
    if kind == "backbones":
        return [_common(entry) for entry in registry.entries("backbone")]
    return [_reference(entry) for entry in registry.entries("reference")]


def show(listed: Sequence[Row], *, as_json: bool) -> str:
    """Rows as JSON, or as aligned text: name and description."""
    if as_json:
        return json.dumps(listed, indent=1, default=str)
    width = max((len(row["name"]) for row in listed), default=0)
    return "\n".join(f"{row['name']:<{width}}  {_text(row)}".rstrip() for row in listed)


def _text(row: Row) -> str:
    options = "; ".join(
        f"{option['name']}={option['default']} ({option['values']})" for option in row.get("options", ())
    )
    description = row.get("description") or ", ".join(f"{key}={value}" for key, value in row.items() if key != "name")
    return str(description) + (f"  [{options}]" if options else "")


def _common(entry: Entry) -> Row:
    options = [
        {"name": option.name, "default": option.default, "values": option.describe()}
        | ({"range": [option.range.least, option.range.most]} if option.range else {})
        for option in entry.options
    ]
    file = files.short(Path(entry.file))
    return {"name": entry.name, "description": entry.summary, "file": file, "options": options}


def _variant(entry: VariantEntry) -> Row:
    return _common(entry) | entry.plain


def _task(entry: TaskEntry) -> Row:
    metrics = [metric.name for metric in entry.metrics]
    return _common(entry) | {"suite": entry.suite, "metrics": metrics, "backbones": entry.backbones}


def _reference(entry: ReferenceEntry) -> Row:
    return _common(entry) | {"tasks": entry.tasks, "kind": entry.bound}
