"""Fates of GANs against counts, rates, curves and tests done by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from coordbench.harness.core.record import CurvePoint, Record
from coordbench.harness.core.scores import Fate, State
from coordbench.harness.core.trial import Trial
from coordbench.harness.store.store import Store
from coordbench.reports.data import series, survival
from coordbench.reports.data.run import load
from coordbench.reports.figures import shares
from coordbench.reports.pages import conditions
from coordbench.reports.pages.page import write_report
from tests.reports.conftest import TASKS

EPOCHS: dict[str, list[float | None]] = {
    "conv": [10, 20, 20, 30, 40],
    "coordconv": [50, 50, 50, 50, None],
    "geoconv": [None] * 5,
}
NEVER, COLLAPSED, CENSORED = State
STATES: dict[str, list[State]] = {
    "conv": [COLLAPSED, COLLAPSED, CENSORED, COLLAPSED, CENSORED],
    "coordconv": [*[CENSORED] * 4, NEVER],
    "geoconv": [NEVER] * 5,
}
REAL = {"coverage": 0.96, "density": 1.0, "precision": 0.97, "recall": 0.98}


def outcome(trial: Trial) -> Record | None:
    """Known fates of five seeds; density is the seed and coverage .1 above .5 on odd ones; curves of three measures."""
    if trial.cell.reference is not None:
        return Record("ok", scores={split: {"accuracy": 1.0, **REAL} for split in ("test", "validation")})
    name, seed = trial.cell.label, trial.seed
    if name == "geoconv" and seed == 4:
        return Record("crashed", "killed")
    scores = {"accuracy": 0.5, "density": float(seed), "coverage": 0.5 + 0.1 * (seed % 2)}
    lived = EPOCHS[name][seed]
    fate = Fate(STATES[name][seed], None if lived is None else 1.0, lived)
    points = [CurvePoint(s, s, f"validation/{m}", 0.25 * s) for m in ("density", "coverage", "mmd") for s in (1, 2)]
    return Record("ok", scores={"test": scores}, curves=points, steps=2, fate=fate)


@pytest.fixture
def name(fill: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    metrics = [{"name": m, "unit": "", "better": "higher", "margin": 0.02} for m in ("accuracy", *REAL)]
    monkeypatch.setitem(TASKS, "alpha[canvas=8]", TASKS["alpha[canvas=8]"] | {"metrics": metrics})
    return str(fill(variants=list(STATES), tasks=["alpha[canvas=8]"], record=outcome, costs=False))


def test_fates_are_counted_and_compared(store: Store, name: str) -> None:
    """3 of 5 started seeds: Wilson [.231, .882]; 0 of 4: [0, .490]; a crash without a fate collapsed at once.

    Log-rank of coordconv (4, all alive) against conv: at 10, 20, 30 expected 5/9, 4/8, 2/6 of conv's one death each,
    variances 20/81, 1/4, 2/9: z = (3 - 1.38889) / .84802 = 1.8999.
    """
    found = survival.fates(survival.lives(load(name, store=store)), "conv")
    assert found[["never", "collapsed", "censored"]].to_numpy().tolist() == [[0, 3, 2], [1, 0, 4], [4, 1, 0]]
    assert found["rate"].tolist() == pytest.approx([0.6, 0.0, 1.0])
    told = found.set_index("variant").to_dict("index")
    assert (told["conv"]["low"], told["conv"]["high"]) == pytest.approx((0.231, 0.882), abs=5e-4)
    assert (told["coordconv"]["low"], told["coordconv"]["high"]) == pytest.approx((0.0, 0.490), abs=5e-4)
    assert math.isnan(told["conv"]["p"])
    assert told["coordconv"]["p"] == pytest.approx(0.05745, abs=5e-6)


def test_nobody_collapsed_or_started_gives_no_p() -> None:
    rows = [("conv", CENSORED, 9.0), ("a", CENSORED, 9.0), ("b", NEVER, np.nan)]
    found = survival.fates(pd.DataFrame(rows, columns=["variant", "fate", "epochs"]), "conv")
    assert found["p"].isna().all()
    assert found["rate"].tolist() == pytest.approx([0, 0, math.nan], nan_ok=True)


def test_the_curve_falls_at_collapses_and_ticks_at_censored_seeds(store: Store, name: str) -> None:
    """Five at risk: 4/5 after 10, times 3/4 after 20, times 1/2 after 30; ticks at 20 and 40."""
    run = load(name, store=store)
    own = survival.lives(run)
    figure = shares.survival(run.slots, own[(own["variant"] == "conv") & (own["fate"] != NEVER)])
    (line,) = figure.axes[0].lines
    assert np.asarray(line.get_xdata()).tolist() == [0, 10, 20, 30, 40]
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([1, 0.8, 0.6, 0.3, 0.3])
    assert line.get_markevery() == [2, 4]


def test_density_against_coverage_has_means_and_intervals(store: Store, name: str) -> None:
    """Seeds 0..4: density 2 +- 2.776 * 1.5811 / sqrt(5) = 2 +- 1.963; coverage .54 +- 2.776 * .05477 / sqrt(5)."""
    run = load(name, store=store)
    values = conditions.plane_values(run, run.contests[0], "coverage", "density").set_index("variant")
    conv = values.loc["conv"].to_numpy(float)
    assert conv == pytest.approx([0.54, 0.472, 0.608, 2.0, 0.037, 3.963], abs=1e-3)


def test_only_known_measures_are_followed(store: Store, name: str) -> None:
    points = series.measures(load(name, store=store))
    assert list(points["metric"].unique()) == ["density", "coverage"]  # in this order, and no mmd
    assert set(zip(points["step"], points["value"], strict=True)) == {(1, 0.25), (2, 0.5)}


def test_the_page_shows_stability_and_measures(store: Store, name: str, tmp_path: Path) -> None:
    text = write_report(store, name, tmp_path).read_text()
    for heading in ("Stability: what became of each seed", "Measures over time", "Density against coverage"):
        assert heading in text
    assert "answer" in text  # the ceiling, beside the marks


def test_a_run_without_fates_shows_none(store: Store, fill: Any, tmp_path: Path) -> None:
    run = fill()
    assert survival.lives(load(run, store=store)).empty
    text = write_report(store, run, tmp_path).read_text()
    assert "Stability" not in text
    assert "Measures over time" not in text
