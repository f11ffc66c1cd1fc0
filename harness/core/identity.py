"""What a record depends on: as named parts that explain a re-run, and as one hash that decides it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from coordbench.harness.core.sources import digest


@dataclass(frozen=True)
class Identity:
    """`key` names a job, whatever its sources; `parts` are the hashes of all else that its record depends on.

    `untracked` says, for people alone, what a record may depend on besides that nobody can see.
    """

    key: str
    parts: Mapping[str, str]
    untracked: tuple[str, ...] = ()

    @functools.cached_property
    def digest(self) -> str:
        """One hash over all."""
        return digest({**self.parts, "job": self.key})

    def changes(self, before: Mapping[str, str]) -> list[str]:
        """The parts that differ from those of an earlier record, by their names."""
        changed = [name for name in self.parts if name in before and before[name] != self.parts[name]]
        added = [f"{name} (new)" for name in self.parts if name not in before]
        gone = [f"{name} (gone)" for name in before if name not in self.parts]
        return sorted(changed + added + gone)

    def explain(self, before: Mapping[str, str]) -> str:
        """Say in one line how these parts differ from those of an earlier record."""
        return ", ".join(self.changes(before)) or "nothing changed"
