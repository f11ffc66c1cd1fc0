"""`coordbench list claims`: the whole ledger by kind, counts that add up, exact claims decided."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from coordbench.harness.cli.main import run
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.reports.claims import reading

FAMILY = """
source = "Somebody 2020"

[[claim]]
id = "one"
kind = "direction"
sentence = "CoordConv detects better."
task = "digit_detection"
options = { batch = "8" }
left = { variant = "coordconv", backbone = "rpn" }
right = { variant = "conv", backbone = "rpn" }
relation = ">"
value = 0
differs = "All of it."
"""


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


def test_what_records_say_to_each_claim_is_listed_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "claims", "--run", "results/vae_upsampling", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["geoconv-saves-parameters"]["verdict"] == "holds"
    assert rows["detection"] == rows["detection"] | {
        "verdict": "not run", "measured": None, "run": "", "remark": "the preset detection would test it"
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [["claims", "--run", "docs"], ["claims", "--run", "none"], ["tasks", "--run", "x"]]
)
def test_a_run_that_is_none_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["list", *arguments, "--out", str(tmp_path)]) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert (printed.err.count("\n"), printed.out) == (1, "")


RENDERING = """
[[claim]]
id = "rendering"
kind = "figure"
sentence = "A deconvolution renders with an IoU of 0.36 at most in the quadrant."
task = "coordinate_rendering"
measure = "level"
options = { split = "quadrant" }
left = { variant = "conv", backbone = "deconv" }
relation = "<"
value = 0.36
published = "IoU at most 0.36"
provenance = "blog"
differs = "Smaller."
"""


def test_a_plan_says_which_claims_it_could_not_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 32 px a square in the unseen quadrant overlaps the nearest seen one by more than the published figure."""
    _write_family(FAMILY + RENDERING, tmp_path, monkeypatch)
    preset = tmp_path / "preset.toml"
    sweep = '[[sweep]]\ntasks = ["coordinate_rendering[canvas={}, split=quadrant]"]\n'
    text = "".join(
        sweep.format(canvas) + 'backbones = ["deconv"]\nvariants = ["conv"]\nsteps = 1\n' for canvas in (32, 48)
    )
    preset.write_text("[run]\nseeds = 1\n" + text)
    assert run(["run", str(preset), "--dry-run", "--out", str(tmp_path)]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if "refused" in line]
    assert line.startswith("claim 'rendering' is refused: its threshold of 0.360 lies inside the ")
    assert line.endswith(
        "floor of 0.418 that nearest_square reaches on coordinate_rendering[canvas=32, split=quadrant]"
    )


def test_a_family_of_ones_own_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_family(FAMILY, tmp_path, monkeypatch)
    assert run(["list", "claims"]) == ExitCode.OK


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "direction"', 'kind = "guess"', "kind='guess' is not valid; expected one of exact, direction, figure"),
        ('kind = "direction"', 'kind = "control"', "family mine.toml has no primary claim; one needs kind = "),
        (
            'variant = "coordconv"',
            'variant = "coordconv[radius=true]"',
            "claim 'one': no preset plans coordconv[radius",
        ),
        ('kind = "direction"', 'kind = "figure"', "published = 'no figure' has no provenance; valid: seed, paper, "),
        (
            'differs = "All of it."',
            'published = "12 %"\ndiffers = "-"',
            "published = '12 %' has no provenance; valid: ",
        ),
    ],
)
def test_a_broken_family_is_one_line_and_exit_2(
    old: str,
    new: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert old in FAMILY
    _write_family(FAMILY.replace(old, new, 1), tmp_path, monkeypatch)
    assert run(["list", "claims"]) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert message in printed.err
    assert (printed.err.count("\n"), printed.out) == (1, "")


def _write_family(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    families = folder / "families"
    families.mkdir()
    (families / "mine.toml").write_text(text)
    monkeypatch.setattr(reading, "FOLDER", families)
