"""What records were measured on: the machine, of which another is never compared, and all else that may change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sql

from coordbench.harness.store import schema
from coordbench.harness.store.store import Store

_MACHINE = ("processor", "gpu", "cores", "device")
_ASIDE = ("revision", "memory_bytes", "gpu_memory_bytes")
"""Commits have a column of their own; memory differs by a few pages from start to start."""


@dataclass(frozen=True)
class Machine:
    """The hardware by name, and every other fact of the surroundings, such as `versions.torch`."""

    name: str = ""
    facts: Mapping[str, str] = field(default_factory=dict, compare=False)

    def changes(self, before: Machine) -> tuple[str, ...]:
        """What is not as it was, one line each."""
        names = dict.fromkeys((*before.facts, *self.facts))
        return tuple(
            f"{name}: {before.facts.get(name, 'unknown')} -> {self.facts.get(name, 'unknown')}"
            for name in names
            if before.facts.get(name) != self.facts.get(name)
        )


def machines(store: Store, run: str) -> dict[int, Machine]:
    """The machine of each record of a run, by the record's number."""
    records, items, environments = schema.records.c, schema.items.c, schema.environments.c
    used = sql.select(records.id, records.environment).join(schema.items, items.record == records.id)
    pairs = [(int(row.id), str(row.environment)) for row in store.read(used.where(items.run == run))]
    wanted = environments.id.in_(sorted({environment for _, environment in pairs}))
    known = {
        str(row.id): _machine(row.facts or {}) for row in store.read(sql.select(schema.environments).where(wanted))
    }
    return {record: known.get(environment, Machine()) for record, environment in pairs}


def joint(several: Iterable[Machine]) -> Machine:
    """The machine of records that make one value together; those of several machines have all of their names."""
    listed = list(several)
    names = " + ".join(sorted({machine.name for machine in listed}))
    return Machine(names, listed[0].facts if listed else {})


def _machine(facts: Mapping[str, object]) -> Machine:
    flat = dict(_flat(facts))
    name = ", ".join(_word(key, flat[key]) for key in _MACHINE if flat.get(key))
    others = {key: value for key, value in flat.items() if key.partition(".")[0] not in (*_MACHINE, *_ASIDE)}
    return Machine(name, others)


def _word(key: str, value: str) -> str:
    return f"{value} cores" if key == "cores" else value


def _flat(facts: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
