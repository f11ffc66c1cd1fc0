"""The functions of the package: one small run by its dictionary, a class among its layers, and all that it answers."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import coordbench as cb
from coordbench.harness.api import columns
from coordbench.harness.cli import main as cli
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.run import identity
from coordbench.harness.run.sources import files
from tests.conftest import TOY
from tests.harness.conftest import restored_registry

ROOT = Path(__file__).parents[3]
FACTOR = 2.0
PRESET = {
    "run": {"seeds": 2, "deadline_seconds": 60, "memory_gib": 0.5},
    "sweep": [{"tasks": ["toy"], "backbones": ["toy_net"], "variants": ["conv"], "steps": 4, "costs": False}],
}


class DoubledConv(nn.Module):
    """A convolution whose output is doubled."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.pad = nn.ZeroPad1d(((kernel_size - 1) // 2, kernel_size // 2))
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size, stride, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C_in, W) -> (N, C_out, W)."""
        return FACTOR * self.conv(self.pad(x))


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy task as a file."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "toy_helper.py").write_text("SIZE = 8\n")
    path = folder / "toy_task.py"
    path.write_text(TOY)
    return path


@pytest.fixture(scope="module")
def run(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[cb.Run]:
    out = tmp_path_factory.mktemp("out")
    with restored_registry():
        yield cb.run(PRESET, variants=["conv", DoubledConv], plugin=plugin, workers=1, out=out)


def test_a_class_takes_part_under_its_name_as_a_plug_in_that_has_an_identity(run: cb.Run, plugin: Path) -> None:
    assert run.variants == ["conv", "doubled_conv"]
    assert run.trials["status"].eq("ok").all()
    assert run.page is not None
    (file,) = (run.page.parent / "plugins").rglob("doubled_conv.py")
    assert "FACTOR = 2.0" in file.read_text()  # what the class uses of the notebook, too
    assert identity.of_plugins([str(file)]) != identity.of_plugins([str(plugin)])


def test_the_same_class_again_reuses_all_records(run: cb.Run, plugin: Path) -> None:
    assert run.page is not None
    again = cb.run(PRESET, variants=["conv", DoubledConv], plugin=plugin, out=run.page.parent, report=False)
    assert again.page is None
    assert again.trials["seconds"].equals(run.trials["seconds"])  # measured times: nothing was trained again


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "claims" else []) for name in columns.TABLES]
)
def test_a_table_has_the_columns_that_are_documented(run: cb.Run, name: str) -> None:
    table, described = getattr(run, name), run.columns(name)
    assert list(table.columns) == described["column"].tolist()
    assert described["meaning"].str.len().gt(0).all()
    assert set(table.attrs["units"]) == set(described.loc[described["unit"] != "", "column"])


def test_every_quantity_has_a_unit() -> None:
    """A number is counted, measured in something, or on the scale of its metric."""
    names = {"seconds", "bytes", "flops", "parameters", "ratio", "score", "value", "low", "high", "difference"}
    for described in columns.TABLES.values():
        for column in described:
            if set(column.name.split("_")) & names:
                assert column.unit, column.name


def test_tables_say_what_was_trained(run: cb.Run) -> None:
    assert len(run.trials) == 8  # two layers, a floor and a ceiling, by two seeds
    tests = run.scores[(run.scores["split"] == "test") & (run.scores["variant"] == "conv")]
    assert tests["value"].tolist() == run.trials.loc[run.trials["variant"] == "conv", "score"].tolist()
    assert run.verdicts[["variant", "baseline", "pairs"]].to_numpy().tolist() == [["doubled_conv", "conv", 2]]
    assert run.against("doubled_conv")["difference"].tolist() == [-run.verdicts["difference"].iloc[0]]
    assert set(run.curves["metric"]) >= {"train/loss", "validation/mse"}
    assert run.contests["task"].tolist() == ["toy"]


def test_a_figure_is_drawn_and_what_cannot_be_is_said(run: cb.Run) -> None:
    assert len(run.figure("curves", 0).axes) == 1
    assert len(run.figure("curves", "toy").axes) == 1
    for kind, contest, message in (
        ("curve", 0, "unknown figure 'curve'; did you mean 'curves'?"),
        ("curves", 7, "contest 7 names 0 contests of this run; valid: 0: toy, toy_net"),
        ("shift_errors", None, "holds nothing to draw 'shift_errors' from"),
    ):
        with pytest.raises(UsageError, match=re.escape(message)):
            run.figure(kind, contest)


def test_a_notebook_shows_the_grid_and_a_console_its_lines(run: cb.Run) -> None:
    shown = run._repr_html_()
    assert "doubled_conv" in shown
    assert "toy_net" in shown
    assert run.name in repr(run)
    assert "doubled_conv: open 1 of 1" in repr(run)


def test_a_run_is_loaded_and_its_command_runs_the_same(run: cb.Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.page is not None
    out = run.page.parent
    loaded = cb.load(run.name, out=out)
    assert loaded.page == run.page
    pd.testing.assert_frame_equal(loaded.trials, run.trials)
    assert loaded.figure("curves", 0).axes  # read from the store again
    words = shlex.split(loaded._stored.facts.command)
    assert cli.run([*words[1:], "--dry-run"]) == ExitCode.OK
    assert "8 trials, 0 to run" in capsys.readouterr().out


def test_records_of_a_folder_are_loaded_with_their_curves() -> None:
    loaded = cb.load(store=str(Path(__file__).parents[3] / "results" / "center_pilot"))
    assert loaded.page is None
    assert "geoconv" in set(loaded.trials["variant"])
    assert loaded.figure("curves", 0).axes


def test_a_mistake_is_a_usage_error_of_one_line(tmp_path: Path) -> None:
    mistakes = (
        (lambda: cb.run("quik", out=tmp_path), "unknown preset 'quik'"),
        (lambda: cb.run({"run": {}}, out=tmp_path), "preset 'notebook' holds no sweep"),
        (lambda: cb.run(variants=["conf"], out=tmp_path), "unknown variant 'conf'"),
        (lambda: cb.load(out=tmp_path), "there is no store"),
        (lambda: cb.load(store=str(tmp_path)), "is no source of records; give a folder of records"),
        (lambda: cb.costs(["conv"], shape="huge", out=tmp_path), "unknown shape 'huge'; valid: small, large, wide"),
        (lambda: cb.costs(["conv"], seconds=0, out=tmp_path), "seconds=0 must be positive"),
        (lambda: cb.profile("conv", shape=(1, 2), out=tmp_path), "--shape '1,2' is not valid"),
        (lambda: cb.check("nowhere.py", out=tmp_path), "is not a file"),
        (lambda: cb.check(nn.Identity, out=tmp_path), "Identity is no layer that can be built by"),
    )
    for call, message in mistakes:
        with pytest.raises(UsageError, match=re.escape(message)) as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.slow
def test_costs_profiles_and_checks_of_a_class(tmp_path: Path) -> None:
    checks = cb.check(DoubledConv, out=tmp_path)
    assert checks["passed"].all(), checks[~checks["passed"]]
    table = cb.costs(["conv", "coordconv"], seconds=0.05, out=tmp_path)
    assert set(table["variant"]) == {"conv", "coordconv"}
    profiled = cb.profile(DoubledConv, shape=(4, 4, 64), out=tmp_path)
    assert profiled.page.is_file()
    assert "doubled_conv" in repr(profiled)
    assert len(profiled.operators)


def test_the_package_offers_what_its_types_say_and_imports_it_when_asked() -> None:
    stub = (Path(cb.__file__).parent / "__init__.pyi").read_text()
    assert set(re.findall(r"as (\w+)$", stub, re.MULTILINE)) == set(cb.__all__)
    assert set(cb.__all__) <= set(dir(cb))
    code = "import sys, coordbench; print('coordbench.harness.api' in sys.modules, coordbench.run.__name__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False run\n"
    with pytest.raises(AttributeError, match="has no attribute 'runs'"):
        cb.runs  # type: ignore[attr-defined]  # noqa: B018


def test_a_plug_in_depends_on_no_table_and_no_figure(run: cb.Run) -> None:
    assert run.page is not None
    (file,) = (run.page.parent / "plugins").rglob("doubled_conv.py")
    names = {path.relative_to(ROOT).parts[:2] for path in files.closure(frozenset([file])) if files.is_ours(path)}
    assert names == {("coordbench", "__init__.py")}
