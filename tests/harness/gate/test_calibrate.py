"""Calibration on known noise, and the margins that it writes."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import numpy as np
import pytest

from coordbench.harness.gate import calibrate
from coordbench.harness.gate.rule import Thresholds

LIMITS = Thresholds()


def pool(spread: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(0).normal(0, spread, 96)


def test_a_quiet_machine_catches_small_slowdowns_and_raises_no_alarm() -> None:
    calibration = calibrate.summarize(("conv", "forward"), pool(0.005), LIMITS)
    assert calibration.outcomes == {"pass": 6}
    assert calibration.false_alarms == 0.0
    assert calibration.smallest is not None
    assert 0.03 <= calibration.smallest <= 0.05  # below, the median is no slowdown; from 5 % on it must not pass
    assert calibrate.margin([calibration], LIMITS) == 0.05


def test_a_noisy_machine_needs_a_wider_margin() -> None:
    calibration = calibrate.summarize(("conv", "forward"), pool(0.08), LIMITS)
    margin = calibrate.margin([calibration], LIMITS)
    assert calibration.smallest is not None
    assert margin is not None
    assert 0.05 < margin < 0.2
    assert calibration.false_alarms <= 0.01


def test_no_margin_fits_a_machine_that_tells_nothing() -> None:
    calibration = calibrate.Calibration("conv", "forward", 96, 2.0, {"inconclusive": 6}, 0.0, None, tuple(pool(2.0)))
    assert calibrate.rate(pool(2.0), 0.5, LIMITS) < calibrate.POWER
    assert "none up to 50 %" in calibrate.show([calibration])


def test_rates_rise_with_the_slowdown() -> None:
    rates = [calibrate.rate(pool(0.03), change, LIMITS) for change in (0.0, 0.03, 0.06, 0.12)]
    assert rates == sorted(rates)
    assert math.isclose(rates[-1], 1.0, abs_tol=0.01)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[project]\nname = "x"\n',
        '[tool.coordbench.gate]\nslower = 0.01  # old\nplugins = ["a.py"]\nleast=0.005\n\n[tool.ruff]\nslower = 1\n',
    ],
)
def test_margins_are_written_and_all_else_is_kept(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(text)
    before = tomllib.loads(text)
    calibrate.write_margins(file, 0.08)
    after = tomllib.loads(file.read_text())
    gate = after["tool"]["coordbench"].pop("gate")
    assert (gate.pop("slower"), gate.pop("least")) == (0.08, 0.04)
    old = before.get("tool", {}).get("coordbench", {}).get("gate", {})
    assert gate == {key: value for key, value in old.items() if key not in ("slower", "least")}
    assert after.get("project") == before.get("project")
    assert after.get("tool", {}).get("ruff") == before.get("tool", {}).get("ruff")
