"""Files beside the page: every table reads back, every figure is a figure, and claims decide what they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.store import Store
from reports import claims, tables
from reports.exports import export_report


def test_every_table_and_figure_is_a_file(store: Store, fill: Any, tmp_path: Path) -> None:
    name = fill(["conv", "coordconv"], 5, ["alpha[canvas=8]"])
    written = {path.name: path for path in export_report(store, name, tmp_path / "files")}
    board = tables.leaderboard(name, store=store)
    back = pd.read_parquet(written["leaderboard.parquet"])
    assert back["score"].tolist() == pytest.approx(board["score"].tolist())
    assert len(pd.read_csv(written["trials.csv"])) == 20
    assert r"alpha[canvas=8]" in written["leaderboard.tex"].read_text()
    assert r"\textbackslash" not in written["failures.tex"].read_text()
    assert "▲" in written["summary.md"].read_text()
    assert written["performance-profile.png"].read_bytes().startswith(b"\x89PNG")
    assert sum(path.suffix == ".svg" for path in written.values()) == 3


@pytest.mark.parametrize(
    ("relation", "value", "verdict"), [(">", 0.5, "holds"), ("<", 0.5, "fails"), (">", 0.6, "inconclusive")]
)
def test_claims_hold_fail_or_stay_open(store: Store, fill: Any, relation: Any, value: float, verdict: str) -> None:
    run = tables.load(fill(["conv", "coordconv"], 6, ["alpha[canvas=8]"]), store=store)
    sides = {"left": {"variant": "coordconv", "backbone": "net"}, "right": {"variant": "conv", "backbone": "net"}}
    claim = claims.Claim("c", "s", "coordconv leads by so much", "alpha", relation=relation, value=value, **sides)
    other = claims.Claim("d", "s", "about nothing here", "gamma", relation=">", value=0, **sides)
    found = claims.ledger(run, [claim, other])
    assert found[0].measured == pytest.approx(0.6, abs=0.02)
    assert [f.verdict for f in found] == [verdict, "not run"]


def test_the_ledger_is_well_formed() -> None:
    ledger = claims.read_claims()
    assert len({claim.id for claim in ledger}) == len(ledger) > 50
    assert all(claim.right for claim in ledger if claim.measure != "level")
