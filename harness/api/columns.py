"""What the columns of a run's tables mean, and their units: the tables have these columns and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Column:
    """A column of a table; `stored` is its name where it is made, if that is another."""

    name: str
    meaning: str
    unit: str = ""
    stored: str = ""


Columns = Sequence[Column]

_WHERE = (
    Column("contest", "number of the contest, as `run.contests` lists it; missing for references"),
    Column("task", "task with its options", stored="full_task"),
    Column("backbone", "network with its options", stored="full_backbone"),
)
_COSTS = (
    Column("parameters", "trained parameters of the network", "1"),
    Column("flops", "operations of one forward pass over one batch", "FLOP"),
    Column("latency_forward_seconds", "time of one forward pass over one batch", "s"),
    Column("latency_step_seconds", "time of one training step", "s"),
    Column("peak_memory_bytes", "memory that torch holds at most during training steps, above their start", "bytes"),
)

TRIALS: Columns = (
    *_WHERE,
    Column("suite", "suite of the task"),
    Column("variant", "layer with its options, or the name of a reference", stored="label"),
    Column("reference", "name of a reference; missing for layers"),
    Column("seed", "seed of data, start and order"),
    Column("device", "where it was trained"),
    Column("dtype", "number format"),
    Column("status", "ok, diverged, out_of_memory, timeout, crashed, error or skipped"),
    Column("error", "why it did not end well"),
    Column("score", "the task's first metric on test data", "that of the column `unit`"),
    Column("metric", "name of that metric"),
    Column("unit", "unit of that metric"),
    Column("normalized", "0 at the floor, 1 at the ceiling; missing where the task has not both", "1"),
    Column("converged", "whether the validation score stood still at the end"),
    Column("steps", "training steps done", "1"),
    Column("seconds", "time of the training", "s"),
    *_COSTS,
    Column("altered", "whether the record is no longer what was stored"),
)
SCORES: Columns = (
    *_WHERE,
    Column("variant", "layer with its options, or the name of a reference", stored="label"),
    Column("seed", "seed of data, start and order"),
    Column("split", "data that was scored: validation, test or another of the task"),
    Column("metric", "name of the metric"),
    Column("value", "the score", "that of the metric"),
)
VERDICTS: Columns = (
    *_WHERE,
    Column("variant", "layer with its options"),
    Column("baseline", "layer that it is compared with"),
    Column("verdict", "better, tied, worse or open"),
    Column("difference", "mean over pairs of equal seeds; above 0 is better", "that of the metric", stored="mean"),
    Column("low", "lower end of the 95 % interval of the difference", "that of the metric"),
    Column("high", "upper end of the 95 % interval of the difference", "that of the metric"),
    Column("pairs", "pairs of equal seeds", "1"),
    Column("p", "chance of such a difference between equals, adjusted over all comparisons of the run", "1"),
    Column("p_tied", "chance of such a nearness if the difference were the margin, adjusted alike", "1"),
    Column("detectable", "smallest effect that so many pairs would have shown", "that of the metric"),
    Column("final", "whether further planned looks cannot change the verdict"),
)
COSTS: Columns = (
    Column("task", "task with its options"),
    Column("backbone", "network with its options"),
    Column("variant", "layer with its options"),
    Column("device", "where it was measured"),
    Column("dtype", "number format"),
    Column("memory_format", "contiguous or channels_last"),
    Column("match", "what widths were made equal by: parameters, flops or nothing"),
    Column("status", "how the measurement ended"),
    Column("error", "why it did not end well"),
    *_COSTS,
    Column("flops_forward_backward", "operations of a forward and a backward pass over one batch", "FLOP"),
    Column("ratio_forward", "forward pass as a multiple of the plain convolution's, timed in turns", "1"),
    Column("ratio_forward_low", "lower end of its 95 % interval", "1"),
    Column("ratio_forward_high", "upper end of its 95 % interval", "1"),
    Column("ratio_step", "training step as a multiple of the plain convolution's, timed in turns", "1"),
    Column("ratio_step_low", "lower end of its 95 % interval", "1"),
    Column("ratio_step_high", "upper end of its 95 % interval", "1"),
    Column("samples_per_second", "samples that a training step takes in one second", "1/s"),
    Column("activation_bytes", "memory that is kept for the backward pass", "bytes"),
    Column("allocated_bytes", "memory that torch holds at most during training steps", "bytes"),
    Column("joules_per_sample", "energy of a training step; missing where the machine has no counter", "J"),
    Column("no_joules", "why there is no energy"),
    Column("noisy", "which times are not to be trusted, and why"),
    Column("uncounted", "operations that FLOPs leave out"),
    Column("reasons", "quantities that could not be measured, and why"),
)
CLAIMS: Columns = (
    Column("id", "name of the claim"),
    Column("family", "paper that it is from"),
    Column("kind", "exact, direction, figure or control"),
    Column("rank", "primary, or secondary: looked at once its primary claim is decided"),
    Column("source", "citation of the paper"),
    Column("sentence", "what is claimed"),
    Column("published", "what the paper reports"),
    Column("provenance", "where that was read: paper, blog, code or seed (a summary)"),
    Column("inequality", "the claim over the tables of a run"),
    Column("measured", "its left side here", "that of the inequality"),
    Column("low", "lower end of the interval", "that of the inequality"),
    Column("high", "upper end of the interval", "that of the inequality"),
    Column("seeds", "pairs of seeds that it rests on", "1"),
    Column("verdict", "holds, fails, measured, open or not run"),
    Column("here", "what was run here"),
    Column("reason", "why it is open, or by how little it was decided"),
    Column("setting", "the paper's setting"),
    Column("differs", "what differs from it here"),
)
CONTESTS: Columns = (
    Column("contest", "its number"),
    Column("suite", "suite of the task"),
    Column("task", "task with its options"),
    Column("backbone", "network with its options"),
    Column("steps", "training steps", "1"),
    Column("device", "where it was trained"),
    Column("dtype", "number format"),
    Column("metric", "metric that verdicts are about"),
    Column("unit", "its unit"),
    Column("better", "whether higher or lower is better"),
    Column("margin", "differences within it are ties", "that of the metric"),
    Column("floor", "score of the strongest floor; missing where there is none", "that of the metric"),
    Column("ceiling", "score of the strongest ceiling; missing where there is none", "that of the metric"),
)
TABLES: Mapping[str, Columns] = {
    "trials": TRIALS, "scores": SCORES, "verdicts": VERDICTS, "costs": COSTS, "claims": CLAIMS, "contests": CONTESTS,
}  # fmt: skip


def described(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """The columns of a table that are documented, under their names, its units in `attrs["units"]`."""
    table = frame[[column.stored or column.name for column in columns]].copy()
    table.columns = pd.Index([column.name for column in columns])
    table.attrs["units"] = {column.name: column.unit for column in columns if column.unit}
    return table.reset_index(drop=True)


def listed(columns: Columns) -> pd.DataFrame:
    """The documentation of a table's columns, as a table."""
    return pd.DataFrame([(column.name, column.unit, column.meaning) for column in columns], columns=_HEAD)


_HEAD = ["column", "unit", "meaning"]
