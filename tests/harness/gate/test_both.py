"""A process of each side that answers all exact questions: what a layer does to itself stays its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordbench.harness.gate.both import asked
from coordbench.harness.gate.pipeline import Request, run_gate
from coordbench.harness.gate.rows import Report
from coordbench.harness.gate.sides import SideError, Tree

SMALL = {"pairs": [5, 9], "turns": 3, "phases": ["forward"], "channels": 2, "size": 4, "batch": 1}


def exact(project: Any) -> Report:
    request = Request("HEAD", stages=("costs",), out=project.folder / "coordbench-results")
    return run_gate(request, project.folder, lambda line: None)


def test_equal_trees_are_equal_without_a_process(make_project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project()
    project.write("mine.py", "raise RuntimeError('nobody imports this')\n")
    project.settings("mine", **SMALL)
    project.commit()
    (row,) = exact(project).rows
    assert (row.name, row.outcome, row.note) == ("all layers: sources", "pass", "identical")


def test_a_process_that_died_is_replaced_and_both_sides_are_asked(tmp_path: Any) -> None:
    (tmp_path / "tree").mkdir()
    base, candidate = (Tree(name, (tmp_path / "tree").resolve(), tmp_path) for name in ("base", "candidate"))
    with asked(base, candidate, 120) as both:
        assert both.ask(lambda side: side.tree.name) == ["base", "candidate"]
        before = {name: side.process.pid for name, side in both.sides.items()}
        both.sides["candidate"].process.kill()
        first, second = both.ask(lambda side: side.ask("forget", key="nothing"))
        assert first is None
        assert isinstance(second, SideError)
        assert str(second) == "the candidate side was killed by SIGKILL"
        assert both.demand(lambda side: side.ask("forget", key="nothing")) == [None, None]
        after = {name: side.process.pid for name, side in both.sides.items()}
        assert (after["base"] == before["base"], after["candidate"] == before["candidate"]) == (True, False)
    assert both.sides == {}


@pytest.mark.slow
def test_a_layer_that_dies_or_meddles_is_alone_with_it(make_project: Callable[[], Any]) -> None:
    project = make_project()
    for name in ("a_dies", "b_meddles", "c_other"):
        project.layer(name)
    project.settings("a_dies", "b_meddles", "c_other", **SMALL)
    project.commit()
    project.layer("a_dies", before="import os; os.abort()")
    project.layer("b_meddles", before="import torch; torch.set_default_dtype(torch.float64)")
    project.layer("c_other", before="shape = x.shape")
    rows = {row.name: row for row in exact(project).rows}
    assert rows["a_dies: layer"].outcome == "regressed"
    assert rows["a_dies: layer"].note.startswith("the candidate side was killed by SIGABRT")
    assert rows["a_dies: layer"].note.endswith(", twice")
    assert {row.outcome for row in rows.values() if row.layer == "c_other"} <= {"pass", "listed"}
    assert "c_other: output" not in rows
