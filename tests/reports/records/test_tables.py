"""What marked parts hold: marks are found and filled, costs are multiples of the plain convolution."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CostRecord
from coordbench.harness.core.trial import CostJob
from coordbench.harness.measure.table import SHAPES
from coordbench.harness.store.store import open_store
from coordbench.harness.store.travel.archive import write_archive
from coordbench.reports.records import exact, tables
from coordbench.reports.records.blocks import Block, blocks, filled, prose
from coordbench.reports.records.records import opened_records

RATIOS = {"conv": (1.0, 1.0), "coordconv": (1.0625, 1.3125), "geoconv": (1.125, 1.5)}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Costs of three layers at two shapes, and one counted claim."""
    with open_store(None, tmp_path / "store") as store:
        tasks = {shape: str(registry.select("task", task).selector) for shape, task in SHAPES.items()}
        facts = {"tasks": {task: _task() for task in tasks.values()}, "preset": {"name": "layers"}, "variants": {}}
        run = store.start_run("layers", "coordbench costs --out x --store", {"processor": "a"}, facts)
        for variant, ratios in RATIOS.items():
            for shape, ratio in zip(("large", "small"), ratios, strict=True):
                job = CostJob(Cell.of(tasks[shape], "stack", variant))
                spread = {"ratio": ratio, "low": ratio - 0.0625, "high": ratio + 0.0625}
                details: dict[str, object] = {"latency": {"ratios": {"forward_backward": spread, "forward": spread}}}
                details["memory"] = {"allocated": 1000 if variant == "conv" else 1250}
                cost = CostRecord("ok", peak_memory_bytes=7, details=details, environment={"processor": "an x|y"})
                [place] = store.add_items(run, [(job, Identity(repr(job), {}), {})])
                store.add(run, place, Identity(repr(job), {}), cost)
        write_archive(store, [run], tmp_path / "results" / "layers", note="load 1")
    count = exact.ExactCount("a", "f", "Counts <b>", "7", 7.5, "fails")
    exact.write_counts(tmp_path / "results", [count])
    return tmp_path / "results"


def _task() -> dict[str, object]:
    metric = {"name": "none", "unit": "", "better": "lower"}
    return {"suite": "costs", "metrics": [metric], "references": {}}


def _written(results: Path, words: str) -> str:
    name, *arguments = words.split()
    with opened_records(results, {}) as records:
        return tables.write(records, Block(name, tuple(arguments), ""))


def test_costs_are_multiples_of_the_plain_convolution(results: Path) -> None:
    lines = _written(results, "costs layers").splitlines()
    assert lines[2:] == [
        "| coordconv | 1.06 [1.00, 1.12] | 1.06 | 1.25 | 1.31 |",
        "| geoconv | 1.12 [1.06, 1.19] | 1.12 | 1.25 | 1.50 |",
    ]
    assert _written(results, "costs layers geoconv").splitlines()[2:] == lines[3:]
    assert _written(results, "cost layers geoconv small forward_backward") == "1.50"
    assert _written(results, "cost layers geoconv large memory") == "1.25"
    with pytest.raises(UsageError, match="holds no costs of involution"):
        _written(results, "costs layers involution")


def test_runs_and_claims_are_told_as_they_are(results: Path) -> None:
    line = _written(results, "runs").splitlines()[2]
    assert line.startswith("| layers | coordbench costs --store | 6 | 0 | 0 | an x\\|y |")
    assert _written(results, "exact").splitlines()[2] == "| Counts \\<b\\> | 7.50 | 7 | fails |"


def test_marks_within_a_sentence_stay_there() -> None:
    text = "It takes <!-- results: a b --><!-- end --> times.\n\n<!-- results: c -->\nold\n<!-- end -->\n"
    assert [block.words for block in blocks(text)] == ["a b", "c"]
    written = filled(text, lambda block: {"a": "1.06", "c": "| x |"}[block.name])
    assert written.startswith("It takes <!-- results: a b -->1.06<!-- end --> times.\n")
    assert written.endswith("<!-- results: c -->\n| x |\n<!-- end -->\n")
    assert filled(written, lambda block: block.content) == written
    assert prose(written) == "It takes  times.\n\n\n"
