"""The page of a gate: what needs a look first, equal layers in one line, percent and margin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coordbench.harness.gate.rows import GateRow, OperatorUse, Report
from coordbench.reports.pages.gate import WIDTH, draw, write_gate

EQUAL = [GateRow(f"layer{i}", "layer", "sources", "pass", note="identical") for i in range(18)]
SLOW = GateRow(
    "mine", "speed", "forward", "regressed", 1e-3, 2.277e-3, 1.277, 1.2, 1.33, 0.05, "s", "8 pairs",
    (1.2, 1.25, 1.277, 1.28, 1.3, 1.31, 1.33, 1.22),
)  # fmt: skip
LOST = GateRow(
    "mine in unet on blur", "accuracy", "psnr", "regressed", 30.0, 29.0, -1.0, -1.2, -0.8, 0.1, "dB", "5 seeds",
    (-1.0, -1.1, -0.9, -1.2, -0.8),
)  # fmt: skip


@pytest.fixture
def page(tmp_path: Path) -> str:
    return write_gate(Report("main", "work tree", [*EQUAL, LOST, SLOW]), tmp_path).read_text()


def test_regressions_stand_first_and_equal_layers_take_one_line(page: str) -> None:
    assert page.index("What needs a look") < page.index("+127.7 %") < page.index("18 layers with identical sources")
    shown = page[: page.index("<details")]
    assert shown.count("identical") == 1
    assert "layer17" in shown


def test_changes_are_shown_with_their_margins(page: str) -> None:
    assert "+127.7 % (+120.0 % .. +133.0 %)" in page
    assert '<td data-name="tolerated">5 %</td>' in page
    assert "-1 dB" in page
    assert '<td data-name="tolerated">0.1 dB</td>' in page
    assert page.count('<line class="limit"') == 3  # one of the speed, two of the score


def test_a_drawing_holds_all_of_its_pairs() -> None:
    drawing = draw("Speed, relative change", [SLOW])
    (strip,) = drawing.strips
    assert len(strip.dots) == 8
    assert all(WIDTH / 2 < dot <= WIDTH for dot in strip.dots)
    assert WIDTH / 2 < strip.limits[0] < strip.low < strip.middle < strip.high
    assert drawing.label == "146 %"


def test_foreign_text_is_text(tmp_path: Path) -> None:
    odd = GateRow("<script>odd", "speed", "forward", "regressed", note="<b>")
    page = write_gate(Report("main", "work tree", [odd]), tmp_path).read_text()
    assert "<script>odd" not in page
    assert "<b>" not in page


def test_the_step_of_a_layer_that_changed_stands_side_by_side(tmp_path: Path) -> None:
    uses = (
        OperatorUse("forward", "aten::cat", 0, 2, 0, 4096, "mine.py:7"),
        OperatorUse("forward", "aten::mul", 1, 1, 8, 8),
    )
    report = Report("main", "work tree", [replace(SLOW, why=("forward: +2 aten::cat",))], steps={"mine": uses})
    page = write_gate(report, tmp_path).read_text()
    assert "The training step of mine on both sides: 1 of 2 operators differ" in page
    cells = "<td>0</td><td>2</td><td>0 bytes</td><td>4,096 bytes</td><td>mine.py:7</td>"
    assert f'<tr class="regressed"><td>forward</td><td>aten::cat</td>{cells}' in page


def test_nothing_compared_is_said(tmp_path: Path) -> None:
    assert "Nothing was compared." in write_gate(Report("main", "work tree"), tmp_path).read_text()
