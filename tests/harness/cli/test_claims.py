"""`coordbench list claims`: the whole ledger by kind, counts that add up, exact claims decided."""

from __future__ import annotations

import json
import re

import pytest

from coordbench.harness.cli.main import run


def test_the_ledger_is_listed_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "claims"]) == 0
    blocks = capsys.readouterr().out.strip().split("\n\n")
    counts = {title[1]: int(title[0]) for title in (block.split(":")[0].split(" ") for block in blocks[:-1])}
    assert list(counts) == ["exact", "direction", "figure", "control"]
    assert [len(block.splitlines()) - 1 for block in blocks[:-1]] == list(counts.values())
    assert blocks[-1] == f"{sum(counts.values())} claims: " + ", ".join(f"{n} {kind}" for kind, n in counts.items())
    assert len(re.findall(r"\[(?:holds|fails): ", blocks[0])) == counts["exact"]
    assert all("published: " in line for line in blocks[2].splitlines()[1:])


def test_the_ledger_as_json_says_what_tests_a_claim(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "claims", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["geoconv-saves-parameters"]["measured"] == 1728
    assert rows["detection"]["differs"]
    assert "claims" in rows["detection"]["presets"]
    assert rows["center-coordconv-worse"]["after"] == "center-coordconv"
    assert {row["provenance"] for row in rows.values() if row["kind"] == "figure"} <= {"seed", "paper", "blog", "code"}
