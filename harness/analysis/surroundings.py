"""What must be equal on both sides before their times may be looked at together."""

from __future__ import annotations

from coordbench.harness.analysis.tables import Tables

_FACTS = ("processor", "cores", "gpu", "device", "versions.torch", "settings.OMP_NUM_THREADS")


def differences(a: str, b: str, ours: Tables, theirs: Tables) -> list[str]:
    """One line per fact of the surroundings that is not the same in runs a and b."""
    sides = [_values(side) for side in (ours, theirs)]
    names = [name for name in (*_FACTS, "dtype") if sides[0][name] != sides[1][name]]
    texts = [[", ".join(sorted(side[name])) or "unknown" for side in sides] for name in names]
    return [f"{name}: {x} in {a}, {y} in {b}" for name, (x, y) in zip(names, texts, strict=True)]


def _values(side: Tables) -> dict[str, set[str]]:
    known = side.environment
    tried = side.trials[side.trials["reference"].isna() & (side.trials["status"] != "skipped")]
    return {name: set(known.loc[known["name"] == name, "value"]) for name in _FACTS} | {"dtype": set(tried["dtype"])}
