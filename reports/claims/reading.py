"""Read the ledger: one file per paper in `families/`; a claim that is not well formed is refused by one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import get_args

from coordbench.harness.core.errors import UsageError
from coordbench.harness.plan.validation import check_keys, read_toml, validate
from coordbench.reports.claims.claims import Claim, Measure, Provenance, Side

FOLDER = Path(__file__).parent / "families"
COUNTED: tuple[Measure, ...] = ("level", "difference", "reduction", "ratio")
GIVEN = ("family", "source", "left", "right")
"""Fields of a claim that come from its file, or are read by themselves."""


def read_claims(folder: Path | None = None) -> tuple[Claim, ...]:
    """Read every family in a folder, by default FOLDER; raise UsageError where a claim, or a family, is malformed."""
    return _read(FOLDER if folder is None else folder)


@cache
def _read(folder: Path) -> tuple[Claim, ...]:
    claims = tuple(claim for path in sorted(folder.glob("*.toml")) for claim in read_family(path))
    ids = [claim.id for claim in claims]
    twins = sorted({name for name in ids if ids.count(name) > 1})
    if twins:
        raise UsageError(f"two claims have the same id: {', '.join(twins)}; give each its own")
    return claims


def read_family(path: Path) -> list[Claim]:
    """Read the claims of one paper."""
    content = read_toml(path, "family of claims")
    check_keys(content, ("source", "claim"), path.name)
    source, tables = content.get("source"), content.get("claim", [])
    if not isinstance(source, str) or not isinstance(tables, list):
        raise UsageError(f'{path.name} needs source = "..." and [[claim]] tables')
    claims = [_claim(table, path, source) for table in tables]
    _check_family(claims, path)
    return claims


def _claim(table: Mapping[str, object], path: Path, source: str) -> Claim:
    where = f"claim {table.get('id')!r} in {path.name}"
    sides = {name: _side(table[name], f"{where}, {name}") for name in ("left", "right") if name in table}
    check_keys(table, {item.name for item in fields(Claim)} - {"family", "source"}, where)
    claim = validate(Claim, {**table, **sides, "family": path.stem, "source": source}, where, GIVEN)
    for wrong in filter(None, (rule(claim) for rule in RULES)):
        raise UsageError(f"{where}: {wrong}")
    return claim


def _side(table: object, where: str) -> Side:
    if not isinstance(table, dict):
        raise UsageError(f'{where} is no table; write {{ variant = "conv" }}')
    return validate(Side, {name: tuple(v) if isinstance(v, list) else v for name, v in table.items()}, where)


def _has_its_sides(claim: Claim) -> str:
    if claim.measure != "level" and claim.right is None:
        return f"measure {claim.measure!r} compares two sides, but there is no `right`"
    if claim.first_seed and not claim.earlier_ways:
        return "`first_seed` leaves out seeds that were seen: say by `earlier_ways` in how many ways they were asked"
    if claim.measure == "solves" and not claim.threshold:
        return 'measure "solves" needs a `threshold` that the primary score must pass'
    if claim.measure == "speedup" and not (claim.threshold > 0 and claim.kind == "figure"):
        return 'measure "speedup" needs a threshold above 0 and kind = "figure": its seeds are not tested'
    return ""


def _has_a_task_or_shapes(claim: Claim) -> str:
    if claim.kind != "exact":
        return "" if claim.task else "a claim that is no exact one needs a `task`"
    bare = [side.variant for side in claim.sides if not side.input or not side.output]
    if bare:
        return f"an exact claim is counted: {', '.join(bare)} needs `input` and `output`"
    if claim.measure in COUNTED and claim.metric not in ("parameters", "flops"):
        return f"metric = {claim.metric!r} cannot be counted; valid: parameters, flops"
    return "" if claim.measure in (*COUNTED, "residual") else f"measure = {claim.measure!r} needs a run, not a count"


def _has_provenance(claim: Claim) -> str:
    """A number that a reader takes for the paper's must say where it was read."""
    if claim.provenance is None and (claim.kind == "figure" or re.search(r"\d", claim.published)):
        return f"published = {claim.published!r} has no provenance; valid: {', '.join(get_args(Provenance))}"
    return ""


def _has_its_difference(claim: Claim) -> str:
    if claim.kind in ("direction", "figure") and not claim.differs:
        return "`differs` is missing: say what is different here from the paper's setting"
    return ""


RULES: tuple[Callable[[Claim], str], ...] = (
    _has_its_sides,
    _has_a_task_or_shapes,
    _has_provenance,
    _has_its_difference,
)
"""What is wrong with a claim, and what is valid; "" where nothing is."""


def _check_family(claims: list[Claim], path: Path) -> None:
    """A family has a primary direction, and each secondary claim comes after one of them."""
    primary = [claim.id for claim in claims if claim.kind == "direction" and claim.rank == "primary"]
    if not primary:
        raise UsageError(f'family {path.name} has no primary claim; one needs kind = "direction", rank = "primary"')
    for claim in claims:
        if claim.kind == "direction" and claim.rank == "secondary" and claim.after not in primary:
            raise UsageError(
                f"claim {claim.id!r} in {path.name}: after = {claim.after!r} is no primary claim; "
                f"valid: {', '.join(primary)}"
            )
