"""What documents say was measured is what the runs of record say; those stay small, and are what was stored."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from coordbench.harness.cli import main as cli
from coordbench.harness.cli.results import differences, documents_of
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.store.travel import manifest
from coordbench.harness.store.travel.archive import NAMES
from coordbench.reports.records.blocks import prose
from coordbench.reports.records.records import folders, opened_records

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
RUNS = folders(RESULTS)
MEASURED = re.compile(r"\d\.\d\d|\d %|\d dB|\[\d[\d.]*, \d")
"""How a measurement is written: two digits behind the point, a percentage, decibels, an interval."""


def test_documents_say_what_the_records_say() -> None:
    with opened_records(RESULTS, {}) as records:
        wrong = [line for path in documents_of(RESULTS) for line in differences(path, records)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("document", "start", "end"),
    [
        ("README.md", "## What it says so far", "## Development"),
        ("docs/findings.md", "# Findings", "## Withdrawn"),
        ("docs/layers.md", "# What each layer costs", "## What a shift"),
        ("results/README.md", "# Runs of record", ""),
    ],
)
def test_no_measurement_is_written_by_hand(document: str, start: str, end: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    part = text[text.index(start) : text.index(end) if end else None]
    assert not MEASURED.findall(re.sub(r"`[^`]*`|95 %", "", prose(part)))


def test_runs_of_record_stay_small() -> None:
    sizes = {path: sum(file.stat().st_size for file in path.rglob("*")) for path in RUNS}
    assert sizes
    assert max(sizes.values()) <= 3 << 20
    assert sum(file.stat().st_size for file in RESULTS.rglob("*")) <= 20 << 20


@pytest.mark.parametrize("folder", RUNS, ids=lambda path: path.name)
def test_no_run_of_record_was_altered(folder: Path) -> None:
    assert cli.run(["verify", str(folder), "--data-only"]) == ExitCode.OK


def _alter(folder: Path) -> None:
    """Change a single score by a little, and make the hash of the file true."""
    path = folder / "scores.parquet"
    table = pq.read_table(path)
    first = pa.chunked_array([[1e-9] + [0.0] * (len(table) - 1)])
    values = pc.add(table["value"], first)
    pq.write_table(table.set_column(table.schema.get_field_index("value"), "value", values), path)
    known = manifest.read_manifest(folder, NAMES)
    import hashlib

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    tables = {**known.tables, "scores": manifest.TableFile(digest, len(table))}
    manifest.Manifest(known.runs, tables, known.note).write(folder)


def test_a_number_that_was_changed_by_hand_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "quick"
    shutil.copytree(RESULTS / "quick", folder)
    _alter(folder)
    assert cli.run(["verify", str(folder), "--data-only"]) == ExitCode.REGRESSED
    assert cli.run(["verify", str(folder), "--sample", "1"]) == ExitCode.REGRESSED
    assert "1 altered" in capsys.readouterr().out  # it is seen whether it is drawn or not


@pytest.mark.slow
def test_a_committed_run_is_verified_in_a_fresh_clone(tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "clone")], check=True)
    command = [sys.executable, "-m", "coordbench", "verify", "results/quick", "--sample", "20"]
    done = subprocess.run(command, cwd=tmp_path / "clone", capture_output=True, text=True)
    answers = {line[:16].strip() for line in done.stdout.splitlines()[:-1]}
    assert answers <= {"verified", "within tolerance", "stale"}, done.stdout
