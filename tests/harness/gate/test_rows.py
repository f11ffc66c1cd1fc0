"""Verdicts, exit codes, costs, accuracy and output of the gate, without any process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.problem import Metric
from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.gate import output, pairs, trials
from coordbench.harness.gate.pairs import Measured, Pair
from coordbench.harness.gate.pull.markdown import markdown, save_markdown
from coordbench.harness.gate.rows import GateRow, Outcome, Report
from coordbench.harness.gate.settings import Settings, parse_settings
from coordbench.harness.gate.side.messages import Facts, PlannedTrial
from coordbench.harness.gate.stages import accuracy, costs, speed
from coordbench.harness.gate.stages.accuracy import Difference
from coordbench.harness.store.store import Store

FACTS = Facts(
    parameters=10, flops=1000, allocated_bytes=1000, buffers=0,
    output_shape=(1, 2, "torch.float32"), output_hash="a", gradient_hash="b",
)  # fmt: skip


def row(outcome: Outcome, **more: Any) -> GateRow:
    return GateRow("layer", "speed", "forward", outcome, **more)


@pytest.mark.parametrize(
    ("outcomes", "worst", "code"),
    [
        ([], "not measured", 4),
        (["listed"], "not measured", 4),
        (["pass", "improved", "listed"], "pass", 0),
        (["pass", "inconclusive"], "inconclusive", 3),
        (["inconclusive", "not measured"], "not measured", 4),
        (["not measured", "regressed", "inconclusive"], "regressed", 1),
        (["regressed", "not comparable"], "not comparable", 6),
    ],
)
def test_the_worst_outcome_decides(outcomes: list[Outcome], worst: str, code: int) -> None:
    report = Report("a", "b", [row(outcome) for outcome in outcomes])
    assert (report.outcome, report.code) == (worst, code)


@pytest.mark.parametrize(
    ("changes", "outcomes"),
    [
        ({}, {"parameters": "pass", "flops": "pass", "allocated_bytes": "pass"}),
        ({"parameters": 11}, {"parameters": "regressed", "flops": "pass", "allocated_bytes": "pass"}),
        ({"flops": 900}, {"parameters": "pass", "flops": "improved", "allocated_bytes": "pass"}),
        ({"allocated_bytes": 1010}, {"parameters": "pass", "flops": "pass", "allocated_bytes": "pass"}),
        ({"allocated_bytes": 1011}, {"parameters": "pass", "flops": "pass", "allocated_bytes": "regressed"}),
        ({"flops": None}, {"parameters": "pass", "flops": "listed", "allocated_bytes": "pass"}),
        ({"output_shape": (1, 3, "torch.float32")}, {"output shape": "not comparable"}),
        (
            {"output_hash": "c"},
            {"parameters": "pass", "flops": "pass", "allocated_bytes": "pass", "output": "pass"},
        ),
    ],
)
def test_costs_are_compared_exactly(changes: dict[str, Any], outcomes: dict[str, str]) -> None:
    rows = costs.compare("layer", FACTS, replace(FACTS, **changes), Settings())
    assert {row.quantity: row.outcome for row in rows} == outcomes


def test_a_layer_that_fails_on_one_side() -> None:
    assert costs.compare("layer", FACTS, "raised E", Settings())[0].outcome == "regressed"
    assert costs.compare("layer", "raised E", FACTS, Settings())[0].outcome == "not measured"


def differences(mean: float, spread: float = 0.01, count: int = 10) -> Difference:
    values = np.linspace(-1, 1, count)
    return Difference(mean + spread * values / values.std(ddof=1), 0.02)


@pytest.mark.parametrize(
    ("difference", "outcome"),
    [
        (differences(0.0), "pass"),
        (differences(-0.01), "pass"),
        (differences(-0.018), "inconclusive"),
        (differences(-0.05), "regressed"),
        (differences(0.05), "improved"),
        (differences(0.0, spread=0.1), "inconclusive"),
        (differences(-0.5, count=4), "inconclusive"),
        (Difference(np.zeros(5), 0.02), "pass"),
        (Difference(np.full(5, -0.1), 0.02), "regressed"),
    ],
)
def test_a_loss_counts_from_its_margin_on(difference: Difference, outcome: Outcome) -> None:
    assert accuracy.judge([difference]) == [outcome]


def test_the_interval_is_the_t_interval_by_hand() -> None:
    low, high = Difference(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 0.02).interval
    assert (low, high) == pytest.approx((3 - 1.963243, 3 + 1.963243), abs=1e-5)  # 2.776445 * sqrt(2.5 / 5)


def test_accuracy_outcomes_hold_for_all_comparisons_together() -> None:
    inside = differences(-0.028, spread=0.012)  # t(9) = -2.108: p = 0.032, so the interval reaches into the margin
    assert inside.interval[1] > -0.02
    assert accuracy.judge([inside]) == ["inconclusive"]
    borderline = differences(-0.0291, spread=0.012)  # t(9) = -2.398: p = 0.020
    assert borderline.interval[1] < -0.02
    assert accuracy.judge([borderline]) == ["regressed"]
    assert accuracy.judge([borderline, differences(0.0)])[0] == "inconclusive"


def test_each_budget_of_a_cell_is_compared_with_its_own(tmp_path: Path) -> None:
    task = {"suite": "s", "metrics": [vars(Metric("accuracy"))], "references": {}}
    facts = {"tasks": {"t": task}, "preset": {}, "variants": {}}
    planned = [
        Trial(Cell.of("t", "b", "conv", budget=Budget(steps)), seed) for steps in (100, 200) for seed in range(5)
    ]
    with Store(f"sqlite:///{tmp_path / 'results.sqlite'}") as store:
        runs = []
        for loss in (0.0, 0.1):
            runs.append(store.start_run("p", "coordbench gate", {}, facts))
            listed = [(trial, Identity(f"{trial} {loss}", {}), {}) for trial in planned]
            for place, (trial, who, _) in zip(store.add_items(runs[-1], listed), listed, strict=True):
                score = 0.9 * (trial.cell.budget.steps == 200) - loss + 0.001 * trial.seed
                store.add(runs[-1], place, who, Record("ok", scores={"test": {"accuracy": score}}))
        rows = accuracy.compare(store, (runs[0], runs[1]), Settings())
    assert [r.layer.partition(", ")[2] for r in rows] == ["steps 100", "steps 200"]
    assert [(r.outcome, len(r.pairs)) for r in rows] == [("regressed", 5)] * 2
    assert [r.change for r in rows] == pytest.approx([-0.1, -0.1])


def test_equal_code_with_other_seeds_does_not_regress() -> None:
    generator = np.random.default_rng(0)
    outcomes = [accuracy.judge([Difference(generator.normal(0, 0.05, 10), 0.02)])[0] for _ in range(1000)]
    assert outcomes.count("regressed") <= 10


def test_only_trials_that_depend_on_something_else_are_trained() -> None:
    planned = [PlannedTrial("t[canvas=8]", "b", v, "100 steps", s, v) for v in "xy" for s in (0, 1)]
    assert trials.changed(planned, planned) == ([], [])
    other = [replace(trial, digest="new") if trial.variant == "y" else trial for trial in planned]
    assert trials.changed(planned, other) == (["y"], ["t"])
    with pytest.raises(UsageError, match="preset 'ci' has 2 seeds; fewer than 5"):
        trials.check_seeds(planned, "ci")
    budgets = [replace(trial, conditions=n, digest=f"{trial.digest} {n}") for trial in planned for n in ("1", "2")]
    assert trials.changed(budgets, budgets) == ([], [])
    with pytest.raises(UsageError, match="preset 'ci' has 2 seeds"):
        trials.check_seeds(budgets, "ci")


def measured(change: float, disturbed: str = "") -> Measured:
    return Measured([Pair(change + 0.001 * i, 1.0, 1.0, disturbed) for i in range(16)])


def test_disturbed_pairs_make_an_outcome_inconclusive_never_regressed() -> None:
    limits = Settings().thresholds
    results = {
        ("slow", "forward"): measured(0.1),
        ("disturbed", "forward"): measured(0.1, "20% of the core's time was stolen"),
        ("even", "forward"): measured(0.0),
        ("died", "forward"): Measured(failure=("candidate", "was killed by SIGSEGV, twice")),
        ("unknown", "forward"): Measured(failure=("base", "was killed by SIGSEGV, twice")),
    }
    outcomes = speed.judge(results, limits)
    assert [outcomes[key] for key in results] == ["regressed", "inconclusive", "pass", "regressed", "not measured"]


def test_a_pair_is_the_median_of_its_turns_and_knows_what_disturbed_it() -> None:
    seconds = np.array([[1.0, 1.1]] * 9 + [[1.0, 50.0]])
    pair = pairs.summarize(seconds, np.zeros_like(seconds), stolen=0.0)
    assert (pair.ratio, pair.disturbed) == (pytest.approx(np.log(1.1)), "")
    assert "stolen" in pairs.summarize(seconds, np.zeros_like(seconds), stolen=0.2).disturbed
    assert "page faults" in pairs.summarize(seconds, np.full_like(seconds, 1e5), stolen=0.0).disturbed


def test_markdown_shows_foreign_text_as_text() -> None:
    report = Report("main", "work tree", [row("regressed", note="<b>|x|</b> [a](b) `c`", change=0.1)])
    line = markdown(report).splitlines()[-1]
    assert line.count("|") == 9  # the eight cells of the row
    assert "<b>" not in line
    assert "`" not in line


def test_markdown_escapes_once() -> None:
    report = Report("main", "work tree", [row("regressed", note="allocated_bytes & more")])
    assert "allocated&#95;bytes &#38; more" in markdown(report)


def test_what_regressed_stands_first_and_equal_layers_take_one_line() -> None:
    equal = [GateRow(f"layer{i}", "layer", "sources", "pass", note="identical") for i in range(18)]
    slow = row("regressed", base=1e-3, candidate=2.28e-3, change=1.277, low=1.2, high=1.33, margin=0.05, unit="s")
    report = Report("main", "work tree", [*equal, slow])
    first, second, folded, *_ = output.text(report).splitlines()
    assert first == "regressed      layer: forward  +127.7 % (+120.0 % .. +133.0 %)"
    assert second == "  1.000 ms -> 2.280 ms; up to 5 % is tolerated"
    assert folded.startswith("18 layers with identical sources: layer0, layer1")
    assert all(len(line) <= 80 for line in output.text(report).splitlines())
    comment = markdown(report)
    assert comment.index("forward") < comment.index("18 layers")
    assert comment.count("identical") == 1


def test_the_summary_of_a_job_is_appended_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    save_markdown(Report("a", "b", [row("pass")]), tmp_path / "deep" / "pull.md")
    assert summary.read_text() == "before\n" + (tmp_path / "deep" / "pull.md").read_text()


def test_a_full_disk_is_told_in_one_line() -> None:
    with pytest.raises(UsageError, match="/dev/full cannot be written: No space left on device"):
        output.save("x" * 10, Path("/dev/full"))


def test_json_has_no_word_for_infinity() -> None:
    report = Report("a", "b", [row("inconclusive", low=float("-inf"), high=float("nan"))])
    assert json.loads(output.as_json(report))["rows"][0]["low"] is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"pairs": [8]}, r"pairs=\[8\] must be two growing numbers"),
        ({"pairs": [16, 8]}, "must be two growing numbers"),
        ({"least": 0.05}, "least=0.05 must be below slower=0.05"),
        (
            {"phases": ["backward"]},
            r"phases=\['backward'\] is not valid; expected list\[one of forward, forward_backward\]",
        ),
        ({"margins": {"psnr": "x"}}, "margins="),
        ({"margins": {"psnr": -1.0}}, "psnr=-1.0 must not be negative"),
        ({"turns": 0}, "turns=0 must be positive"),
        ({"turns": True}, "turns=True is not valid"),
        ("yes", "must be a table"),
    ],
)
def test_settings_that_are_wrong_are_named(table: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_settings(table, "pyproject.toml")


def test_settings_keep_what_is_not_given() -> None:
    assert parse_settings({"slower": 0.1, "margins": {"psnr": 1}}, "").thresholds.least == 0.025


def test_progress_says_which_pair_comes_and_the_time_left() -> None:
    assert pairs._progress(0, range(8), 4, 0.0) == "pair 1 of 8: 4 timings"
    assert pairs._progress(3, range(8), 4, 30.0) == "pair 4 of 8: 4 timings, about 50 s left"
    assert pairs._progress(9, range(8, 16), 1, 5.0) == "pair 10 of 16: 1 timings, about 35 s left"
