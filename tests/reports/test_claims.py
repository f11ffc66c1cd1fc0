"""The ledger of claims: well formed, about things that exist, and decided only where that is earned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.record import Record
from coordbench.harness.core.scores import Fate, State
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.trial import Trial
from coordbench.harness.plan import planning as plan
from coordbench.harness.store.store import Store
from coordbench.reports.claims import claims, ledger
from coordbench.reports.data import tables
from coordbench.reports.data.stored import COSTS, Run
from tests.reports.conftest import outcome

SIDES = {"left": {"variant": "coordconv", "backbone": "net"}, "right": {"variant": "conv", "backbone": "net"}}
WRITTEN = """
[[claim]]
id = "one"
source = "s"
sentence = "t"
task = "alpha"
left = { variant = "a" }
right = { variant = "b" }
relation = ">"
value = 0
"""


def about(**changes: Any) -> claims.Claim:
    """A claim that coordconv leads conv by more than .5 on the task alpha."""
    return replace(claims.Claim("c", "s", "coordconv leads", "alpha", relation=">", value=0.5, **SIDES), **changes)


def made(store: Store, fill: Any, seeds: int = 5, record: Callable[[Trial], Record | None] = outcome) -> Run:
    return tables.load(fill(["conv", "coordconv"], seeds, ["alpha[canvas=8]"], record), store=store)


@pytest.mark.parametrize(
    ("relation", "value", "verdict"), [(">", 0.5, "holds"), ("<", 0.5, "fails"), (">", 0.6, "open")]
)
def test_claims_hold_fail_or_stay_open(store: Store, fill: Any, relation: Any, value: float, verdict: str) -> None:
    found = ledger.ledger(made(store, fill, 6), [about(relation=relation, value=value), about(task="gamma")])
    assert found[0].measured == pytest.approx(0.6, abs=0.02)
    assert [f.verdict for f in found] == [verdict, "not run"]


@pytest.mark.parametrize(("apart", "verdict"), [(0.001, "fails"), (0.06, "open")])
def test_a_lead_within_the_margin_is_no_lead(store: Store, fill: Any, apart: float, verdict: str) -> None:
    def record(trial: Trial) -> Record | None:
        base = 0.5 + 0.01 * trial.seed + apart * (trial.cell.label == "coordconv") * (1 - 0.5 * trial.seed)
        return replace(outcome(trial), scores={"test": {"accuracy": base}})

    found = ledger.ledger(made(store, fill, 6, record), [about(value=0), about(value=0, relation="<")])
    assert [f.verdict for f in found] == [verdict] * 2
    assert all(f.reason.startswith("tied: within a margin of 0.02") == (verdict == "fails") for f in found)
    assert "tied" not in ledger.ledger(made(store, fill, 6, record), [about(value=0.1)])[0].reason


def test_a_sure_lead_within_the_margin_holds_by_little(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        return replace(outcome(trial), scores={"test": {"accuracy": 0.5 + 0.01 * (trial.cell.label == "coordconv")}})

    run = made(store, fill, 12, record)
    found = ledger.ledger(run, [about(value=0), about(value=0, relation="<")])
    assert [f.verdict for f in found] == ["holds", "fails"]
    assert {f.reason for f in found} == {"by little: within a margin of 0.02"}


def test_a_small_lead_that_is_not_sure_stays_open_and_the_contrary_fails(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        return replace(outcome(trial), scores={"test": {"accuracy": 0.5 + 0.002 * (trial.cell.label == "coordconv")}})

    found = ledger.ledger(made(store, fill, 12, record), [about(value=0), about(value=0, relation="<")])
    assert [(f.verdict, f.reason) for f in found] == [
        ("open", "leads by little: within a margin of 0.02"),
        ("fails", "tied: within a margin of 0.02"),
    ]


def test_an_open_claim_tells_how_many_seeds_would_decide(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        lead = (trial.cell.label == "coordconv") * 0.1 * (1 + (-1) ** trial.seed)
        return replace(outcome(trial), scores={"test": {"accuracy": 0.5 + lead}})

    [few] = ledger.ledger(made(store, fill, 6, record), [about(value=0)])
    assert (few.verdict, few.reason) == ("open", "seeds do not decide; about 2 more like these would")
    [enough] = ledger.ledger(made(store, fill, 8, record), [about(value=0)])
    assert enough.verdict == "holds"
    [never] = ledger.ledger(made(store, fill, 8, record), [about(value=0.1)])
    assert never.reason == "seeds do not decide; 200 like these would not either"


@pytest.mark.parametrize(("collapsed", "verdict"), [("", "open"), ("conv", "holds"), ("coordconv", "fails")])
def test_survival_is_decided_by_collapses_alone(store: Store, fill: Any, collapsed: str, verdict: str) -> None:
    def record(trial: Trial) -> Record | None:
        state = State.COLLAPSED if trial.cell.label == collapsed else State.CENSORED
        return replace(outcome(trial), scores={"test": {"accuracy": 0.5}}, fate=Fate(state, 1.0, 10.0 + trial.seed))

    [found] = ledger.ledger(made(store, fill, 12, record), [about(measure="survival", value=0)])
    assert (found.verdict, found.reason) == (verdict, "" if collapsed else "no trial collapsed")


def test_fewer_than_five_pairs_decide_nothing_but_parameters(store: Store, fill: Any) -> None:
    exact = about(measure="ratio", metric="parameters", value=1.5)
    slow = about(measure="ratio", metric="latency_step_seconds", value=1.5)
    found = ledger.ledger(made(store, fill, 4), [about(), exact, slow])
    assert [f.verdict for f in found] == ["open", "holds", "open"]
    assert found[0].reason == "4 paired seeds; 5 are needed"
    assert found[1].measured == 2
    assert "one machine" in found[2].reason


def test_a_failed_trial_is_the_worst_of_its_contest(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        dead = trial.cell.label == "coordconv" and trial.seed == 0
        return Record("crashed", "killed") if dead else outcome(trial)

    run = made(store, fill, 6, record)
    primary, other = ledger.ledger(run, [about(value=0), about(value=0, metric="accuracy@m=1")])
    assert primary.seeds == other.seeds == 6
    assert primary.measured == pytest.approx(0.6 * 5 / 6 - 0.3 / 6, abs=0.02)  # 0 is the floor of this contest
    assert other.measured == pytest.approx(0.6 * 5 / 6, abs=0.03)  # the worst of that metric is that of conv
    judged = tables.verdicts(run).set_index("variant")
    assert judged.loc["coordconv", "mean"] == pytest.approx(primary.measured)


def test_what_has_not_converged_decides_nothing(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        return replace(outcome(trial), converged=trial.seed > 1 or trial.cell.label == "conv")

    found = ledger.ledger(made(store, fill, 6, record), [about()])[0]
    assert (found.verdict, found.reason) == ("open", "2 of 6 trials of coordconv had not converged")


def test_one_trial_in_six_that_seems_to_fall_voids_nothing(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        return replace(outcome(trial), converged=trial.seed != 0)

    assert ledger.ledger(made(store, fill, 6, record), [about()])[0].verdict == "holds"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('relation = ">"', 'relation = ">="', "relation = '>=' is not valid; valid: >, <"),
        ('relation = ">"', "", "missing: relation"),
        ("value = 0", 'value = "0"', "is not a number"),
        ("value = 0", "value = 0\nmeasure = 3", "measure = 3 is not valid"),
        ("value = 0", "value = 0\ncolor = 3", "unknown: color"),
        ('right = { variant = "b" }', "", "there is no `right`"),
        ('{ variant = "b" }', "{}", "each side needs a `variant`"),
    ],
)
def test_malformed_claims_are_refused(tmp_path: Path, before: str, after: str, told: str) -> None:
    path = tmp_path / "claims.toml"
    path.write_text(WRITTEN)
    assert claims.read_claims(path)[0].id == "one"
    other = tmp_path / "wrong.toml"
    other.write_text(WRITTEN.replace(before, after))
    with pytest.raises(UsageError, match="claim 'one'") as raised:
        claims.read_claims(other)
    assert told in str(raised.value)


def test_the_ledger_has_no_twins() -> None:
    read = claims.read_claims()
    assert len({claim.id for claim in read}) == len(read) > 50


@pytest.mark.parametrize("claim", claims.read_claims(), ids=lambda claim: claim.id)
def test_claims_are_about_what_exists(claim: claims.Claim) -> None:
    for side in filter(None, (claim.left, claim.right)):
        options = {**claim.options, **dict(side.get("options", {}))}
        task = registry.select("task", selector(side.get("task", claim.task), options))
        metrics = {metric.name for metric in task.entry.facts["metrics"]}
        assert set(options) <= {option.name for option in task.entry.options}
        assert claim.metric in {"", *metrics, *COSTS}
        assert registry.select("variant", side["variant"]).label == side["variant"]  # as records spell it
        if "backbone" in side:
            backbone = registry.select("backbone", side["backbone"])
            assert backbone.label == side["backbone"]
            assert backbone.entry.name in task.entry.facts["backbones"]


def selector(task: str, options: dict[str, str]) -> str:
    """A task with its options; "" stands for a default, which is not spelled out."""
    spelled = ", ".join(f"{name}={value}" for name, value in options.items() if value != "")
    return f"{task}[{spelled}]" if spelled else task


@pytest.mark.parametrize("claim", claims.read_claims(), ids=lambda claim: claim.id)
def test_the_profile_of_claims_runs_both_sides_of_each(claim: claims.Claim) -> None:
    planned = {trial.cell for trial in plan.make_plan(plan.read_profile("claims")).trials}
    cells = {(str(cell.task), str(cell.backbone or ""), str(cell.variant or "")) for cell in planned}
    for side in filter(None, (claim.left, claim.right)):
        task = selector(side.get("task", claim.task), {**claim.options, **dict(side.get("options", {}))})
        wanted = (task, side.get("backbone", ""), side["variant"])
        assert any(cell[2] == wanted[2] and all(map(names, cell[:2], wanted[:2])) for cell in cells), wanted


def names(label: str, selected: str) -> bool:
    """Whether a label is of the entry selected and has at least its options."""
    if not selected:
        return True
    known, wanted = Selector.parse(label), Selector.parse(selected)
    return known.name == wanted.name and set(wanted.options) <= set(known.options)
