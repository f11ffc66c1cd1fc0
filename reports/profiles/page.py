"""Write the page of one or two profiles: tables, flame graph, memory over the step, roofline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2

from coordbench.harness.profiling.against import differences
from coordbench.harness.profiling.profile import Row, StepProfile
from coordbench.reports.profiles.flame import flame_data
from coordbench.reports.profiles.memory import memory_data
from coordbench.reports.profiles.roofline import roofline_data

_TEMPLATES = Path(__file__).parents[1] / "templates"
_SHOWN = 60
"""Rows of a table; what is left is added up in the last one."""


def write_profile(profile: StepProfile, base: StepProfile | None, title: str, path: Path) -> Path:
    """Write the page to `path` and return it; `base` is what the profile is held against."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"ms": milliseconds, "size": size, "count": count, "percent": lambda x: f"{100 * x:.1f} %"}
    profiles = [profile, *([base] if base else [])]
    page = environment.get_template("profile.html.j2").render(
        title=title,
        profile=profile,
        base=base,
        rows=shown_rows(profile),
        differences=differences(profile, base)[:_SHOWN] if base else [],
        total_difference=profile.seconds - base.seconds if base else 0.0,
        flame=flame_data(profile, base),
        memory=[memory_data(item) for item in profiles],
        roofline=roofline_data(profiles),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def shown_rows(profile: StepProfile) -> list[Row]:
    """The rows of the table: the most expensive, and the rest added up."""
    rows = list(profile.rows)
    first, rest = rows[:_SHOWN], rows[_SHOWN:]
    if not rest:
        return first
    total = Row(
        "between", f"{len(rest)} more rows", "", "", "", sum(row.calls for row in rest),
        sum(row.seconds for row in rest), sum(row.flops for row in rest), sum(row.read_bytes for row in rest),
        sum(row.written_bytes for row in rest), "dispatch",
    )  # fmt: skip
    return [*first, total]


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds, with three digits that count."""
    return f"{1e3 * seconds:#.3g}".rstrip(".")


def size(nbytes: int) -> str:
    """Bytes in the unit that a person reads."""
    return _scaled(float(nbytes), 1024, ("B", "KiB", "MiB", "GiB"))


def count(value: float) -> str:
    """A large number with a letter for thousands, millions and billions."""
    return _scaled(value, 1000, ("", "k", "M", "G", "T"))


def _scaled(value: float, base: int, units: Sequence[str]) -> str:
    for unit in units:
        if abs(value) < base or unit == units[-1]:
            break
        value /= base
    return f"{value:.3g} {unit}".strip()
