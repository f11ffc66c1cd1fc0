"""A real run of layers that raise, give NaN, hang and kill their process, beside healthy ones: the page is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordbench.harness.cli.main import run
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.store.store import open_store
from coordbench.reports.files.exports import export_report
from tests.reports.pages.test_page import read

PLUGIN = Path(__file__).with_name("broken_layers.py")
PRESET = """
[run]
seeds = 2
deadline_seconds = 10
[[sweep]]
tasks = ["coordinate_classification[canvas=16]"]
backbones = ["pixelwise"]
variants = ["conv", "coordconv", "raises", "not_a_number", "hangs", "kills"]
steps = 20
"""


@pytest.mark.slow
def test_every_kind_of_failure_still_makes_a_whole_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preset = tmp_path / "broken.toml"
    preset.write_text(PRESET)
    out = tmp_path / "out"
    assert run(["run", str(preset), "--plugin", str(PLUGIN), "--out", str(out)]) == ExitCode.TRIALS_FAILED
    lines = capsys.readouterr().out.splitlines()
    assert "  hangs: no score, all 2 trials failed" in lines
    text = " ".join(" ".join(read(Path(lines[-1].removeprefix("report: "))).text).split())
    for failed, status in (
        ("raises", "error"),
        ("not_a_number", "diverged"),
        ("hangs", "timeout"),
        ("kills", "crashed"),
    ):
        assert f"{failed} has no score: all 2 trials failed ({status})." in text
    assert "this layer <b>always</b> raises & fails" in text
    assert "Layers that fail in every way a layer can." in text  # the file's summary: the classes have none
    assert "Base class for all neural network modules" not in text
    assert PRESET.strip().splitlines()[0] in text  # the page carries what made it
    with open_store(None, out) as store:
        assert len(export_report(store, store.resolve_run(None), tmp_path / "files")) > 30
