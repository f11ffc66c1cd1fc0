"""Two runs side by side: verdicts by pairs, costs exactly, and what only one of them holds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from coordbench.harness.analysis.compare import compare_runs
from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.store.store import Store
from coordbench.reports.files.terminal import compared
from coordbench.reports.pages.comparison import write_comparison
from coordbench.reports.pages.index import remove_orphans
from coordbench.reports.pages.page import write_report
from tests.reports.conftest import outcome
from tests.reports.pages.test_page import read


def _lower(trial: Trial) -> Record:
    """conv loses a fifth of its accuracy."""
    record = outcome(trial)
    loss = 0.2 * (trial.cell.label == "conv")
    scores = {"test": {name: score - loss for name, score in record.scores["test"].items()}}
    return replace(record, scores=scores)


def test_what_changed_between_two_runs(store: Store, fill: Any, tmp_path: Path) -> None:
    before = fill(["conv", "coordconv"], 6)
    after = fill(["conv", "odd[text=<b>new</b>]"], 6, ["alpha[canvas=8]"], _lower)
    text = " ".join(read(write_comparison(store, before, after, tmp_path)).text)
    assert "Worse than before: conv on alpha[canvas=8]." in text
    assert "-0.200" in text
    assert "2 parameter and FLOP counts are equal, none changed" in text
    assert f"Only in {before}" in text
    assert f"Only in {after}" in text
    assert "odd[text=<b>new</b>] in net[depth=2] on alpha[canvas=8], 5 steps" in text


def test_a_cost_that_changed_is_told_exactly(store: Store, fill: Any, tmp_path: Path) -> None:
    runs = fill(["conv", "coordconv"], 5), fill(["coordconv", "conv"], 5)  # parameters follow the order here
    text = " ".join(read(write_comparison(store, *runs, tmp_path)).text)
    assert "All 4 scores are equal to the last digit." in text
    assert "4 scores did not change at all and are not shown." in text
    assert "Of 8 exact costs 4 changed." in text
    assert re.search(r"1,000\s+2,000\s+\+1,000", text)


def test_the_terminal_shows_what_changed_in_80_columns(store: Store, fill: Any) -> None:
    """Six pairs lower by 0.2 of conv; coordconv is equal and only counted."""
    runs = fill(["conv", "coordconv"], 6), fill(["conv", "coordconv"], 6, ["alpha[canvas=8]"], _lower)
    lines = compared(compare_runs(store, *runs)).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "Worse than before: conv on alpha[canvas=8]."
    assert "worse  conv in net[depth=2] on alpha[canvas=8]" in lines
    assert not any("coordconv in net[depth=2] on alpha" in line for line in lines)
    assert "1 score and 4 exact costs are the same" in lines


def test_pages_of_comparisons_go_with_their_runs(store: Store, fill: Any, tmp_path: Path) -> None:
    runs = fill(["conv"], 2, ["beta"]), fill(["conv"], 2, ["beta"])
    page = write_comparison(store, *runs, tmp_path)
    remove_orphans(set(runs), tmp_path)
    assert page.exists()
    remove_orphans({runs[1]}, tmp_path)
    assert not page.exists()


def test_few_pairs_decide_nothing(store: Store, fill: Any, tmp_path: Path) -> None:
    runs = fill(["conv"], 3), fill(["conv"], 3, record=_lower)
    text = " ".join(read(write_comparison(store, *runs, tmp_path)).text)
    assert "No change of a score is proven. The largest: conv on " in text
    assert "fewer than 5 pairs decide nothing" in text


def test_runs_that_share_nothing_and_the_index(store: Store, fill: Any, tmp_path: Path) -> None:
    runs = fill(["conv"], 2, ["beta"]), fill(["conv"], 2, ["alpha[canvas=8]"])
    write_report(store, runs[1], tmp_path)
    page = f"compare-{runs[0]}-{runs[1]}.html"
    assert f'href="{page}"' in (tmp_path / "index.html").read_text()
    assert "The runs share no contest" in (tmp_path / page).read_text()
    write_report(store, fill([], tasks=[]), tmp_path)  # a run of nothing can be set beside the last one, too
