"""Refuse plug-ins whose names no table and no page could show in one line."""

from __future__ import annotations

from coordbench.harness.core.entries import Entry, TaskEntry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.registry.catalog import BACKBONES, REFERENCES, TASKS, VARIANTS, forget
from coordbench.harness.core.registry.names import check_line

_ALWAYS = {"validation", "test"}


def check_names(file: str) -> None:
    """Check whatever a file registered; raise UsageError, and forget all of it, where a name is not valid."""
    try:
        for catalog in (VARIANTS, TASKS, BACKBONES, REFERENCES):
            for entry in catalog.values():
                if entry.file == file:
                    _check(entry)
    except UsageError:
        forget(file)
        raise


def _check(entry: Entry) -> None:
    check_line(entry.kind, entry.name)
    if isinstance(entry, TaskEntry):
        check_line(f"task {entry.name!r}: suite", entry.suite)
        _check_metrics(entry)
        _check_splits(entry)


def _check_metrics(task: TaskEntry) -> None:
    names = [metric.name for metric in task.metrics]
    for metric in task.metrics:
        check_line(f"task {task.name!r}: metric", metric.name)
        if metric.unit != "":
            check_line(f"task {task.name!r}: unit", metric.unit)
    if len(set(names)) < len(names):
        raise UsageError(f"task {task.name!r}: metrics {names} are not valid; write each name once")


def _check_splits(task: TaskEntry) -> None:
    splits = task.splits
    named = isinstance(splits, tuple) and set(splits) >= _ALWAYS and "half" not in splits
    if not named or len(set(splits)) < len(splits):
        raise UsageError(
            f"task {task.name!r}: splits={splits!r} is not valid; write a tuple with 'validation', 'test' and others "
            "than 'half', each once"
        )
    for split in splits:
        check_line(f"task {task.name!r}: split", split)
