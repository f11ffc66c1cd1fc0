"""Write the page of one or two profiles: tables, flame graph, memory over the step, roofline."""

from __future__ import annotations

from pathlib import Path

from coordbench.harness.profiling.against import differences
from coordbench.harness.profiling.profile import Row, StepProfile
from coordbench.reports.pages import rendering
from coordbench.reports.profiles.flame import flame_data
from coordbench.reports.profiles.memory import memory_data
from coordbench.reports.profiles.roofline import roofline_data

_SHOWN = 60
"""Rows of a table; what is left is added up in the last one."""


def write_profile(profile: StepProfile, base: StepProfile | None, title: str, path: Path) -> Path:
    """Write the page to `path` and return it; `base` is what the profile is held against."""
    environment = rendering.environment()
    environment.filters |= {"ms": milliseconds, "share": lambda x: f"{100 * x:.1f} %"}
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
    return rendering.write(page, path)


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
    """Seconds as milliseconds, with three digits that count, or more where there are more before the point."""
    value = 1e3 * seconds
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".rstrip(".")
