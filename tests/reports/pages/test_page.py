"""The page: one escaped file, whatever little there is to show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordbench.harness.core.problem import Sample
from coordbench.harness.core.record import Record
from coordbench.harness.core.scores import At
from coordbench.harness.core.trial import Trial
from coordbench.harness.store.store import Store
from coordbench.reports.data.run import load
from coordbench.reports.figures import gallery
from coordbench.reports.pages import conditions
from coordbench.reports.pages.page import write_report
from tests.reports.conftest import outcome

VOID = {"meta", "link", "br", "wbr", "img", "input", "hr"}


class Checker(HTMLParser):
    """Collect ids and text, and complain of elements that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


def read(path: Path) -> Checker:
    checker = Checker()
    checker.feed(path.read_text())
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))  # figures must not share ids either
    return checker


def test_one_file_escaped_and_without_network(store: Store, fill: Any, tmp_path: Path) -> None:
    page = read(write_report(store, fill(), tmp_path))
    text = " ".join(page.text)
    assert "odd[text=<script>alert(1)</script>]" in text  # as text, so it was escaped
    assert "Tell <b>left</b> from right." in text
    assert "coordconv has the highest normalized score" in text
    assert "▲ better" in text
    outside = [link for link in page.links if not link.startswith(("#", "data:", "index.html"))]
    assert outside == []
    raw = (tmp_path / "index.html").read_text()
    assert re.search(r'href="[^"]*-p-[^"]*\.html"', raw)


def test_leads_are_shown_over_the_scenes_of_a_test_too(store: Store, fill: Any, tmp_path: Path) -> None:
    """Coordconv leads by 1, 2 or 6 at three scenes, the same at every seed: sure over seeds, not over scenes."""

    def record(trial: Trial) -> Record:
        parts = (1.0, 2.0, 6.0) if trial.cell.label == "coordconv" else (0.0, 0.0, 0.0)
        by_scene = {At("accuracy", "image", f"scene {i}"): part + 0.1 * trial.seed for i, part in enumerate(parts)}
        return Record("ok", scores={"test": {"accuracy": sum(parts) / 3} | by_scene}, steps=5)

    name = fill(["conv", "coordconv"], tasks=["alpha[canvas=8]"], record=record)
    run = load(name, store=store)
    (lead,) = conditions.drawn(run, run.contests[0], ["conv", "coordconv"])
    assert (lead.variant, lead.things, lead.count, lead.seeds) == ("coordconv", "scenes", 3, 5)
    assert lead.lead.mean == pytest.approx(3)
    assert lead.lead.seeds == pytest.approx((3, 3))
    assert lead.lead.both[0] < 0 < 6 < lead.lead.both[1]
    text = " ".join(read(write_report(store, name, tmp_path)).text)
    assert "95 %, seeds and scenes" in text


@pytest.mark.parametrize("status", ["crashed", "skipped"])
def test_only_failures_still_make_a_page(status: str, store: Store, fill: Any, tmp_path: Path) -> None:
    def record(trial: Trial) -> Record | None:
        return Record("crashed", "killed & gone") if status == "crashed" else None

    text = " ".join(read(write_report(store, fill(record=record, costs=False), tmp_path)).text)
    assert "No trial ended well" in text
    assert ("killed & gone" if status == "crashed" else "the run ended before it") in text


@pytest.mark.parametrize(("epoch", "label"), [(16.0, "training step (16 an epoch)"), (None, "training step")])
def test_an_axis_of_steps_says_how_many_are_an_epoch(
    epoch: float | None, label: str, store: Store, fill: Any, tmp_path: Path
) -> None:
    name = fill(record=lambda trial: replace(outcome(trial), epoch_steps=epoch))
    page = write_report(store, name, tmp_path).read_text()
    drawn = json.loads(re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[0])
    assert {curves["stepsLabel"] for curves in drawn["curves"].values()} == {label}
    assert {curves["epochSteps"] for curves in drawn["curves"].values()} == {epoch}


def test_one_seed_has_no_interval_and_no_verdict(store: Store, fill: Any, tmp_path: Path) -> None:
    path = write_report(store, fill(seeds=1), tmp_path)
    text = " ".join(read(path).text)
    assert "One seed gives no interval and no verdict" in text
    matrix = re.search(r'<table class="matrix" data-copy>.*?</table>', path.read_text(), re.S)
    assert matrix is not None
    assert not re.search(r"▲|▼|\[[\d-]|open", matrix[0])


def test_zero_trials(store: Store, fill: Any, tmp_path: Path) -> None:
    text = " ".join(read(write_report(store, fill([], tasks=[]), tmp_path)).text)
    assert "Nothing was planned" in text


def test_references_alone(store: Store, fill: Any, tmp_path: Path) -> None:
    text = " ".join(read(write_report(store, fill([]), tmp_path)).text)
    assert "no variant" in text.lower()


def test_reports_import_no_torch() -> None:
    code = "import coordbench.reports.pages.page, coordbench.reports.files.exports, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_gallery_keeps_four_sheets_from_first_to_last() -> None:
    """Of steps 10, 20, .. 90 and the end, places 0, 3, 6, 9 are kept; what was taken once is kept without a label."""
    taken = [("sheet", None), ("strip", None), *(("sheet", 10 * i) for i in (9, 1, 2, 3, 4, 5, 6, 7, 8))]
    samples = [Sample("latents", role, "image", np.zeros((64, 128)), step) for role, step in taken]
    labeled = gallery.thinned(samples)
    assert [label for label, _ in labeled] == ["step 10", "step 40", "step 70", "end", ""]
    assert [(sample.role, sample.step) for _, sample in labeled] == [
        ("sheet", 10), ("sheet", 40), ("sheet", 70), ("sheet", None), ("strip", None),
    ]  # fmt: skip
    (row,) = gallery.gallery({"conv": samples, "real": samples[:1]})
    assert row.large
    assert [column.name for column in row.columns] == ["real", "conv"]  # what comes alone first
    assert 'width="180"' in row.columns[0].pictures[0].drawn


def test_the_axis_of_a_condition_has_the_words_of_its_task(store: Store, fill: Any, tmp_path: Path) -> None:
    assert "points in the image" in write_report(store, fill(), tmp_path).read_text()
