"""Costs, what fits a limit, scaling and probes, on records whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CostRecord
from coordbench.harness.core.trial import CostJob
from coordbench.harness.store.store import Store
from coordbench.reports.data import choice
from coordbench.reports.data.run import load
from coordbench.reports.pages import layers
from coordbench.reports.pages.page import write_report
from tests.reports.conftest import ENVIRONMENT
from tests.reports.pages.test_page import read


def test_costs_have_ratios_with_intervals_and_say_what_is_missing(store: Store, fill: Any) -> None:
    run = load(fill(), store=store)
    costs = run.costs
    assert len(costs) == 8
    row = costs[costs["task"] == "beta"].set_index("variant").loc["geoconv"]
    assert row[["ratio_step", "ratio_step_low", "ratio_step_high"]].tolist() == pytest.approx([3, 2.7, 3.3])
    assert (row["noisy"], row["noisy_phases"]) == ("step: ratio drifted by 5%", ["step"])
    assert pd.isna(row["joules_per_sample"])
    assert row["no_joules"] == "no counter & no GPU"
    assert row["activation_bytes"] == 3 * 2048
    assert costs["ratio_step"].head(4).is_monotonic_increasing


@pytest.mark.parametrize(
    ("limits", "chosen"),
    [
        ({}, ["coordconv", "geoconv", "conv", "odd[text=<script>alert(1)</script>]"]),
        ({"parameters": 1999}, ["conv"]),
        ({"step": 0.006}, ["coordconv", "geoconv", "conv"]),
        ({"latency": 0.0009}, []),
        ({"flops": 5000, "memory": 2**20, "step": 0.0021}, ["conv"]),
    ],
)
def test_choose_ranks_what_fits(store: Store, fill: Any, limits: dict[str, float], chosen: list[str]) -> None:
    found = choice.choose(load(fill(), store=store), task="alpha", **limits)
    assert found["variant"].tolist() == chosen
    assert found["standing"].tolist()[:1] == ["best"] * bool(chosen)


def test_choose_says_how_sure_it_is(store: Store, fill: Any) -> None:
    sure, few, one = (choice.choose(load(fill(seeds=n), store=store), task="alpha[canvas=8]") for n in (6, 3, 1))
    assert sure["standing"].tolist() == ["best", "behind", "behind", "behind"]
    assert few["standing"].tolist() == ["best", "not clear", "not clear", "not clear"]
    assert one["standing"].tolist() == ["best", "one seed", "one seed", "one seed"]
    near = choice.choose(
        load(fill(["conv", "geoconv"], 6), store=store), task="beta"
    )  # .01 apart, with a margin of .05
    assert near["standing"].tolist() == ["best", "tied"]


def test_the_summary_goes_by_ratios_and_not_by_times_of_different_processes(store: Store, fill: Any) -> None:
    run = load(fill(), store=store)
    run.tables.costs["latency_step_seconds"] = 0.002
    [(_, bests), _] = choice.summary(run)
    assert [best.variant for best in bests if best is not None] == ["coordconv", "conv", "conv"]
    bare = load(fill(costs=False), store=store)
    assert choice.summary(bare)[0][1][1:] == [None, None]


def test_probes_are_one_row_per_variant(store: Store, fill: Any) -> None:
    table = load(fill(), store=store).probes.set_index("variant")
    assert table.loc["coordconv", ["shift_1", "shift_4"]].tolist() == pytest.approx([0.1, 0.4])
    row = table.loc["coordconv"]
    assert (row["with_borders"], row["at_shift"], row["field_within_1"]) == (0.4, 4, 0.75)
    assert (row["unseen_size"], row["at_size"]) == (0.5, 24)  # the worst of all sizes
    assert table.loc["odd[text=<script>alert(1)</script>]", "reason"] == "knows no <float64>"


def test_the_page_shows_costs_and_probes_escaped(store: Store, fill: Any, tmp_path: Path) -> None:
    text = " ".join(" ".join(read(write_report(store, fill(), tmp_path)).text).split())
    assert "FLOPs leave out, for every layer: relu. No energy: no counter & no GPU." in text
    assert "FLOPs leave out <b>" in text
    assert "knows no <float64>" in text
    assert "clear of geoconv" in text
    assert "yes, exactly 0 partly 0.20 no 0" in text  # conv follows shifts inside, and knows no place


def test_scaling_is_drawn_where_one_number_was_swept(store: Store, tmp_path: Path) -> None:
    sizes = (8, 16, 32, 64)
    run = _scaled(store, {f"copy[size={n}]": CostRecord("ok", "", 100, n * n, n**2.0, None, None) for n in sizes})
    found = [title for _, title, _ in layers.scaled(load(run, store=store))]
    of = "against size, copy, stack"
    assert found == [f"flops {of}", f"latency_forward_seconds {of}"]  # parameters do not grow
    text = " ".join(read(write_report(store, run, tmp_path)).text)
    assert text.count("conv: 2.00 [2.00, 2.00]") == 2
    assert "How costs grow" in text


def _scaled(store: Store, records: dict[str, CostRecord]) -> str:
    """A run of costs alone, with the options of their tasks."""
    facts = {"preset": {"name": "s", "baseline": "conv", "sweeps": []}, "tasks": {}, "variants": {}}
    run = store.start_run("s", "coordbench run s", ENVIRONMENT, facts)
    keys = [Identity(f"{run} {task}", {"trial": task}) for task in records]
    jobs = [CostJob(Cell.of(task, "stack", "conv")) for task in records]
    positions = store.add_items(run, [(job, key, {}) for job, key in zip(jobs, keys, strict=True)])
    for (task, record), key, position in zip(records.items(), keys, positions, strict=True):
        record.details = {"parameters": {"options": {"size": int(task[10:-1]), "batch": 4}}}
        record.environment = ENVIRONMENT
        store.add(run, position, key, record)
    store.finish_run(run)
    return run
