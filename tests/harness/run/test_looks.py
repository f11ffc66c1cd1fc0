"""A run by looks, over records whose answers are known: who gets seeds, what a later run may look at again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordbench.harness.analysis.compare import compare_runs
from coordbench.harness.cli import main as cli
from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.plan import planning as plan
from coordbench.harness.run.sweep import Driver
from coordbench.harness.store.store import Store
from coordbench.reports.data.run import Run, load
from coordbench.reports.pages.findings import findings
from coordbench.reports.pages.matrix import matrix
from coordbench.reports.pages.page import render
from coordbench.reports.standing import judge

SWEEP: dict[str, Any] = {"tasks": ["toy"], "backbones": ["toy_net"], "steps": 5, "evaluations": 1, "costs": False}
LOOKS = [6, 10, 16]
GAINS = {"conv": 0.0, "coordconv": 3.0, "geoconv": 0.5, "constant_channel": 0.0}
"""By how many standard deviations of a difference each layer is better."""


class Known(Executor):
    """Answers each trial at once by a score of known law, and notes which; only the first `most` are answered."""

    def __init__(self, most: int = 10_000, gains: Mapping[str, float] = GAINS) -> None:
        self.most, self.gains, self.seeds = most, gains, list[tuple[str, int]]()

    def submit(self, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
        trial: Trial = arguments[0]
        future: Future[Record] = Future()
        if len(self.seeds) == self.most:
            return future
        name = trial.cell.label
        self.seeds.append((name, trial.seed))
        noise = np.random.default_rng([trial.seed, *name.encode()]).normal()
        mse = 8 - self.gains.get(name, 0) * 1.4 + noise
        future.set_result(Record("ok", scores={"test": {"mse": float(mse)}}, converged=True, steps=5))
        return future


class Breaker:
    """A listener that breaks a run off once so many trials are done."""

    def __init__(self, most: int) -> None:
        self.left = most

    def begin(self, jobs: int) -> None:
        """Nothing."""

    def expect(self, stage: str, pending: int, reused: int) -> None:
        """Nothing."""

    def done(self, job: object, record: object) -> None:
        """Break off."""
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def run_of(store: Store, executor: Known, said: list[str] | None = None, **run: Any) -> Run:
    """The run of a preset over known records."""
    sweep = SWEEP | {"variants": list(GAINS)}
    made = plan.make_plan(plan.parse_preset({"run": run, "sweep": [sweep]}, "mine"))
    driver = Driver(
        store,
        Breaker(executor.most),
        executor=executor,
        say=(said if said is not None else []).append,
        judge=judge(store, None),
    )
    return load(driver.run(made).run, store=store)


def seeds_of(run: Run) -> dict[str, int]:
    """Variant -> how many of its seeds were trained."""
    rows = run.trials[run.trials["variant"].notna()]
    return Counter(rows["label"].astype(str))


def verdicts_of(run: Run) -> dict[str, tuple[str, int, bool]]:
    """Variant -> its verdict, from how many pairs, and whether that is final."""
    rows = run.verdicts[["variant", "verdict", "pairs", "final"]].itertuples(index=False, name=None)
    return {variant: (verdict, pairs, final) for variant, verdict, pairs, final in rows}


@pytest.fixture
def store(tmp_path: Path, toy: Path) -> Store:
    registry.load_plugin(toy)
    return Store(f"sqlite:///{tmp_path / 'results.sqlite'}")


def test_what_is_decided_gets_no_more_seeds(store: Store) -> None:
    said: list[str] = []
    run = run_of(store, Known(), said, seeds=16, looks=LOOKS)
    verdicts, seeds = verdicts_of(run), seeds_of(run)
    assert verdicts["coordconv"] == ("better", 6, True)
    assert verdicts["constant_channel"] == ("open", 16, True)
    assert seeds == {"conv": 16} | {variant: pairs for variant, (_, pairs, _) in verdicts.items()}
    assert sum(seeds.values()) < 4 * 16
    assert said[0] == "a look: 1 of 3 comparisons are final, 3 cells go on"
    text = next(cell.detail for cell in matrix(run)[0].cells if cell.variant == "constant_channel")
    assert "look 3 of 3, valid at all looks together: open; the largest effect still possible is" in text
    assert next(cell.note for cell in matrix(run)[0].cells if cell.variant == "coordconv") == "▲ better · final"
    page = render(run)
    assert "more would decide" not in page
    assert findings(run, [])


def test_a_run_that_was_interrupted_anywhere_comes_to_the_same(store: Store, tmp_path: Path, toy: Path) -> None:
    whole = run_of(Store(f"sqlite:///{tmp_path / 'other.sqlite'}"), Known(), seeds=16, looks=LOOKS)
    for most in (3, 30, 25, 5):  # before the first look, at it, between looks
        with pytest.raises(KeyboardInterrupt):
            run_of(store, Known(most), seeds=16, looks=LOOKS)
    last = Known()
    run = run_of(store, last, seeds=16, looks=LOOKS)
    assert run.verdicts.drop(columns="looks").equals(whole.verdicts.drop(columns="looks"))
    assert seeds_of(run) == seeds_of(whole)
    assert 0 < len(last.seeds) < 20


def test_the_page_of_an_interrupted_run_says_which_look_is_next(store: Store) -> None:
    names = []
    for most in (20, 40):
        with pytest.raises(KeyboardInterrupt):
            run_of(store, Known(most), seeds=16, looks=LOOKS)
        names.append(store.latest_run())
    early, later = (load(name, store=store) for name in names)
    assert set(early.verdicts["verdict"]) == {"open"}
    assert not early.verdicts["final"].any()
    assert {one.next for one in early.verdicts["looks"]} == {"look 1 of 3 is next, at 6 seeds"}
    assert {cell.note for cell in matrix(early)[0].cells if cell.kind == "open"} <= {
        f"{lean} look 1 of 3 is next" for lean in "△▽?"
    }
    assert verdicts_of(later)["coordconv"] == ("better", 6, True)
    assert verdicts_of(later)["constant_channel"] == ("open", 6, False)


def test_open_comparisons_near_a_decision_come_first(store: Store) -> None:
    executor = Known()
    run_of(store, executor, seeds=16, looks=LOOKS)
    second = [name for name, seed in executor.seeds if seed in range(6, 10)]
    assert second.index("geoconv") < second.index("constant_channel")


def test_looks_that_were_taken_cannot_be_taken_with_other_bounds(store: Store) -> None:
    first = run_of(store, Known(), seeds=16, looks=LOOKS)
    message = rf"run {first.name} looked at conv in toy_net on toy with looks = \[6, 10, 16\]; seeds cannot be looked"
    for other in ({"seeds": 24, "looks": [6, 10, 24]}, {"seeds": 24}, {"seeds": 12}):
        with pytest.raises(UsageError, match=message):
            run_of(store, Known(), **other)
    assert verdicts_of(run_of(store, Known(), seeds=list(range(50, 56)), looks=[6]))["coordconv"][0] == "better"
    assert verdicts_of(run_of(store, Known(), seeds=16, looks=LOOKS)) == verdicts_of(first)


def test_seeds_that_are_added_later_are_another_look_which_is_paid(store: Store) -> None:
    first = run_of(store, Known(), seeds=8)
    assert not first.facts.several
    assert "This run has one look" in render(first)
    again = run_of(store, Known(), seeds=8)
    assert verdicts_of(again) == verdicts_of(first)
    more = run_of(store, Known(), seeds=14)
    fresh = run_of(store, Known(), seeds=list(range(100, 114)))
    ours, theirs = (run.verdicts.set_index("variant").loc["geoconv"] for run in (more, fresh))
    assert ours["looks"].design.looks == (8, 14)
    assert theirs["looks"].design.looks == (14,)
    assert ours["pairs"] == 14
    assert ours["high"] - ours["low"] > 0
    plain = np.asarray([ours["looks"].design.bound(0.05, place) for place in (0, 1)])
    assert (plain < 0.05).all()
    page = render(more)
    assert "Earlier runs looked at some of these seeds" in page
    assert "look 2 of 2, valid at all looks together" in page
    notes = compare_runs(store, first.name, more.name).rows["note"]
    assert not notes.str.contains("paid for").any()  # eight pairs: nobody looked at fewer
    twice = run_of(store, Known(), seeds=14)
    notes = compare_runs(store, more.name, twice.name).rows["note"]
    assert notes.str.contains("look 2 at these seeds, after 8: each is paid for").all()


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"seeds": 16, "looks": [6, 6, 16]}, "looks = [6, 6, 16]: each must be larger than the one before"),
        ({"seeds": 16, "looks": [4, 16]}, "looks = [4, 16]: fewer than 5 pairs decide nothing"),
        ({"seeds": 16, "looks": [6, 24]}, "looks = [6, 24] end at more than the 16 seeds"),
        ({"seeds": 16, "looks": [6, 10]}, "looks = [6, 10] end at fewer than the 16 seeds"),
        ({"seeds": 16, "looks": [6, 16], "families": ["layers", "nobody"]}, "unknown family 'nobody'; valid: layers, "),
        ({"seeds": 16, "looks": ["six"]}, "looks=['six'] is not valid; expected list[int]"),
    ],
)
def test_looks_that_cannot_be_are_one_line(
    run: dict[str, Any], message: str, tmp_path: Path, toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{name} = {value!r}" for name, value in run.items()]
    sweep = ['tasks = ["toy"]', 'backbones = ["toy_net"]', 'variants = ["conv"]', "steps = 3"]
    path = tmp_path / "wrong.toml"
    path.write_text("\n".join(["[run]", *lines, "[[sweep]]", *sweep]))
    arguments = ["run", str(path), "--plugin", str(toy), "--out", str(tmp_path), "--dry-run"]
    assert cli.run(arguments) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_one_cell_has_one_design(store: Store) -> None:
    sweep = SWEEP | {"variants": ["conv"]}
    twice = {"run": {"seeds": 12}, "sweep": [sweep | {"looks": [6, 12]}, sweep | {"looks": [8, 12]}]}
    with pytest.raises(
        UsageError, match=r"conv in toy_net on toy is planned twice, with looks=\[6, 12\] and \[8, 12\]"
    ):
        plan.make_plan(plan.parse_preset(twice, "mine"))
    narrow = plan.narrow(plan.parse_preset({"run": {"seeds": 12}, "sweep": twice["sweep"][:1]}, "mine"), seeds=3)
    assert not plan.make_plan(narrow).looks
