"""The course of a metric over two stored runs."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from coordbench.harness.analysis import history, shifts
from coordbench.harness.analysis.machines import Machine
from coordbench.harness.cli import main as cli
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.problem import Metric
from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.store.store import Store
from coordbench.reports.pages.history import write_history

METRIC = {**vars(Metric("accuracy")), "name": "accuracy"}
FACTS = {"tasks": {"t[n=1]": {"suite": "s", "metrics": [METRIC], "references": {}}}, "preset": {}, "variants": {}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two runs at two commits: accuracy .5 and .7 over seeds, then 1 and 1; 100 parameters, then 120."""
    opened = Store(f"sqlite:///{tmp_path / 'results.sqlite'}")
    for commit, scores, parameters in (("aaaa", (0.5, 0.7), 100), ("bbbb", (1.0, 1.0), 120)):
        run = opened.start_run("p", "coordbench run", {"revision": {"commit": commit}}, FACTS)
        trials = [Trial(Cell.of("t[n=1]", "b", "conv", budget=Budget(1)), seed) for seed in range(len(scores))]
        jobs = [*trials, CostJob(Cell.of("t[n=1]", "b", "conv"))]
        identities = [Identity(f"{job}", {"commit": commit}) for job in jobs]
        positions = opened.add_items(run, [(job, who, {}) for job, who in zip(jobs, identities, strict=True)])
        records = [Record("ok", scores={"test": {"accuracy": score}}) for score in scores]
        for position, who, record in zip(
            positions, identities, [*records, CostRecord("ok", parameters=parameters)], strict=True
        ):
            opened.add(run, position, who, record)
        opened.finish_run(run)
    return opened


def test_scores_by_commit_are_means_with_intervals(store: Store) -> None:
    found = history.history(store, "accuracy")
    assert found[["commit", "task", "label", "count"]].to_numpy().tolist() == [
        ["aaaa", "t[n=1]", "conv", 2],
        ["bbbb", "t[n=1]", "conv", 2],
    ]
    assert found["mean"].tolist() == pytest.approx([0.6, 1.0])
    assert found["high"][0] - found["mean"][0] == pytest.approx(12.7062 * 0.1, rel=1e-4)  # t(1) at 97.5 %, error .1


def test_costs_have_a_course_too(store: Store) -> None:
    assert history.history(store, "parameters")["mean"].tolist() == [100, 120]


def test_budgets_are_told_apart_and_a_run_without_costs_has_none(tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path / 'other.sqlite'}") as store:
        run = store.start_run("p", "coordbench run", {"revision": {"commit": "aaaa"}}, FACTS)
        cells = [Cell.of("t[n=1]", "b", "conv", budget=Budget(steps)) for steps in (1, 2)]
        trials = [Trial(cell, seed) for cell in cells for seed in range(2)]
        listed = [(trial, Identity(f"{trial}", {}), {}) for trial in trials]
        for position, (trial, who, _) in zip(store.add_items(run, listed), listed, strict=True):
            store.add(run, position, who, Record("ok", scores={"test": {"accuracy": float(trial.cell.budget.steps)}}))
        found = history.history(store, "accuracy")
        assert found[["steps_planned", "count", "mean"]].to_numpy().tolist() == [[1, 2, 1], [2, 2, 2]]
        assert "steps_planned" in history.show(found)
        page = write_history(found, "accuracy", tmp_path).read_text()
        assert "steps 1" in page
        assert "steps 2" in page
        assert history.history(store, "flops", tasks=["t"]).empty


def test_an_unknown_metric_lists_those_that_exist(store: Store) -> None:
    with pytest.raises(UsageError, match="no run holds a metric 'psnr'; valid: accuracy, flops,"):
        history.history(store, "psnr")


def test_the_page_draws_one_point_per_run_and_escapes_names(store: Store, tmp_path: Path) -> None:
    found = history.history(store, "accuracy").assign(label="<script>")
    page = write_history(found, "accuracy", tmp_path).read_text()
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    (plot,) = data["plots"]
    assert plot["lines"]["<script>"]["values"][0] == pytest.approx(found["mean"].tolist(), rel=1e-5)
    assert len(data["runs"]) == 2
    assert page.count('<td class="text">&lt;script&gt;</td>') == 2


def test_the_command_prints_the_course(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["history", "accuracy", "--store", store.url, "--out", str(tmp_path)]) == ExitCode.OK
    assert capsys.readouterr().out.count("conv") == 2
    assert cli.run(["history", "accuracy", "--tasks", "other", "--store", store.url]) == ExitCode.NOTHING_MEASURED


PROCESSORS = ["fast"] * 12 + ["slow"] * 4 + ["fast"] * 6
"""Of 22 runs: six at the end are slower by 6 % on the same machine, with another torch; four ran elsewhere."""


@pytest.fixture(scope="module")
def courses(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, list[str]]:
    """The course of a latency over runs on two machines, and the runs."""
    opened = Store(f"sqlite:///{tmp_path_factory.mktemp('courses') / 'results.sqlite'}")
    runs = []
    for number, processor in enumerate(PROCESSORS):
        torch = "2.13" if number >= 16 else "2.12"
        level = 1.0 if processor == "slow" else 0.106 if number >= 16 else 0.1
        noise = 1 + 0.004 * ((number * 7) % 5 - 2)
        runs.append(opened.start_run("p", "coordbench run", {"revision": {"commit": f"{number:04x}"}}, FACTS))
        job = CostJob(Cell.of("t[n=1]", "b", "conv"))
        who = Identity(f"{number}", {})
        (position,) = opened.add_items(runs[-1], [(job, who, {})])
        facts = {"processor": processor, "cores": 2, "versions": {"torch": torch}}
        record = CostRecord("ok", latency_forward_seconds=level * noise, environment=facts)
        opened.add(runs[-1], position, who, record)
        opened.finish_run(runs[-1])
    return history.history(opened, "latency_forward_seconds"), runs


def test_a_change_is_seen_on_its_machine_and_never_between_machines(courses: tuple[pd.DataFrame, list[str]]) -> None:
    points, runs = courses
    (changed,) = shifts.shifted(points).to_dict("records")
    assert changed["change"] == pytest.approx(0.06, abs=0.01)
    assert (changed["run"], changed["since"]) == (runs[16], runs[11])
    assert changed["machine"] == "fast, 2 cores"
    assert changed["surroundings"] == "versions.torch: 2.12 -> 2.13"
    assert "changed +6." in history.show(points)
    assert "surroundings: versions.torch: 2.12 -> 2.13" in history.show(points)


def test_a_record_that_is_used_again_is_no_new_measurement(tmp_path: Path) -> None:
    """Six runs that share a record, then one of another: two measurements, of which nothing follows."""
    points = pd.DataFrame(
        {
            "cell": ["c"] * 12, "machine": ["m"] * 12, "facts": [Machine("m")] * 12,
            "run": [f"r{i}" for i in range(12)], "mean": [1.0] * 6 + [2.0] * 6,
            "records": [(1,)] * 6 + [(2,)] * 6,
        }
    )  # fmt: skip
    assert shifts.shifted(shifts.with_shifts(points, "latency_forward_seconds")).empty
    assert shifts.shifted(shifts.with_shifts(points, "parameters"))["change"].tolist() == [1.0]


def test_the_page_marks_changes_and_surroundings(courses: tuple[pd.DataFrame, list[str]], tmp_path: Path) -> None:
    points, runs = courses
    page = write_history(points, "latency_forward_seconds", tmp_path).read_text()
    (plot,) = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["plots"]
    assert set(plot["lines"]) == {"conv, fast, 2 cores", "conv, slow, 2 cores"}
    assert [16, "surroundings", "versions.torch: 2.12 -> 2.13"] in plot["marks"]
    assert [mark[:2] for mark in plot["marks"]].count([16, "step"]) == 1
    assert "1 change of level" in page
    assert runs[11] in page
