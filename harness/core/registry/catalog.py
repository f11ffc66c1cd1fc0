"""The dictionaries of everything registered: name -> entry, one per kind."""

from __future__ import annotations

import re
from typing import TypeVar

from coordbench.harness.core.entries import BackboneEntry, Entry, Kind, ReferenceEntry, TaskEntry, VariantEntry
from coordbench.harness.core.errors import UsageError

VARIANTS: dict[str, VariantEntry] = {}
TASKS: dict[str, TaskEntry] = {}
BACKBONES: dict[str, BackboneEntry] = {}
REFERENCES: dict[str, ReferenceEntry] = {}

E = TypeVar("E", bound=Entry)

_NAME = re.compile(r"[A-Za-z_]\w*")


def check_name(kind: Kind, name: str) -> None:
    """Refuse a name that no selector could hold."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(f"{kind} {name!r} cannot be named so; write letters, digits and _, no digit first")


def add(catalog: dict[str, E], entry: E) -> None:
    """Register an entry; refuse a name that another function has, and an option without a default."""
    check_name(entry.kind, entry.name)
    known = catalog.get(entry.name)
    if known is not None and known.place != entry.place:
        raise UsageError(f"{entry.kind} {entry.name!r} of {entry.place} is already registered by {known.place}")
    assert entry.options is not None  # read now, so that a plug-in is refused when it is loaded
    catalog[entry.name] = entry


def files() -> set[str]:
    """The files that have registered something."""
    return {entry.file for catalog in (VARIANTS, TASKS, BACKBONES, REFERENCES) for entry in catalog.values()}


def forget(file: str) -> None:
    """Take out whatever a file registered."""
    _forget(VARIANTS, file)
    _forget(TASKS, file)
    _forget(BACKBONES, file)
    _forget(REFERENCES, file)


def _forget(catalog: dict[str, E], file: str) -> None:
    for name in [name for name, entry in catalog.items() if entry.file == file]:
        del catalog[name]
