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
    jobs = table.cost_jobs(["coordconv", "conv"], [SHAPE], "stack")
    return table.flatten(table.frame((job, measure.measure(job.cell, 0.0)) for job in jobs))


def test_one_row_per_variant_in_order(measured):
    assert measured["variant"].tolist() == ["coordconv", "conv"]
    assert measured.set_index("variant")["flops"]["conv"] == 2 * 2 * 4 * 4 * 9 * 64


def test_what_the_details_hold_stands_in_columns(measured):
    row = measured.set_index("variant").loc["conv"]
    assert row["flops_forward_backward"] == 3 * row["flops"]  # input and weights take a gradient
    assert row["ratio_forward_low"] <= row["ratio_forward"] <= row["ratio_forward_high"]
    assert row["activation_bytes"] == 0  # a single layer keeps its input, which was there
    assert row["options"] == {"size": 8, "channels": 4, "batch": 2, "dims": 2, "depth": 1, "kernel_size": 3}
    assert row["joules_per_sample"] is None
    assert row["reasons"] == ""


def test_a_part_that_failed_is_a_gap_with_a_reason():
    record = CostRecord("crashed", "memory: killed", details={"memory": {"reason": "killed"}})
    row = table.flatten(table.frame([(CostJob(Cell.of("copy", "stack", "conv")), record)])).iloc[0]
    assert row["reasons"] == "memory: killed"
    assert pd.isna(row["ratio_step"])
    printed = table.readable(table.flatten(table.frame([(CostJob(Cell.of("copy", "stack", "conv")), record)])))
    assert printed.splitlines()[-1] == "  memory: killed"


def test_a_cost_that_was_never_measured_is_a_gap():
    costs = table.frame([(CostJob(Cell.of("copy", "stack", "conv")), CostRecord("skipped"))]).assign(details=None)
    assert pd.isna(table.flatten(costs)["ratio_step"]).all()


def test_print_shows_ratios_with_intervals_and_marks_noise_within_80_columns(measured):
    long = "relative_attention[circular=true, heads=4]"
    noisy = measured.assign(
        noisy=[{"step": ["pair ratios spread by 40%"]}, {}], ratio_forward_backward=1.5, variant=["conv", long]
    )
    noisy[["ratio_forward_backward_low", "ratio_forward_backward_high"]] = 1.25, 1.76
    lines = table.readable(noisy).splitlines()
    assert lines[0] == "copy[batch=2, channels=4, size=8], stack, contiguous"
    assert lines[2].startswith("conv  ")
    assert "1.50 [1.25, 1.76]" in lines[2]
    assert lines[3:5] == ["  noisy: step", long]
    assert max(map(len, lines)) <= 80


def test_tables_need_no_torch():
    modules = "coordbench.harness.measure.table, coordbench.harness.analysis.scaling"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
