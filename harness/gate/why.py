"""Why a layer changed: what its training step does otherwise on the candidate side, and in which lines of source.

Operators are counted, not timed, so that equal code gives no reason at all, on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from coordbench.harness.gate.output import quantity
from coordbench.harness.gate.rows import GateRow, OperatorUse
from coordbench.harness.profiling.recorded.fingerprint import Entry, Fingerprint

SAME = "its operators, their shapes and layouts are the same: the change is in Python, in a library or in the machine"
_SHOWN = 3
_EXPLAINED = ("regressed", "improved", "inconclusive")


@dataclass(frozen=True)
class Steps:
    """What a training step of one layer does on both sides."""

    base: Fingerprint
    candidate: Fingerprint

    @property
    def reasons(self) -> tuple[str, ...]:
        """The changes in words, forward first; what only took other tensors is a consequence, and comes last."""
        groups: dict[tuple[str, str], list[tuple[int, Entry]]] = {}
        for count, entry in self.candidate.changes(self.base):
            if not entry.allocated_for:
                groups.setdefault((entry.direction, entry.operator), []).append((count, entry))
        ranked = sorted(groups.values(), key=_rank)
        reasons = [self._reason(changes) for changes in ranked]
        more = len(reasons) - _SHOWN
        return (*reasons[:_SHOWN], *([f"and {more} more such changes"] if more > 0 else []))

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """Every operator on both sides, those first that the sides do not use alike."""
        entries = [entry for entry in {**self.candidate.counts, **self.base.counts} if not entry.allocated_for]
        groups = dict.fromkeys((entry.direction, entry.operator) for entry in entries)
        uses = [self._use([e for e in entries if (e.direction, e.operator) == group]) for group in groups]
        return tuple(sorted(uses, key=lambda use: (not use.differs, use.direction != "forward")))

    def _use(self, entries: Sequence[Entry]) -> OperatorUse:
        sides = (self.base, self.candidate)
        base, candidate = (sum(side.counts.get(entry, 0) for entry in entries) for side in sides)
        before, after = (sum(side.counts.get(entry, 0) * entry.nbytes for entry in entries) for side in sides)
        places = (place for side in (self.candidate, self.base) for e in entries for place in side.places.get(e, ()))
        return OperatorUse(entries[0].direction, entries[0].operator, base, candidate, before, after, next(places, ""))

    def _reason(self, changes: Sequence[tuple[int, Entry]]) -> str:
        net = sum(count for count, _ in changes)
        entry = max((item for item in changes if item[0] > 0), key=lambda item: item[1].nbytes, default=changes[0])[1]
        place = next(iter(self.candidate.places.get(entry, ()) or self.base.places.get(entry, ())), "")
        what = f"{net:+d} {entry.operator}" if net else f"{entry.operator} on other tensors, now {entry.tensors}"
        size = f" ({quantity(entry.nbytes, 'bytes')})" if net else ""
        return f"{entry.direction}: {what}{size}{f', {place}' if place else ''}"


def explain(rows: Sequence[GateRow], steps: Mapping[str, Steps]) -> list[GateRow]:
    """The rows, those that changed with their reasons."""
    return [_explained(row, steps[row.layer]) if row.layer in steps else row for row in rows]


def _explained(row: GateRow, steps: Steps) -> GateRow:
    if row.outcome not in _EXPLAINED and row.note != "changed":
        return row
    return replace(row, why=steps.reasons or (SAME,))


def notes(rows: Sequence[GateRow], steps: Mapping[str, Steps]) -> list[str]:
    """A step that changed where nothing that was measured did: worth a line, never a verdict."""
    changed = {row.layer for row in rows if row.why}
    return [
        f"{layer}: its step changed, and nothing measured did: {'; '.join(pair.reasons)}"
        for layer, pair in steps.items() if layer not in changed and pair.reasons
    ]  # fmt: skip


def _rank(changes: Sequence[tuple[int, Entry]]) -> tuple[bool, bool, int]:
    return changes[0][1].direction != "forward", not sum(count for count, _ in changes), -_nbytes(changes)


def _nbytes(changes: Sequence[tuple[int, Entry]]) -> int:
    return sum(abs(count) * entry.nbytes for count, entry in changes)
