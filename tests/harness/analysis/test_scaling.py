"""Curves out of costs, and the exponents of power laws that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from coordbench.harness.analysis import scaling
from coordbench.harness.measure.quantities.parameters import options
from coordbench.harness.plan import planning as plan
from coordbench.harness.statistics.fit import power_law


def costs(rows):
    """Flat costs of a layer: parameters c^2, FLOPs b c^2 s^2 d."""
    made = []
    for size, channels, batch, depth in rows:
        options = {"size": size, "channels": channels, "batch": batch, "dims": 2, "depth": depth, "split": "uniform"}
        made.append(
            {
                "task": f"copy[size={size}, channels={channels}, batch={batch}]",
                "backbone": f"stack[depth={depth}]",
                "variant": "conv",
                "device": "cpu",
                "dtype": "float32",
                "memory_format": "contiguous",
                "options": options,
                "parameters": channels**2 * depth,
                "flops": batch * channels**2 * size**2 * depth,
                "latency_step_seconds": None,
            }
        )
    return pd.DataFrame(made)


STAR = [(8, 4, 2, 1), (16, 4, 2, 1), (32, 4, 2, 1), (8, 8, 2, 1), (8, 16, 2, 1), (8, 4, 4, 1), (8, 4, 8, 1)]


def test_every_axis_of_a_star_is_a_curve():
    found = scaling.curves(costs([*STAR, (8, 4, 2, 2), (8, 4, 2, 3)]))
    flops = found[found["quantity"] == "flops"]
    assert flops.groupby("axis")["value"].apply(list).to_dict() == {
        "batch": [2, 4, 8],
        "channels": [4, 8, 16],
        "depth": [1, 2, 3],
        "size": [8, 16, 32],
    }
    assert flops[flops["axis"] == "size"]["amount"].tolist() == [2 * 16 * s * s for s in (8, 16, 32)]
    assert set(found["quantity"]) == {"parameters", "flops"}  # the latency was never measured


@pytest.mark.parametrize(
    ("axis", "quantity", "exponent"),
    [("size", "flops", 2), ("channels", "flops", 2), ("batch", "flops", 1), ("size", "parameters", 0)],
)
def test_exponents_of_known_laws(axis, quantity, exponent):
    fitted = scaling.exponents(scaling.curves(costs(STAR)))
    row = fitted[(fitted["axis"] == axis) & (fitted["quantity"] == quantity)].iloc[0]
    assert row["exponent"] == pytest.approx(exponent, abs=1e-9)
    assert row["misfit"] == pytest.approx(1)
    assert row["points"] == 3


def test_the_preset_varies_four_axes_one_at_a_time_for_eight_variants():
    jobs = plan.make_plan(plan.read_preset("scaling")).costs
    rows = [{**job.plain} | {"options": options(job.cell), "flops": 1} for job in jobs]
    found = scaling.curves(pd.DataFrame(rows)).groupby(["variant", "axis"])["value"].nunique().unstack()
    assert set(found.columns) == {"batch", "channels", "depth", "size"}
    assert (len(found), found.to_numpy().min()) == (8, 4)


def test_two_points_are_no_curve():
    assert scaling.curves(costs(STAR[:2])).empty
    assert scaling.exponents(scaling.curves(costs(STAR[:2]))).empty


def test_devices_and_variants_are_never_mixed():
    other = costs(STAR).assign(device="cuda")
    mixed = pd.concat([costs(STAR[:2]), other[2:]])
    assert set(scaling.curves(mixed)["device"]) <= {"cuda"}


def test_a_constant_part_bends_the_curve_and_shows_as_misfit():
    x = np.array([1, 2, 4, 8, 16])
    assert power_law(x, 3 * x**1.5).misfit == pytest.approx(1)
    bent = power_law(x, 20 + x**2)
    assert bent.misfit > 1.3
    assert bent.low < bent.exponent < bent.high


def test_the_interval_covers_the_true_exponent_as_often_as_it_says():
    generator, x, covered = np.random.default_rng(0), np.array([8, 16, 32, 64, 128]), 0
    for _ in range(400):
        law = power_law(x, 5 * x**1.7 * np.exp(generator.normal(0, 0.1, len(x))))
        covered += law.low <= 1.7 <= law.high
    assert 0.92 <= covered / 400 <= 0.98
    exact = power_law(x, 5.0 * x**1.7)
    assert (exact.exponent, exact.factor) == (pytest.approx(1.7), pytest.approx(5))
