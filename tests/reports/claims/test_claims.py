"""The ledger of claims: well formed, about things that exist, and decided only where that is earned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.record import CurvePoint, Record
from coordbench.harness.core.scores import At, Fate, State
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.trial import Trial
from coordbench.harness.statistics.paired import LEVEL, smallest_detectable_effect
from coordbench.harness.store.store import Store
from coordbench.reports.claims import claims, exact, ledger, reading
from coordbench.reports.claims.arms import check_arms, presets_of
from coordbench.reports.claims.claims import Side
from coordbench.reports.claims.floors import refusal
from coordbench.reports.claims.summary import Summary
from coordbench.reports.data.facts import MetricFacts
from coordbench.reports.data.run import Run, load
from coordbench.reports.data.stored import COSTS
from coordbench.reports.pages.findings import findings
from coordbench.reports.text import number
from tests.reports.conftest import outcome

SIDES = {"left": Side("coordconv", "net"), "right": Side("conv", "net")}
WRITTEN = """
source = "Somebody 2020"

[[claim]]
id = "one"
sentence = "t"
task = "alpha"
left = { variant = "a" }
right = { variant = "b" }
relation = ">"
value = 0
differs = "All of it."
"""


ENTRY = WRITTEN.partition("\n\n")[2]


def about(**changes: Any) -> claims.Claim:
    """A claim that coordconv leads conv by more than .5 on the task alpha."""
    claim = claims.Claim("c", "coordconv leads", relation=">", value=0.5, task="alpha", **SIDES)
    return replace(claim, **changes)


def filled(store: Store, fill: Any, seeds: int = 5, record: Callable[[Trial], Record | None] = outcome) -> Run:
    return load(fill(["conv", "coordconv"], seeds, ["alpha[canvas=8]"], record), store=store)


@pytest.mark.parametrize(
    ("relation", "value", "verdict"), [(">", 0.5, "holds"), ("<", 0.5, "fails"), (">", 0.6, "open")]
)
def test_claims_hold_fail_or_stay_open(store: Store, fill: Any, relation: Any, value: float, verdict: str) -> None:
    findings = ledger.ledger(filled(store, fill, 6), [about(relation=relation, value=value), about(task="gamma")])
    assert findings[0].measured == pytest.approx(0.6, abs=0.02)
    assert [f.verdict for f in findings] == [verdict, "not run"]


@pytest.mark.parametrize(("times", "verdict"), [(0.25, "holds"), (0.99, "open"), (4.0, "fails")])
def test_small_errors_are_compared_by_their_ratio(store: Store, fill: Any, times: float, verdict: str) -> None:
    """Both lie far within a margin of .02; a quarter of an error is 6 dB less all the same, a hundredth less a tie."""

    def record(trial: Trial) -> Record:
        error = 0.004 * (1 + 0.01 * trial.seed) * (times if trial.cell.label == "coordconv" else 1)
        scores = {split: {"accuracy": error} for split in ("test", "half", "validation")}
        return replace(outcome(trial), scores=scores)

    run = filled(store, fill, 6, record)
    (finding,) = ledger.ledger(run, [about(measure="decibels", relation="<", value=0)])
    assert finding.measured == pytest.approx(10 * np.log10(times))
    assert finding.verdict == verdict
    assert finding.reason == ("leads by little: within a margin of 0.2" if times == 0.99 else "")
    assert "within a margin of 0.02" in ledger.ledger(run, [about(relation="<", value=0)])[0].reason


@pytest.mark.parametrize(("parts", "verdict"), [((2.9, 3.0, 3.1), "holds"), ((1.0, 2.0, 6.0), "open")])
def test_a_lead_must_hold_over_the_scenes_of_a_test_too(store: Store, fill: Any, parts: Any, verdict: str) -> None:
    """The same lead at every seed: where scenes differ as much as it is large, others might turn it round."""

    def record(trial: Trial) -> Record:
        shown = parts if trial.cell.label == "coordconv" else (0.0, 0.0, 0.0)
        by_scene = {At("accuracy", "image", f"scene {i}"): part + 0.1 * trial.seed for i, part in enumerate(shown)}
        return Record("ok", scores={"test": {"accuracy": sum(shown) / 3 + 0.1 * trial.seed} | by_scene}, steps=5)

    (finding,) = ledger.ledger(filled(store, fill, 6, record), [about(value=0)])
    assert finding.verdict == verdict
    assert "over seeds and 3 scenes: 3 [" in finding.here
    assert finding.limit == "scenes"  # all seeds agree
    low, high = map(float, finding.here.rpartition("[")[2].rstrip("]").split(", "))
    assert (finding.low, finding.high) == pytest.approx((low, high), rel=0.01)


def test_where_seeds_differ_and_scenes_hardly_do_more_scenes_would_not_decide(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record:
        lead = (trial.seed - 2.0) * (trial.cell.label == "coordconv")
        by_scene = {At("accuracy", "image", f"scene {i}"): lead + 0.01 * i * (lead != 0) for i in range(3)}
        return Record("ok", scores={"test": {"accuracy": lead} | by_scene}, steps=5)

    (finding,) = ledger.ledger(filled(store, fill, 6, record), [about(value=0)])
    assert (finding.verdict, finding.limit) == ("open", "")


def test_ways_in_which_a_claim_was_asked_before_are_paid_for_wherever_it_is_judged(store: Store, fill: Any) -> None:
    """By the runner after a look and by a page as by the ledger of all runs."""
    run = filled(store, fill, 6)
    once, thrice = (ledger.drafts(run, about(value=0, earlier_ways=ways))[-1] for ways in (0, 2))
    assert once.p is not None
    assert (thrice.p, thrice.ways) == (pytest.approx(3 * once.p), 3)


def test_claims_of_a_family_that_a_run_does_not_test_take_their_share(store: Store, fill: Any) -> None:
    """A run with a secondary claim has no more of the level than all runs of its family together."""
    run = filled(store, fill, 6)
    first = about(value=0)
    later = replace(first, id="later", rank="secondary", after="c", value=0.3)
    absent = replace(later, id="absent", task="gamma")
    verdicts = []
    for family in ([first, later], [first, later, absent], [replace(first, task="gamma"), later, absent]):
        findings = ledger.ledger(run, family)
        verdicts.append([finding.verdict for finding in findings])
    assert verdicts == [["holds", "holds"], ["holds", "holds", "not run"], ["not run", "open", "not run"]]


def test_a_finding_names_what_both_sides_trained(store: Store, fill: Any) -> None:
    sides = {
        "left": Side("conv", "net", options={"canvas": "8"}),
        "right": Side("conv", "net", options={"canvas": "9"}),
    }
    run = load(fill(["conv"], 6, ["alpha[canvas=8]", "alpha[canvas=9]"]), store=store)
    [finding] = ledger.ledger(run, [about(value=-1, **sides)])
    assert finding.here.startswith("alpha[canvas=8] against alpha[canvas=9], net[depth=2], 5 steps")
    assert findings(run, [finding])[-1].startswith("Each contest holds one layer")


@pytest.mark.parametrize(("apart", "verdict"), [(0.001, "fails"), (0.06, "open")])
def test_a_lead_within_the_margin_is_no_lead(store: Store, fill: Any, apart: float, verdict: str) -> None:
    def record(trial: Trial) -> Record | None:
        base = 0.5 + 0.01 * trial.seed + apart * (trial.cell.label == "coordconv") * (1 - 0.5 * trial.seed)
        return replace(outcome(trial), scores={"test": {"accuracy": base}})

    findings = ledger.ledger(filled(store, fill, 6, record), [about(value=0), about(value=0, relation="<")])
    assert [f.verdict for f in findings] == [verdict] * 2
    assert all(f.reason.startswith("tied: within a margin of 0.02") == (verdict == "fails") for f in findings)
    assert "tied" not in ledger.ledger(filled(store, fill, 6, record), [about(value=0.1)])[0].reason


def test_a_sure_lead_within_the_margin_holds_by_little(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        return replace(outcome(trial), scores={"test": {"accuracy": 0.5 + 0.01 * (trial.cell.label == "coordconv")}})

    run = filled(store, fill, 12, record)
    findings = ledger.ledger(run, [about(value=0), about(value=0, relation="<")])
    assert [f.verdict for f in findings] == ["holds", "fails"]
    assert {f.reason for f in findings} == {"by little: within a margin of 0.02"}


def test_a_small_lead_that_is_not_sure_stays_open_and_the_contrary_fails(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        return replace(outcome(trial), scores={"test": {"accuracy": 0.5 + 0.002 * (trial.cell.label == "coordconv")}})

    findings = ledger.ledger(filled(store, fill, 12, record), [about(value=0), about(value=0, relation="<")])
    assert [(f.verdict, f.reason) for f in findings] == [
        ("open", "leads by little: within a margin of 0.02"),
        ("fails", "tied: within a margin of 0.02"),
    ]


def test_an_open_claim_tells_what_its_seeds_could_detect(store: Store, fill: Any) -> None:
    """A run without planned looks has had its one look: nobody is invited to add seeds until it decides."""

    def record(trial: Trial) -> Record | None:
        lead = (trial.cell.label == "coordconv") * 0.1 * (1 + (-1) ** trial.seed)
        return replace(outcome(trial), scores={"test": {"accuracy": 0.5 + lead}})

    [few] = ledger.ledger(filled(store, fill, 6, record), [about(value=0)])
    detectable = smallest_detectable_effect(0.1 * np.sqrt(6 / 5), 6, LEVEL)  # differences of .2 and 0 in turns
    assert few.measured < detectable
    assert (few.verdict, few.reason) == (
        "open",
        f"these seeds could only detect a change of {number(detectable)} or more",
    )
    [enough] = ledger.ledger(filled(store, fill, 8, record), [about(value=0)])
    assert enough.verdict == "holds"


@pytest.mark.parametrize(("collapsed", "verdict"), [("", "open"), ("conv", "holds"), ("coordconv", "fails")])
def test_survival_is_decided_by_collapses_alone(store: Store, fill: Any, collapsed: str, verdict: str) -> None:
    def record(trial: Trial) -> Record | None:
        state = State.COLLAPSED if trial.cell.label == collapsed else State.CENSORED
        return replace(outcome(trial), scores={"test": {"accuracy": 0.5}}, fate=Fate(state, 1.0, 10.0 + trial.seed))

    [finding] = ledger.ledger(filled(store, fill, 12, record), [about(measure="survival", value=0)])
    none = (  # 0.05 = (1 - 0.22) ** 12
        "no trial collapsed: of 12 trials of conv none, so at most 22% of them do (95 %); "
        "a game that collapses would decide"
    )
    assert (finding.verdict, finding.reason) == (verdict, "" if collapsed else none)


def test_fewer_than_five_pairs_decide_nothing_but_parameters(store: Store, fill: Any) -> None:
    exact = about(measure="ratio", metric="parameters", value=1.5)
    slow = about(measure="ratio", metric="latency_step_seconds", value=1.5)
    findings = ledger.ledger(filled(store, fill, 4), [about(), exact, slow])
    assert [f.verdict for f in findings] == ["open", "holds", "open"]
    assert findings[0].reason == "4 paired seeds; 5 are needed"
    assert findings[1].measured == 2
    assert "one machine" in findings[2].reason


def test_times_are_shown_with_the_intervals_of_both_sides(store: Store, fill: Any) -> None:
    quick = about(kind="figure", measure="ratio", metric="latency_step_seconds", value=1.0)
    [finding] = ledger.ledger(filled(store, fill, 5), [quick])
    assert (finding.verdict, finding.measured) == ("measured", 2)
    assert (finding.low, finding.high) == (pytest.approx(1.8 / 1.1), pytest.approx(2.2 / 0.9))


@pytest.mark.parametrize(
    ("late", "measured", "reason"), [(4, 4, ""), (9, 5, "at least: most of the other side never reached 0.5")]
)
def test_steps_until_a_score_is_reached(store: Store, fill: Any, late: int, measured: float, reason: str) -> None:
    def record(trial: Trial) -> Record | None:
        reached = 1 if trial.cell.label == "coordconv" else late
        curves = [CurvePoint(step, 0.1, "validation/accuracy", float(step >= reached)) for step in range(1, 6)]
        return replace(outcome(trial), curves=curves)

    faster = about(kind="figure", measure="speedup", metric="accuracy", threshold=0.5, value=150.0)
    [finding] = ledger.ledger(filled(store, fill, 5, record), [faster])
    assert (finding.verdict, finding.measured, finding.reason) == ("measured", measured, reason)


def test_a_failed_trial_is_the_worst_of_its_contest(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        dead = trial.cell.label == "coordconv" and trial.seed == 0
        return Record("crashed", "killed") if dead else outcome(trial)

    run = filled(store, fill, 6, record)
    primary, other = ledger.ledger(run, [about(value=0), about(value=0, metric="accuracy@m=1")])
    assert primary.seeds == other.seeds == 6
    assert primary.measured == pytest.approx(0.6 * 5 / 6 - 0.3 / 6, abs=0.02)  # 0 is the floor of this contest
    assert other.measured == pytest.approx(0.6 * 5 / 6, abs=0.03)  # the worst of that metric is that of conv
    judged = run.verdicts.set_index("variant")
    assert judged.loc["coordconv", "mean"] == pytest.approx(primary.measured)


@pytest.mark.parametrize(
    ("half", "reason"),
    [(0.6, ""), (0.0, "still moving: tied at half of the steps, better at the end"), (None, "had not converged")],
)
def test_a_verdict_that_differs_at_half_of_the_steps_is_still_moving(
    store: Store, fill: Any, half: float | None, reason: str
) -> None:
    """Leads at half and at the end, on validation; losses that fall are asked only where no half-time score is."""

    def record(trial: Trial) -> Record | None:
        lead = trial.cell.label == "coordconv"
        jitter = 0.001 * trial.seed * (1 + lead)
        scores = {
            "test": {"accuracy": 0.3 + 0.6 * lead + jitter},
            "validation": {"accuracy": 0.3 + 0.6 * lead + jitter},
        }
        if half is not None:
            scores["half"] = {"accuracy": 0.3 + half * lead + jitter}
        return replace(outcome(trial), scores=scores, converged=False)

    [finding] = ledger.ledger(filled(store, fill, 6, record), [about(value=0)])
    assert finding.verdict == ("open" if reason else "holds")
    assert reason in finding.reason


@pytest.mark.parametrize(
    ("half", "reason"), [(0.6, ""), (0.0, "still moving: tied at half of the steps, better at the end")]
)
def test_another_metric_than_the_primary_one_may_be_still_moving_too(
    store: Store, fill: Any, half: float, reason: str
) -> None:
    """Its scores at half-time are read off the curves."""

    def record(trial: Trial) -> Record | None:
        lead = trial.cell.label == "coordconv"
        jitter = 0.001 * trial.seed * (1 + lead)
        scores = {"accuracy": 0.3 + 0.6 * lead + jitter, "accuracy@m=1": 0.3 + 0.6 * lead + jitter}
        point = CurvePoint(trial.cell.budget.steps // 2, 0.1, "validation/accuracy@m=1", 0.3 + half * lead + jitter)
        return replace(outcome(trial), scores={"test": scores, "validation": scores}, curves=[point])

    [finding] = ledger.ledger(filled(store, fill, 6, record), [about(value=0, metric="accuracy@m=1")])
    assert finding.verdict == ("open" if reason else "holds")
    assert reason in finding.reason


@pytest.mark.parametrize(
    ("least", "reason"), [(0.25, ""), (0.35, "conv reaches 0.298 of accuracy@m=1; 0.350 is needed of both sides")]
)
def test_an_arm_that_cannot_do_the_task_decides_nothing(store: Store, fill: Any, least: float, reason: str) -> None:
    """A small bias of a layer that reads no letter anywhere is no merit."""
    able = about(value=0, requires={"accuracy@m=1": least})
    [finding] = ledger.ledger(filled(store, fill, 6), [able])
    assert (finding.verdict, finding.reason) == ("open" if reason else "holds", reason)


@pytest.mark.parametrize(
    ("bound", "reason"), [("guess", ""), ("answer", "the better side reaches 0.896 of accuracy, answer 1")]
)
def test_networks_that_a_simple_solver_beats_decide_nothing(store: Store, fill: Any, bound: str, reason: str) -> None:
    [finding] = ledger.ledger(filled(store, fill, 6), [about(value=0, beyond=bound)])
    assert (finding.verdict, finding.reason) == ("open" if reason else "holds", reason)


@pytest.mark.parametrize(
    ("metric", "rate", "reason"),
    [
        ("accuracy@m=1", 0.01, "trained at rates 0.01 and 0.003, chosen by accuracy: one rate for both would decide"),
        ("accuracy@m=1", 0.003, ""),
        ("", 0.01, ""),  # each layer at the rate that serves this very score best
    ],
)
def test_what_no_rate_was_chosen_by_is_compared_at_one_rate(
    store: Store, fill: Any, metric: str, rate: float, reason: str
) -> None:
    run = filled(store, fill, 6)
    arm = {"task": "alpha[canvas=8]", "backbone": "net[depth=2]", "chosen": True, "at_edge": False}
    tuning = pd.DataFrame([arm | {"variant": "conv", "rate": 0.003}, arm | {"variant": "coordconv", "rate": rate}])
    tuned = replace(run, tables=replace(run.tables, tuning=tuning))
    [finding] = ledger.ledger(tuned, [about(value=0, metric=metric)])
    assert (finding.verdict, finding.reason) == ("open" if reason else "holds", reason)
    assert finding.stuck == bool(reason)


@pytest.mark.parametrize(("half", "stuck"), [(-0.05, False), (-0.6, True)])
def test_more_seeds_help_where_half_of_the_steps_left_it_open(
    store: Store, fill: Any, half: float, stuck: bool
) -> None:
    """They do not where it went from one verdict to another."""

    def record(trial: Trial) -> Record | None:
        lead = trial.cell.label == "coordconv"
        noise = 0.1 * (trial.seed % 2) * lead
        scores = {split: {"accuracy": 0.3 + 0.6 * lead + 0.001 * trial.seed} for split in ("test", "validation")}
        return replace(outcome(trial), scores=scores | {"half": {"accuracy": 0.3 + half * lead + noise}})

    [finding] = ledger.ledger(filled(store, fill, 6, record), [about(value=0)])
    assert finding.reason.startswith(f"still moving: {'worse' if stuck else 'open'} at half of the steps")
    assert finding.stuck == stuck


def test_validation_data_of_two_tasks_say_nothing_of_what_moves(store: Store, fill: Any) -> None:
    """Both read what they were trained on alike, at the end only; the test is of another split."""

    def record(trial: Trial) -> Record | None:
        there = "canvas=16" in str(trial.cell.task)
        jitter = 0.001 * trial.seed * (1 + there)
        scores = {"test": {"accuracy": 0.9 - 0.6 * there}, "half": {"accuracy": 0.9 - 0.6 * there}, "validation": {}}
        scores["validation"]["accuracy"] = 0.9
        moved = {split: {"accuracy": value["accuracy"] + jitter} for split, value in scores.items()}
        return replace(outcome(trial), scores=moved)

    run = load(fill(["conv"], 6, ["alpha[canvas=8]", "alpha[canvas=16]"], record), store=store)
    sides = {"left": Side("conv", "net", "", {"canvas": "8"}), "right": Side("conv", "net", "", {"canvas": "16"})}
    [finding] = ledger.ledger(run, [about(value=0, **sides)])
    assert (finding.verdict, finding.reason) == ("holds", "")


def test_what_has_not_converged_decides_nothing(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        return replace(outcome(trial), converged=trial.seed > 1 or trial.cell.label == "conv")

    finding = ledger.ledger(filled(store, fill, 6, record), [about()])[0]
    assert (finding.verdict, finding.reason) == (
        "open",
        "2 of 6 trials of coordconv had not converged; more steps may decide",
    )


def test_one_trial_in_six_that_seems_to_fall_voids_nothing(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        return replace(outcome(trial), converged=trial.seed != 0)

    assert ledger.ledger(filled(store, fill, 6, record), [about()])[0].verdict == "holds"


def test_a_figure_is_shown_beside_the_published_one_and_never_fails(store: Store, fill: Any) -> None:
    figures = [about(kind="figure", value=value, relation=relation) for value in (0.1, 5.0) for relation in "<>"]
    findings = ledger.ledger(filled(store, fill, 6), figures)
    assert {finding.verdict for finding in findings} == {"measured"}
    assert findings[0].measured == pytest.approx(0.6, abs=0.02)
    assert findings[0].low < findings[0].measured < findings[0].high


def test_a_threshold_inside_the_floor_is_refused_with_the_reason(store: Store, fill: Any) -> None:
    """The floor of alpha scores 0."""
    level = about(measure="level", left=Side("coordconv", "net"), right=None)
    speed = about(kind="figure", measure="speedup", threshold=-1.0)
    asked = [replace(level, value=0.0), replace(level, value=0.1), speed]
    inside, above, too_early = ledger.ledger(filled(store, fill, 6), asked)
    assert inside.verdict == too_early.verdict == "not run"
    floor = "the floor of 0 that guess reaches on alpha[canvas=8]"
    assert inside.reason == f"refused: its threshold of 0 lies inside {floor}"
    assert above.verdict == "holds"


def test_of_an_error_a_floor_lies_above_what_can_be_asked() -> None:
    level = about(measure="level", left=Side("coordconv", "net"), right=None)
    error = [MetricFacts("mse", "px", "lower")]
    assert "inside the floor of 1 that mean reaches" in refusal(replace(level, value=1.5), error, "beta", {"mean": 1.0})
    assert refusal(replace(level, value=0.5), error, "beta", {"mean": 1.0}) == ""


def test_figures_and_controls_are_in_no_count(store: Store, fill: Any) -> None:
    written = [about(), about(kind="figure"), about(kind="control"), about(relation="<"), about(task="gamma")]
    summary = Summary(ledger.ledger(filled(store, fill, 6), written))
    assert (len(summary.directions), summary.holds, summary.fails, len(summary.untested)) == (3, 1, 1, 1)


def test_a_secondary_claim_waits_for_its_primary_one(store: Store, fill: Any) -> None:
    second = about(id="second", rank="secondary", after="first")
    run = filled(store, fill, 6)
    assert [f.verdict for f in ledger.ledger(run, [about(id="first"), second])] == ["holds", "holds"]
    undecided = ledger.ledger(run, [about(id="first", value=0.6), second])
    assert [f.verdict for f in undecided] == ["open", "open"]
    assert undecided[1].reason == "looked at only once first is decided"
    assert ledger.ledger(run, [about(id="first", task="gamma"), second])[1].verdict == "open"


def test_families_are_adjusted_apart(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        lead = (trial.cell.label == "coordconv") * 0.1 * (1 + (-1) ** trial.seed)
        return replace(outcome(trial), scores={"test": {"accuracy": 0.5 + lead}})

    run = filled(store, fill, 8, record)
    alone = about(value=0)
    assert ledger.ledger(run, [alone])[0].verdict == "holds"
    assert ledger.ledger(run, [alone] * 20)[0].verdict == "open"
    others = [about(value=0, family="another")] * 20
    assert ledger.ledger(run, [alone, *others])[0].verdict == "holds"


def test_what_a_run_leaves_out_of_a_family_counts_as_tested(store: Store, fill: Any) -> None:
    """Two runs that test a part each decide no more than one that tests all."""

    def record(trial: Trial) -> Record | None:
        lead = (trial.cell.label == "coordconv") * 0.1 * (1 + (-1) ** trial.seed)
        return replace(outcome(trial), scores={"test": {"accuracy": 0.5 + lead}})

    run, alone = filled(store, fill, 8, record), about(value=0)
    absent = [about(id=f"absent {i}", task="gamma") for i in range(19)]
    assert ledger.ledger(run, [alone])[0].verdict == "holds"
    assert ledger.ledger(run, [alone, *absent])[0].verdict == "open"
    assert ledger.ledger(run, [alone, *(replace(each, rank="secondary", after="first") for each in absent)])[
        0
    ].verdict == ("holds")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('relation = ">"', 'relation = ">="', "relation='>=' is not valid; expected one of >, <, ="),
        ('relation = ">"', "", "missing keys relation"),
        ("value = 0", 'value = "0"', "value='0' is not valid; expected float"),
        ("value = 0", "value = 0\nmeasure = 3", "measure=3 is not valid"),
        ("value = 0", "value = 0\ncolor = 3", "unknown key 'color'"),
        ("value = 0", 'value = 0\nfamily = "mine"', "unknown key 'family'"),
        ("value = 0", 'value = 0\nmeasure = "speedup"', "needs a threshold above 0"),
        ("value = 0", 'value = 0\nkind = "trivial"', "expected one of exact, direction, figure, control"),
        ("value = 0", 'value = 0\npublished = "100 %"', "no provenance; valid: seed, paper, blog, code"),
        (
            "value = 0",
            'value = 0\npublished = "100 %"\nprovenance = "hearsay"',
            "provenance='hearsay' is not valid",
        ),
        ("value = 0", 'value = 0\nkind = "figure"', "no provenance"),
        ("value = 0", 'value = 0\nkind = "exact"', "a, b needs `input` and `output`"),
        ('differs = "All of it."', "", "say what is different here"),
        ('task = "alpha"', "", "needs a `task`"),
        ('right = { variant = "b" }', "", "there is no `right`"),
        ('right = { variant = "b" }', 'right = { variant = "b", colour = 1 }', "right: unknown key 'colour'"),
        ('{ variant = "b" }', "{}", "right: missing keys variant"),
        ('{ variant = "b" }', '"b"', "right is no table"),
    ],
)
def test_malformed_claims_are_refused(tmp_path: Path, before: str, after: str, message: str) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder, text in ((good, WRITTEN), (bad, WRITTEN.replace(before, after))):
        folder.mkdir()
        (folder / "paper.toml").write_text(text)
    assert [(claim.id, claim.family) for claim in reading.read_claims(good)] == [("one", "paper")]
    with pytest.raises(UsageError, match=r"claim 'one' in paper\.toml") as raised:
        reading.read_claims(bad)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WRITTEN.replace("value = 0", 'value = 0\nkind = "control"'), "no primary claim"),
        (WRITTEN.replace('source = "Somebody 2020"', ""), "needs source"),
        (WRITTEN + WRITTEN.partition("\n\n")[2], "two claims have the same id: one"),
        (
            WRITTEN + WRITTEN.partition("\n\n")[2].replace('"one"', '"two"\nrank = "secondary"'),
            "is no primary claim; valid: one",
        ),
        ("source = ", "cannot be read"),
    ],
)
def test_malformed_families_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "paper.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        reading.read_claims(tmp_path)


CLAIMS = reading.read_claims()
TRAINED = [claim for claim in CLAIMS if claim.kind != "exact"]


def test_each_paper_is_a_family_with_a_few_primary_claims() -> None:
    assert {claim.family for claim in CLAIMS} >= {"coordconv", "geoconv", "coordgate", "translation"}
    for family in {claim.family for claim in CLAIMS}:
        primary = [c for c in CLAIMS if c.family == family and c.kind == "direction" and c.rank == "primary"]
        assert 1 <= len(primary) <= 10


@pytest.mark.parametrize("claim", [c for c in CLAIMS if c.kind == "exact"], ids=lambda claim: claim.id)
def test_exact_claims_are_decided_by_counting(claim: claims.Claim) -> None:
    assert exact.counted(claim).verdict == "holds"


def test_an_exact_claim_that_is_wrong_fails() -> None:
    (right,) = (claim for claim in CLAIMS if claim.id == "geoconv-saves-parameters")
    assert exact.counted(right).measured == 2 * 27 * 32
    assert exact.counted(replace(right, value=27 * 32)).verdict == "fails"  # as if n were 2
    (small,) = (claim for claim in CLAIMS if claim.id == "geoconv-small-kernel")
    two = [replace(side, kernel_size=2) for side in small.sides]
    assert exact.counted(replace(small, left=two[0], right=two[1])).verdict == "fails"  # 2x2 is large enough


@pytest.mark.parametrize("claim", TRAINED, ids=lambda claim: claim.id)
def test_claims_are_about_what_exists(claim: claims.Claim) -> None:
    for side in claim.sides:
        options = {**claim.options, **side.options}
        task = registry.select("task", selector(side.task or claim.task, options))
        metrics = {metric.name for metric in task.entry.metrics}
        assert set(options) <= {option.name for option in task.entry.options}
        assert claim.metric in {"", *metrics, *COSTS}
        assert claim.requires.keys() <= metrics
        assert claim.beyond in {"", *(entry.name for entry in registry.references(task.label))}
        assert registry.select("variant", side.variant).label == side.variant  # as records spell it
        if side.backbone:
            parsed = Selector.parse(side.backbone)
            spelled = dict(parsed.options)
            backbone = registry.select("backbone", selector(parsed.name, spelled))
            assert set(spelled) <= {option.name for option in backbone.entry.options}
            assert backbone.entry.name in task.entry.backbones


def selector(task: str, options: dict[str, str]) -> str:
    """A name with its options; "" stands for a default, which is not spelled out."""
    spelled = ", ".join(f"{name}={value}" for name, value in options.items() if value != "")
    return f"{task}[{spelled}]" if spelled else task


@pytest.mark.parametrize("claim", TRAINED, ids=lambda claim: claim.id)
def test_a_preset_plans_all_arms_of_each(claim: claims.Claim) -> None:
    assert presets_of(claim)


def test_a_preset_with_looks_stands_before_smaller_ones_that_decide_nothing() -> None:
    claim = next(claim for claim in TRAINED if claim.id == "center-conv")
    names = presets_of(claim)
    assert names[0] == "geometry"
    assert "ci" in names[1:]


def test_a_claim_that_no_preset_tests_is_refused() -> None:
    claim = replace(TRAINED[0], id="orphan", left=replace(TRAINED[0].left, variant="coordconv[radius=true, shift=0.3]"))
    with pytest.raises(UsageError, match="claim 'orphan': no preset plans"):
        check_arms([claim])


def test_a_page_without_claims_counts_none(store: Store, fill: Any) -> None:
    """The tasks here are nobody's, so no exact claim is counted, which would bring torch; the ledger has them all."""
    run = load(fill(["conv"], 1), store=store)
    kinds = {finding.claim.kind for finding in ledger.of_page(run)}
    assert "exact" not in kinds
    assert kinds | {"exact"} == {claim.kind for claim in reading.read_claims()}
