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


def show(kind: str, listed: Sequence[Row], *, as_json: bool) -> str:
    """Rows as JSON, or as a table whose columns are aligned: name, what tells it from the others, description."""
    if as_json:
        return json.dumps(listed, indent=1, default=str)
    texts = [_RUNS, *map(_run, listed)] if kind == "runs" else [_texts(row) for row in listed]
    return "\n".join(aligned(texts))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of texts as lines; each column but the last as wide as its longest text."""
    columns = list(zip(*rows, strict=True))[:-1]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def _texts(row: Row) -> tuple[str, ...]:
    """Name, what a reader chooses by, and description with the options."""
    options = "; ".join(
        f"{option['name']}={option['default']} ({option['values']})" for option in row.get("options", ())
    )
    description = str(row.get("description", "")) + (f"  [{options}]" if options else "")
    return (str(row["name"]), *_choice(row), description)


def _choice(row: Row) -> tuple[str, ...]:
    if "tasks" in row:
        return str(row["kind"]), ", ".join(row["tasks"])
    if "suite" in row:
        return (str(row["suite"]),)
    return (", ".join(f"{dims}-D" for dims in row["dims"]),) if "dims" in row else ()


_RUNS = ("run", "finished", "ok", "failed", "commit", "command")
_NOT_STATUSES = {"name", "preset", "started", "finished", "commit", "command", "ok", "skipped"}


def _run(row: Row) -> tuple[str, ...]:
    """A run: when it ended, how many of its items ended well and otherwise, its commit, its command."""
    failed = sum(int(count or 0) for status, count in row.items() if status not in _NOT_STATUSES)
    finished = str(row.get("finished") or "")[:16].replace("T", " ") or "not finished"
    commit = str(row.get("commit") or "unknown")[:8]
    return str(row["name"]), finished, str(int(row.get("ok") or 0)), str(failed), commit, str(row["command"])


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
