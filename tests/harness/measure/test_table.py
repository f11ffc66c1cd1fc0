"""Tables of costs, from measuring to print."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

from coordbench.harness import measure
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.record import CostRecord
from coordbench.harness.core.trial import CostJob
from coordbench.harness.measure import table

SHAPE = "copy[batch=2, channels=4, size=8]"


@pytest.fixture(scope="module")
def measured():
    return table.measure_table(lambda job: measure.measure(job.cell, 0.0), ["coordconv", "conv"], task=SHAPE)


def test_one_row_per_variant_cheapest_step_first(measured):
    assert set(measured["variant"]) == {"conv", "coordconv"}
    assert measured["ratio_step"].is_monotonic_increasing
    assert measured.set_index("variant")["flops"]["conv"] == 2 * 2 * 4 * 4 * 9 * 64


def test_what_the_details_hold_stands_in_columns(measured):
    row = measured.set_index("variant").loc["conv"]
    assert row["flops_forward_backward"] == 2 * row["flops"]  # the batch takes no gradient
    assert row["ratio_forward_low"] <= row["ratio_forward"] <= row["ratio_forward_high"]
    assert row["activation_bytes"] == 2 * 4 * 8 * 8 * 4
    assert row["options"] == {"size": 8, "channels": 4, "batch": 2, "dims": 2, "depth": 1, "kernel_size": 3}
    assert row["joules_per_sample"] is None
    assert row["reasons"] == ""


def test_a_part_that_failed_is_a_gap_with_a_reason():
    record = CostRecord("crashed", "memory: killed", details={"memory": {"reason": "killed"}})
    row = table.flatten(table.frame([(CostJob(Cell.of("copy", "stack", "conv")), record)])).iloc[0]
    assert row["reasons"] == "memory: killed"
    assert pd.isna(row["ratio_step"])
    printed = table.readable(table.flatten(table.frame([(CostJob(Cell.of("copy", "stack", "conv")), record)])))
    assert printed["notes"].tolist() == ["memory: killed"]


def test_a_cost_that_was_never_measured_is_a_gap():
    costs = table.frame([(CostJob(Cell.of("copy", "stack", "conv")), CostRecord("skipped"))]).assign(details=None)
    assert pd.isna(table.flatten(costs)["ratio_step"]).all()


def test_print_shows_ratios_with_intervals_and_marks_noise(measured):
    noisy = measured.assign(noisy=[{"step": ["pair ratios spread by 40%"]}, {}], ratio_step=1.5)
    noisy[["ratio_step_low", "ratio_step_high"]] = 1.25, 1.76
    printed = table.readable(noisy)
    assert printed["x conv "].tolist() == ["1.50 [1.25, 1.76]"] * 2
    assert printed["notes"].tolist() == ["noisy: step", ""]


def test_tables_need_no_torch():
    modules = "coordbench.harness.measure.table, coordbench.harness.analysis.scaling"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
