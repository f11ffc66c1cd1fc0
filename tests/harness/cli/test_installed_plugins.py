"""Plug-ins that come by an entry point of a package that pip installed: their names are held to the same rules."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.registry import plugins
from tests.conftest import TOY
from tests.harness.cli.test_hostile_names import HOSTILE, PRESET, TASK

ROOT = Path(__file__).parents[3]
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "evil-layers"
version = "1.0"
[project.entry-points."coordbench.plugins"]
evil = "evil_layers"
[tool.hatch.build]
include = ["evil_layers.py", "toy_helper.py"]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip built and installed a package with an entry point of ours."""
    project = tmp_path_factory.mktemp("project")
    (project / "pyproject.toml").write_text(PROJECT)
    (project / "evil_layers.py").write_text(TOY + HOSTILE)
    (project / "toy_helper.py").write_text("SIZE = 8\n")
    target = project / "installed"
    options = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(target))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(project)], check=True, capture_output=True)
    return target


@pytest.fixture
def _loaded_anew(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package is there, and was not loaded yet."""
    registry.load()
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setattr(plugins, "_loaded", plugins._loaded - {"plugins"})
    sys.modules.pop("evil_layers", None)
    yield
    registry.unload_plugin(str(installed / "evil_layers.py"))


SPLITS = ("validation", "test")
REFUSED = "'evil_layers' of the installed package 'evil-layers': .*"


@pytest.mark.usefixtures("_loaded_anew")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (TASK.format(name="t", suite="two\nlines", metrics="(Metric('m'),)", splits=SPLITS), "suite .* is not valid"),
        (TASK.format(name="t", suite="s", metrics="(Metric('\u202em'),)", splits=SPLITS), "metric .* is not valid"),
        (
            TASK.format(name="t", suite="s", metrics="(Metric('m'),)", splits=(*SPLITS, "a\0")),
            "split .* is not valid",
        ),
        ("from coordbench import variant\nvariant('../up', source='')", "variant '../up' cannot be named so"),
        ("raise SystemExit('left')", "SystemExit: left"),
        ("import no_such_module_1", "No module named 'no_such_module_1'"),
    ],
)
def test_an_installed_plug_in_of_bad_names_is_refused_in_one_line(source: str, message: str, installed: Path) -> None:
    file, before = installed / "evil_layers.py", plugins.files()
    text = file.read_text()
    file.write_text(source)
    try:
        with pytest.raises(UsageError, match=REFUSED + message) as fault:
            registry.load()
    finally:
        file.write_text(text)
    assert str(fault.value).isprintable()
    assert len(str(fault.value)) < 400
    assert plugins.files() == before


@pytest.mark.usefixtures("_loaded_anew")
def test_an_installed_plug_in_of_odd_names_is_there(installed: Path) -> None:
    registry.load()
    assert registry.entry("task", "evil_task").file == str(installed / "evil_layers.py")


@pytest.mark.slow
def test_an_installed_plug_in_of_odd_names_is_run_and_its_records_are_used_again(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "evil.toml").write_text(PRESET)
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}
    command = [sys.executable, "-m", "coordbench", "run", "evil.toml", "--out", "out"]
    for reused in (0, 4):
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"4 ok ({reused} reused)" in done.stdout
