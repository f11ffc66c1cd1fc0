"""`coordbench profile`: its files, its exit codes, and layers that raise, hang or kill their process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from coordbench.harness.cli import main as cli
from coordbench.harness.core import registry
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.profiling.request import ProfileError, ProfileRequest, in_fresh_process
from coordbench.harness.profiling.shape import LayerShape
from coordbench.harness.profiling.work import profiles

ROOT = Path(__file__).parents[3]
BAD = """
import os, time
import torch
from torch import nn
from coordbench import variant

class Bad(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, *, size, stride=1, bias=True):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=bias)

@variant("raises", source="")
class Raises(Bad):
    def forward(self, x):
        raise ArithmeticError("no such number")

@variant("hangs", source="")
class Hangs(Bad):
    def forward(self, x):
        time.sleep(60)

@variant("dies", source="")
class Dies(Bad):
    def forward(self, x):
        os.kill(os.getpid(), 9)
"""
SHAPE = ["--shape", "2,4,8,8"]


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.py"
    path.write_text(BAD)
    return path


def test_a_profile_prints_a_table_and_writes_page_and_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["profile", "coordconv", *SHAPE, "--json", "--out", str(tmp_path)]) == ExitCode.OK
    measured, base = json.loads(capsys.readouterr().out)
    assert (measured["label"], base["label"]) == ("coordconv", "conv")
    assert sum(row["seconds"] for row in measured["rows"]) == pytest.approx(measured["seconds"])
    page = (tmp_path / "profiles" / "coordconv.html").read_text()
    assert "coordconv against conv" in page
    assert len(page) < 2**20
    assert "http" not in page.replace("http://www.w3.org", "")  # nothing to fetch
    trace = json.loads((tmp_path / "profiles" / "coordconv.trace.json").read_text())
    assert any("variants/coordconv.py" in str(event.get("name")) for event in trace["traceEvents"])


def test_a_whole_training_step_has_data_forward_backward_and_optimizer(tmp_path: Path, toy: Path) -> None:
    registry.load_plugin(toy)
    command = ["profile", "conv", "--task", "toy", "--against", "none", "--plugin", str(toy), "--out", str(tmp_path)]
    assert cli.run(command) == ExitCode.OK
    page = (tmp_path / "profiles" / "toy-conv.html").read_text()
    for part in ("forward", "backward", "optimizer"):
        assert f'"name": "{part}"' in page


@pytest.mark.parametrize(
    ("layer", "message"),
    [("raises", "(error): ArithmeticError: no such number"), ("dies", "(crashed): the process was killed by SIGKILL")],
)
def test_a_layer_that_fails_is_one_line_and_no_page(
    layer: str, message: str, bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["profile", layer, *SHAPE, "--plugin", str(bad), "--out", str(tmp_path)]
    assert cli.run(command) == ExitCode.TRIALS_FAILED
    error = capsys.readouterr().err
    assert f"{layer} cannot be profiled {message}" in error
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob("*.html"))


def test_a_layer_that_hangs_is_ended(bad: Path) -> None:
    registry.load_plugin(bad)
    request = ProfileRequest(("hangs",), LayerShape((2, 4, 8, 8)), plugins=(str(bad),))
    with pytest.raises(ProfileError, match=r"hangs cannot be profiled \(timeout\)"):
        in_fresh_process(profiles, request, deadline=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["coordcnv"], "unknown variant 'coordcnv'; did you mean 'coordconv'?"),
        (["conv", "--shape", "3,x"], "--shape '3,x' is not valid; write N,C and one to three sizes"),
        (["conv", "--kernel", "0"], "--kernel 0 and --stride 1 must be at least 1"),
        (["coordconv", "--shape", "2,4,8,8,8,8"], "coordconv refuses the shape (2, 4, 8, 8, 8, 8)"),
        ([], "profile needs a LAYER, such as coordconv"),
        (["conv", "--task", "center_of_mass", "--backbone", "unet"], "takes no backbone 'unet'; valid: "),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["profile", *arguments]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_run_links_the_profile_of_each_network_in_its_costs(toy: Path, tmp_path: Path) -> None:
    preset = tmp_path / "costs.toml"
    preset.write_text(
        '[run]\nseeds = 1\n[[sweep]]\ntasks = ["toy"]\nbackbones = ["toy_net"]\n'
        'variants = ["conv", "coordconv"]\nsteps = 2\n'
    )
    out = tmp_path / "out"
    assert cli.run(["run", str(preset), "--plugin", str(toy), "--out", str(out), "--profile"]) == ExitCode.OK
    [page] = out.glob("2*.html")
    for variant in ("conv", "coordconv"):
        assert f'href="profiles/toy-toy_net-{variant}.html"' in page.read_text()
        assert (out / "profiles" / f"toy-toy_net-{variant}.html").is_file()


def test_the_page_is_there_when_nobody_reads_the_table_to_its_end(tmp_path: Path) -> None:
    command = f"{sys.executable} -m coordbench profile conv --against none --shape 2,4,8,8 --out {tmp_path} | true"
    subprocess.run(["bash", "-c", command], cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "profiles" / "conv.html").is_file()
