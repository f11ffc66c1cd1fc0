"""The page of a profile: its drawings hold what was measured."""

from __future__ import annotations

from coordbench.harness.profiling.limits import Limits
from coordbench.harness.profiling.profile import Frame, Row, StepProfile
from coordbench.harness.profiling.recorded.memory import Allocation, StepMemory
from coordbench.reports.profiles.flame import flame_data
from coordbench.reports.profiles.memory import HEIGHT, memory_data
from coordbench.reports.profiles.page import milliseconds
from coordbench.reports.profiles.roofline import roofline_data
from coordbench.reports.text import big, size


def example(label: str, seconds: float) -> StepProfile:
    """A step of one product, which takes half of it."""
    row = Row("forward", "aten::mm", "[2, 2]", "layer.py:3 forward", "", 1, seconds, 8, 16, 16, "compute")
    frame = Frame(label, seconds, (Frame("forward", seconds, (Frame("aten::mm", seconds / 2),)),))
    memory = StepMemory((Allocation("aten::mm", 64, 0, 1, "temporary"),), 128)
    return StepProfile(label, seconds, 0.1, (row,), frame, memory, Limits(1e9, 1e9, 1e-6, 1e9), 8)


def test_boxes_are_as_wide_as_their_time_and_say_how_much_more_they_take() -> None:
    boxes = {box["name"]: box for box in flame_data(example("mine", 0.004), example("conv", 0.001))}
    assert (boxes["mine"]["width"], boxes["aten::mm"]["width"], boxes["aten::mm"]["depth"]) == (1.0, 0.5, 2)
    assert (boxes["aten::mm"]["more"], boxes["forward"]["more"]) == (3.0, None)


def test_a_box_that_nobody_could_see_is_left_out() -> None:
    profile = example("mine", 1.0)
    tiny = Frame("mine", 1.0, (Frame("forward", 1.0, (Frame("aten::mm", 1e-5),)),))
    boxes = flame_data(StepProfile(**{**vars(profile), "flame": tiny}), None)
    assert [box["name"] for box in boxes] == ["mine", "forward"]


def test_the_area_of_the_peak_reaches_the_top() -> None:
    data = memory_data(example("mine", 1.0))
    temporary = next(area for area in data["areas"] if area["name"] == "temporary")
    assert (data["peak_bytes"], temporary["peak_bytes"]) == (64, 64)
    assert temporary["points"].startswith("0.0,0.0")  # the top, at once
    assert f",{HEIGHT:.1f}" in temporary["points"]


def test_points_of_the_roofline_say_how_far_they_are_below_it() -> None:
    [operator, whole] = roofline_data([example("mine", 1.0)])["points"]
    # 8 FLOPs on 32 bytes in a second: an intensity of .25, where the roof is at .25e9; the step has one product
    assert operator["share_of_roof"] == whole["share_of_roof"] == 8 / 0.25e9


def test_numbers_have_units_that_a_person_reads() -> None:
    assert (milliseconds(2.2104), milliseconds(-1.5), milliseconds(0.9996)) == ("2,210", "-1,500", "1,000")
    assert (milliseconds(0.01234), size(3 * 2**20), size(10), big(2.5e9)) == ("12.3", "3 MiB", "10 B", "2.5 G")
