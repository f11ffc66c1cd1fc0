"""A profile as a table for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from coordbench.harness.profiling.against import differences
from coordbench.harness.profiling.profile import Row, StepProfile

WIDTH = 80
_ROWS = 12


def profile_text(profile: StepProfile, base: StepProfile | None) -> str:
    """What takes a step's time, and, against a baseline, what it does more."""
    lines = [_headline(profile, base), "", f"{'ms':>8} {'share':>6} {'calls':>5}  {'bound':<8} operator, place"]
    lines += [_row(row, profile.seconds) for row in profile.rows[:_ROWS]]
    if base is not None:
        lines += ["", f"What {profile.label} does more than {base.label}:"]
        lines += [f"  {difference}"[:WIDTH] for difference in differences(profile, base)[:_ROWS]]
    return "\n".join(lines)


def json_ready(profiles: Sequence[StepProfile]) -> list[dict[str, object]]:
    """Everything that was measured, as plain values; the first profile is the one that was asked for."""
    return [
        {
            "label": profile.label,
            "device": profile.device,
            "seconds": profile.seconds,
            "profiler_overhead": profile.profiler_overhead,
            "attributed": profile.attributed,
            "flops": profile.flops,
            "formula_flops": profile.formula_flops,
            "bytes": profile.nbytes,
            "between_seconds": profile.between_seconds,
            "peak_memory_bytes": profile.memory.peak_bytes,
            "limits": vars(profile.limits),
            "rows": [vars(row) for row in profile.rows],
            "allocations": [vars(allocation) for allocation in profile.memory.allocations],
        }
        for profile in profiles
    ]


def _headline(profile: StepProfile, base: StepProfile | None) -> str:
    ratio = f", {profile.seconds / base.seconds:.2f} x the step of {base.label}" if base is not None else ""
    between = profile.between_seconds / profile.seconds
    return (
        f"{profile.label}: {_milliseconds(profile.seconds)} ms{ratio}\n"
        f"{between:.0%} {profile.between_name}; peak memory {profile.memory.peak_bytes / 2**20:.3g} MiB; "
        f"the profiler added {profile.profiler_overhead:.0%}"
    )


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.0f}" if seconds >= 0.1 else f"{1e3 * seconds:.3g}"


def _row(row: Row, total: float) -> str:
    operator = f"{row.operator} {row.place.rpartition('/')[2]}".strip()  # the page has the whole path
    line = f"{1e3 * row.seconds:8.3f} {row.seconds / total:6.1%} {row.calls:5d}  {row.bound:<8} {operator}"
    return line if len(line) <= WIDTH else line[: WIDTH - 3] + "..."
