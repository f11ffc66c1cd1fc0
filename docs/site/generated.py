"""Parts of the site that are written from the code: the layers, the columns of the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from coordbench.harness.api.columns import TABLES
from coordbench.harness.core import registry
from coordbench.harness.core.entries import VariantEntry
from coordbench.harness.core.errors import UsageError
from coordbench.reports.files.markdown import row, rule
from coordbench.reports.records import tables as tables_of_records
from coordbench.reports.records.records import Records, opened_records
from coordbench.reports.text import MISSING

ROOT = Path(__file__).parents[2]
WHEN = {
    "conv": "The baseline. `padding=zeros` already tells where the border is.",
    "constant_channel": "A control: the parameters of one more channel, without its idea.",
    "noise_channel": "A control, as `constant_channel`.",
    "unit_gate": "A control of `coordgate[project=true]`.",
    "content_gate": "Where the content of an image decides what matters, not the place.",
    "coordconv": "First, where the answer is a place: coordinates read or written. It costs little.",
    "fourier_coordconv": "Where the answer depends finely on the place; more channels than `coordconv`.",
    "position_injection": "As `coordconv` in most uses, at the least cost.",
    "learned_position": "Where all inputs have one size, and the law of the place is not known.",
    "geoconv": "Where relative geometry matters and absolute place should be hidden by its shift.",
    "coordgate": "Where the same operation has another strength at each place, as blur over a lens.",
    "locally_connected": "Where each place needs its own weights, and the size is fixed; memory grows with the size.",
    "low_rank_locally_connected": "As `locally_connected`, with far fewer weights.",
    "tiled_conv": "Between `conv` and `locally_connected`.",
    "pixel_adaptive": "Where neighbors that look alike should weigh more: edges kept, regions smoothed.",
    "involution": "Where the weights should follow from the pixel itself.",
    "deformable": "Where shapes turn and bend; it is dear.",
    "dynamic_conv": "Where images differ as a whole, at little cost.",
    "relative_attention": "Where far places must meet; its memory is quadratic in the pixels.",
}


def layers() -> str:
    """One entry per layer, with its cost in the run of record."""
    with opened_records(ROOT / "results", {}) as records:
        return "\n\n".join(_layer(entry, _cost(records, entry.name)) for entry in registry.entries("variant"))


def _cost(records: Records, name: str) -> str:
    """What a layer costs as multiples of plain convolution; what it could not be measured at has none."""
    if name == "conv":
        return "what all others are multiples of"
    try:
        time, memory = (tables_of_records.cost(records, "layers", name, "large", kind) for kind in _KINDS)
    except UsageError:
        return "not measured yet"
    if time == MISSING:
        return "not measured at this shape: see the table"
    return f"{time} times the forward and backward pass of plain convolution, {memory} times its peak memory"


_KINDS = ("forward_backward", "memory")


def _layer(entry: VariantEntry, cost: str) -> str:
    dims = ", ".join(f"{count}-D" for count in entry.dims) + (", at one size only" if entry.fixed_size else "")
    options = [f"`{option.name}={option.default}` ({option.describe()})" for option in entry.options]
    lines = [
        f"## {entry.name}", entry.summary, f"- **Source**: {entry.source}.", f"- **Dimensions**: {dims}.",
        f"- **Parameters**: {entry.formula or 'counted, no formula'}.",
        f"- **Cost**: {cost}.", f"- **Options**: {'; '.join(options) or 'none'}.",
        *([f"- **When**: {WHEN[entry.name]}"] if entry.name in WHEN else []),
        f"- **File**: `variants/{Path(entry.file).name}`.",
    ]  # fmt: skip
    return "\n\n".join([*lines[:2], "\n".join(lines[2:])])


def tables() -> str:
    """The columns of a run's tables."""
    parts = []
    for name, columns in TABLES.items():
        lines = [f"### run.{name}", "", row("column", "unit", "meaning"), rule(2)]
        parts.append("\n".join([*lines, *(row(one.name, one.unit, one.meaning) for one in columns)]))
    return "\n\n".join(parts)


PARTS: Mapping[str, Callable[[], str]] = {
    "layers, one entry each": layers,
    "tables of a run": tables,
}
