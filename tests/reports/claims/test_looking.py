"""Claims at planned looks, over records whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from coordbench.harness.core.record import Record
from coordbench.harness.core.scores import Fate, State
from coordbench.harness.core.trial import Trial
from coordbench.harness.plan.looks import CellLooks
from coordbench.harness.statistics.paired import pairs_needed
from coordbench.harness.statistics.spending import Design
from coordbench.harness.store.store import Store
from coordbench.reports.claims import ledger
from coordbench.reports.claims.claims import Claim, Side
from coordbench.reports.data.run import Run, load
from coordbench.reports.pages.looking import looking
from coordbench.reports.pages.page import render
from tests.reports.conftest import outcome

LOOKS = (6, 10, 16)
CLEAR = Claim(
    "clear", "coordconv leads", Side("coordconv", "net"), ">", 0.0, family="f", task="alpha", right=Side("conv", "net")
)
EVEN = replace(CLEAR, id="even", sentence="geoconv leads", left=Side("geoconv", "net"))
LIVES = replace(CLEAR, id="lives", kind="control", measure="survival")
STARTS = replace(CLEAR, id="starts", kind="control", measure="starts", family="g")
SOLVES = replace(CLEAR, id="solves", kind="control", measure="solves", threshold=0.7, family="g")


def known(trial: Trial) -> Record:
    """coordconv is far better, and lives twice as long; geoconv is like conv, and every second of its seeds starts."""
    name, seed = trial.cell.label, trial.seed
    noise = float(np.random.default_rng([seed, *name.encode()]).normal())
    score = 0.5 + 0.1 * noise + 0.4 * (name == "coordconv")
    start = name != "geoconv" or seed % 2 == 0
    lived = (50.0 if name == "coordconv" else 25.0) + seed if start else None
    fate = Fate(State.COLLAPSED if start else State.NEVER_STARTED, 1.0 if start else None, lived)
    return replace(outcome(trial), scores={"test": {"accuracy": score}}, fate=fate if trial.cell.variant else None)


def looked(store: Store, fill: Any, seeds: int, record: Callable[[Trial], Record | None] = known) -> Run:
    """A run of three layers with planned looks, as far as it got."""
    name = fill(["conv", "coordconv", "geoconv"], seeds, ["alpha[canvas=8]"], record, costs=False)
    run = load(name, store=store)
    cells = dict.fromkeys(cell for cell in run.tables.trials["cell"] if cell.variant is not None)
    noted = [CellLooks(cell, tuple(range(LOOKS[-1])), LOOKS, LOOKS, 1) for cell in cells]
    store.note(name, {"looks": [one.plain for one in noted]})
    return load(name, store=store)


def test_a_claim_that_is_decided_keeps_its_look(store: Store, fill: Any) -> None:
    for seeds, taken in ((6, 1), (12, 2), (16, 3)):
        run = looked(store, fill, seeds)
        clear, even = ledger.ledger(run, [CLEAR, EVEN])
        assert clear.looks is not None
        assert even.looks is not None
        assert (clear.verdict, clear.seeds, clear.looks.taken, clear.looks.final) == ("holds", 6, 1, True)
        assert (even.verdict, even.looks.taken, even.looks.final) == ("open", taken, taken == 3)
        assert len(even.looks.path) == taken
        if taken < 3:
            assert even.reason == f"look {taken + 1} of 3 is next, at {LOOKS[taken]} seeds"
        else:
            possible = max(abs(even.low), abs(even.high))
            said = (
                f"open after the last look: the largest effect still possible is {possible:.3g}; if the true effect is "
            )
            assert even.reason.startswith(said)
            effect = max(abs(even.measured), even.margin - abs(even.measured))
            needed = pairs_needed(even.deviation, effect, even.level / 2)  # another try would count twice
            assert (
                even.reason
                == f"{said}the measured one, {needed} unseen seeds, read once, would decide it four times in five"
            )


def test_no_number_of_seeds_is_proposed_where_one_makes_most_of_the_spread(store: Store, fill: Any) -> None:
    def record(trial: Trial) -> Record | None:
        odd = trial.cell.label == "coordconv" and trial.seed == 3
        return replace(outcome(trial), scores={"test": {"accuracy": 0.5 + 0.01 * (trial.seed % 3) - 0.4 * odd}})

    [finding] = ledger.ledger(looked(store, fill, 16, record), [CLEAR])
    assert finding.verdict == "open"
    assert finding.reason.endswith(
        "one seed of 16 makes most of the spread, and while such seeds occur no mean may decide"
    )


def test_before_the_first_look_nothing_is_decided(store: Store, fill: Any) -> None:
    run = looked(store, fill, 5)
    clear = ledger.ledger(run, [CLEAR])[0]
    assert (clear.verdict, clear.reason) == ("open", "look 1 of 3 is next, at 6 seeds")
    assert set(run.verdicts["verdict"]) == {"open"}


def test_survival_is_paid_for_too(store: Store, fill: Any) -> None:
    once = ledger.ledger(load(fill(["conv", "coordconv"], 6, ["alpha[canvas=8]"], known), store=store), [LIVES])[0]
    paid = ledger.ledger(looked(store, fill, 6), [LIVES])[0]
    assert once.p is not None
    assert paid.p == pytest.approx(float(Design(LOOKS).total(once.p, 0)))
    assert paid.p > once.p
    assert once.verdict == paid.verdict == "holds"


def test_the_share_of_seeds_that_start_is_tested_exactly(store: Store, fill: Any) -> None:
    fewer = replace(STARTS, left=Side("geoconv", "net"), relation="<")
    verdicts = [ledger.ledger(looked(store, fill, seeds), [fewer])[0] for seeds in (6, 10, 16)]
    assert [one.measured for one in verdicts] == [-0.5] * 3
    assert verdicts[2].p == pytest.approx(float(Design(LOOKS).total(2 / 2**8, 2)))  # 8 of 8 pairs in which one starts
    assert [one.verdict for one in verdicts] == ["open", "open", "holds"]


def test_the_share_of_seeds_that_solve_a_task_is_tested_exactly(store: Store, fill: Any) -> None:
    run = looked(store, fill, 16)
    finding = ledger.ledger(run, [SOLVES])[0]
    solved = run.trials[run.trials["score"] > 0.7].groupby("label").size().reindex(["coordconv", "conv"], fill_value=0)
    assert solved["conv"] < 3 < 12 < solved["coordconv"]
    at_last = ledger.drafts(run, SOLVES)[-1]
    assert at_last.measured == (solved["coordconv"] - solved["conv"]) / 16
    assert at_last.here.endswith(f"solved by {solved['coordconv']} of 16 against {solved['conv']} of 16 seeds")
    assert finding.verdict == "holds"
    assert ledger.ledger(run, [replace(SOLVES, relation="<")])[0].verdict == "fails"
    assert ledger.ledger(run, [replace(SOLVES, threshold=2.0)])[0].verdict == "open"  # nobody solves it


def test_a_trial_that_failed_solves_nothing(store: Store, fill: Any) -> None:
    def crashing(trial: Trial) -> Record:
        scores = {"test": {"accuracy": 0.9 if trial.cell.variant else 0.1}}
        done = replace(known(trial), scores=scores)
        return replace(done, status="diverged", scores={}) if trial.cell.label == "conv" else done

    finding = ledger.drafts(looked(store, fill, 6, crashing), SOLVES)[-1]
    assert (finding.measured, finding.seeds) == (1.0, 6)  # the worst that the contest saw, 0.9, would have passed


def test_seeds_that_were_seen_before_a_claim_was_put_anew_are_not_judged(store: Store, fill: Any) -> None:
    anew = replace(CLEAR, first_seed=6)
    assert ledger.drafts(looked(store, fill, 6), anew)[-1].verdict == "not run"
    assert ledger.drafts(looked(store, fill, 16), anew)[-1].seeds == 10


def test_the_page_says_which_verdicts_are_final(store: Store, fill: Any) -> None:
    run = looked(store, fill, 10)
    section = looking(run, ledger.ledger(run, [CLEAR, EVEN]))
    assert section is not None
    assert section.sentence == "2 of 4 verdicts are final; 30 of at most 48 trials spent, 18 saved."
    layers, claims = section.families
    assert [(line.name, line.verdict, line.final, line.pairs) for line in layers.lines] == [
        ("coordconv", "▲ better", True, 6),
        ("geoconv", "? open", False, 10),
    ]
    assert [line.next for line in claims.lines] == ["", "look 3 of 3 is next, at 16 seeds"]
    page = render(run)
    assert 'id="looks"' in page
    assert page.count('<svg class="path"') == 2
    assert "1 of 2 verdicts are final; look 3 of 3 is next, at 16 seeds" in page
    other = run.against("geoconv").set_index("variant").loc["conv", "looks"]
    assert (other.taken, other.final, other.next) == (2, False, "")  # no seeds are given for another baseline
    assert looking(load(fill(seeds=5), store=store), []) is None
