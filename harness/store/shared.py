"""What many records share, stored once: the surroundings of a run, and what a cell's records depend on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from coordbench.harness.core.sources import digest

Facts = Mapping[str, object]


def keys_of_environments(described: Sequence[Facts]) -> tuple[list[str], dict[str, Facts]]:
    """The key of each environment, and what the keys stand for; most are equal to the one before."""
    keys: list[str] = []
    named: dict[str, Facts] = {}
    for i, facts in enumerate(described):
        if i and facts == described[i - 1]:  # far cheaper than a digest
            keys.append(keys[-1])
            continue
        keys.append(digest(facts)[:16])
        named[keys[-1]] = facts
    return keys, named


def keys_of_sources(described: Iterable[Mapping[str, str]]) -> tuple[list[str], dict[str, Facts]]:
    """The key of the parts of each identity, which all seeds of a cell share, and what the keys stand for."""
    seen: dict[tuple[tuple[str, ...], tuple[str, ...]], str] = {}
    keys: list[str] = []
    named: dict[str, Facts] = {}
    for parts in described:
        whole = tuple(parts), tuple(parts.values())
        if whole not in seen:
            seen[whole] = digest(dict(parts))[:32]
            named[seen[whole]] = dict(parts)
        keys.append(seen[whole])
    return keys, named


def note(connection: Connection, table: sql.Table, named: Mapping[str, Facts]) -> None:
    """Note what keys stand for, unless it is known."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    column = next(name for name in table.c.keys() if name != "id")  # noqa: SIM118
    if named:  # in order, so that two runs never wait for each other
        listed = [{"id": key, column: named[key]} for key in sorted(named)]
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), listed)
