"""What the README shows works: each block of Python is a plug-in, each preset runs, each command is known."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from coordbench.harness.plan.preset import Preset, Sweep

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
PLUGINS = [text for language, text in BLOCKS if language == "python"]
PRESETS = [text for language, text in BLOCKS if language == "toml"]


def _coordbench(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "coordbench", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def commands() -> set[str]:
    """The commands that `coordbench --help` names."""
    (names,) = re.findall(r"\{([a-z,]+)\}", _coordbench(ROOT, "--help").partition("\n")[0])
    return set(names.split(","))


def test_every_block_is_tried() -> None:
    assert len(PLUGINS) == 2
    assert len(PRESETS) == 1
    assert {language for language, _ in BLOCKS} <= {"python", "toml"}


def test_the_layer_obeys_the_laws(tmp_path: Path) -> None:
    (layer,) = (text for text in PLUGINS if "@variant" in text)
    (tmp_path / "row_scaled.py").write_text(layer)
    _coordbench(tmp_path, "check", "row_scaled.py")


def test_the_task_is_run_by_the_preset(tmp_path: Path) -> None:
    """The README's task and preset as they stand, but for the number of steps and the length of timings."""
    (task,) = (text for text in PLUGINS if "@task" in text)
    (tmp_path / "lit_column.py").write_text(task)
    short = re.sub(r"steps = \d+", "steps = 2", PRESETS[0]).replace("[run]", "[run]\ncost_seconds = 0.05")
    (tmp_path / "lit.toml").write_text(short)
    _coordbench(tmp_path, "run", "lit.toml", "--plugin", "lit_column.py", "--seeds", "1", "--out", "out")
    assert list((tmp_path / "out").rglob("*.html"))


def test_contributing_names_every_key_of_a_preset() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    keys = {item.name for kind in (Sweep, Preset) for item in fields(kind)} - {"name", "sweeps", "text"}
    assert not {key for key in keys if f"`{key}`" not in text}


@pytest.mark.parametrize("document", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda p: p.name)
def test_documents_name_commands_and_files_that_exist(document: Path, commands: set[str]) -> None:
    text = document.read_text(encoding="utf-8")
    for command in re.findall(r"(?:^|`)\s*coordbench ([a-z|]+)", text, re.MULTILINE):
        assert set(command.split("|")) <= commands, f"coordbench {command}"
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        assert (document.parent / target).exists(), f"{document.name} links to {target}, which does not exist"
