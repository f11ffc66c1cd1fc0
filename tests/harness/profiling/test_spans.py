"""Times of operators in recorded steps, on the host and on a GPU; they and what lies between them add up to the step.

No GPU is needed: `cuda_trace.json` is a trace of one step, written by hand after the format in which Kineto writes what
CUDA reports: kernels, copies and fills on two streams, linked to their operators by `External id`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from coordbench.harness.profiling.recorded.operations import Operation
from coordbench.harness.profiling.recorded.recording import Event, RecordedStep, read_trace, record_steps, steps_of
from coordbench.harness.profiling.recorded.step import Workload
from coordbench.harness.profiling.spans import alignment, spans
from coordbench.harness.profiling.trace import write_trace

CUDA_TRACE = Path(__file__).with_name("cuda_trace.json")
MICROSECOND = 1e-6


def _operation(name: str, parent: int | None = None) -> Operation:
    return Operation(name, parent, (), (), (), -1, is_operator=True, is_marker=False)


CONVOLUTION = [_operation("aten::conv2d"), _operation("aten::cudnn_convolution", 0)]
OPERATIONS = [*CONVOLUTION, _operation("aten::relu"), _operation("aten::copy_")]


def test_on_a_gpu_an_operator_takes_its_kernels_and_the_time_before_them_is_idle() -> None:
    [step] = steps_of(read_trace(CUDA_TRACE))
    parts = spans(OPERATIONS, step, "cuda")
    # Kernels run at 30-40, 45-110, 120-150 and, on another stream, 140-180 us of a step of 200 us.
    assert parts.lengths / MICROSECOND == pytest.approx([75, 75, 30, 30])  # of the copy 10 us ran beside the relu
    assert parts.gaps / MICROSECOND == pytest.approx([30 + 5, 0, 10, 0])  # idle before each, at the outermost operator
    placed = parts.lengths[[0, 2, 3]].sum() + parts.gaps.sum()
    assert placed / MICROSECOND == pytest.approx(200 - 20)  # the rest lies after the last kernel


def test_the_same_step_on_the_host_is_placed_by_its_operators() -> None:
    [step] = steps_of(read_trace(CUDA_TRACE))
    parts = spans(OPERATIONS, step, "cpu")
    assert parts.lengths / MICROSECOND == pytest.approx([40, 30, 15, 10])
    assert parts.gaps / MICROSECOND == pytest.approx([10, 0, 10, 5])


def test_a_kernel_of_an_unknown_operator_is_placed_nowhere() -> None:
    kernels = (Event("lost", "kernel", 10, 30, 99), Event("relu", "kernel", 30, 60, 1))
    step = RecordedStep(0, 100, (Event("aten::relu", "operator", 0, 5, 1),), kernels)
    parts = spans([_operation("aten::relu")], step, "cuda")
    assert (parts.lengths[0], parts.gaps[0]) == (pytest.approx(30e-9), 0)


def test_events_are_found_where_one_is_missing_or_new() -> None:
    assert alignment("abcd", "abcd") == [0, 1, 2, 3]
    assert alignment("abcd", "abd") == [0, 1, None, 2]
    assert alignment("abcd", "abxcd") == [0, 1, 3, 4]
    assert alignment("ab", "") == [None, None]


def test_a_recorded_step_and_the_trace_of_it_hold_the_same_operators(tmp_path: Path) -> None:
    x = torch.rand(64, 64)
    workload = Workload("", lambda: x.relu().neg())
    [step] = record_steps(workload, 1)
    names = [event.name for event in step.operators]
    assert names == ["aten::relu", "aten::clamp_min", "aten::neg"]
    operations = [_operation(name, parent) for name, parent in zip(names, (None, 0, None), strict=True)]
    parts = spans(operations, step, "cpu")
    assert np.all(parts.lengths > 0)
    assert parts.lengths[[0, 2]].sum() + parts.gaps.sum() <= step.seconds
    path = tmp_path / "trace.json"
    write_trace(workload, str(path), step.seconds)
    assert [event.name for event in read_trace(path) if event.kind == "operator"][-3:] == names
