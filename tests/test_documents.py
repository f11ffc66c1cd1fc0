"""What the documents show is true: each command is valid and runs, each file works, each link leads somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coordbench.harness.cli import main as cli
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.plan.preset import Preset, Sweep
from tests.documents import DOCUMENTS, OUTSIDE, ROOT, Block, blocks

SMALL = """
[run]
seeds = 1
cost_seconds = 0.05
[[sweep]]
tasks = ["coordinate_classification[canvas=16]"]
backbones = ["pixelwise"]
variants = ["conv"]
steps = 3
"""
PROJECT = """
[project]
name = "mine"
version = "1"
[tool.coordbench.gate]
plugins = ["my_layer.py"]
"""
ELSEWHERE = {
    "--acknowledge": "tests/harness/gate/test_accepted.py", "calibrate": "tests/harness/gate/test_calibrate.py",
    "results": "tests/harness/cli/test_results.py", "--bench": "tests/harness/gate/suites/test_suites.py",
    "bisect": "tests/harness/gate/bisect/test_bisect.py",
}  # fmt: skip
"""Commands that need a history of their own, and the tests that run them."""
SUBSTITUTES = {
    "quick": "small.toml", "standard": "small.toml", "translation": "positional_regression", "20": "1",
    "postgresql+psycopg://user@host/bench": "sqlite:///team.sqlite", "tcp://host:8786": "local:1", "8": "1",
    "32,16,24,24": "4,4,8,8",
}  # fmt: skip
"""Words of a command, and what a test puts in their place, so that it takes seconds and needs no server."""
MORE = {
    "submit": ["--preset", "small.toml", "--seeds", "1"], "costs": ["--seconds", "0.05"], "gate": ["--stages", "costs"],
}  # fmt: skip
FINE = {"verify": {0, 1, 3}, "gate": {0, 3}}
"""Exit codes that depend on how fresh the records are, and on the machine."""
EXECUTED = [path for path in DOCUMENTS if any(block.kind in ("command", "script") for block in blocks(path))]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_commands_are_valid(document: Path) -> None:
    for block in blocks(document):
        if block.kind == "command" and block.words != ["--version"]:
            assert callable(cli.parsed(block.words)), block.text
        if block.kind == "file" and not block.name:
            assert tomllib.loads(block.text), f"{document.name} shows a part of a preset that is none"


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(document: Path) -> None:
    prose = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        is_made = target.startswith("gallery/")  # by `nox -s docs`, which fails where one is missing
        assert is_made or (document.parent / target).exists(), f"{document.name} links to {target}, which is not there"


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_lines_of_a_shell_are_run_or_named(document: Path) -> None:
    for line in re.findall(r"^    ((?:pip|nox|dask|python|git|conda|uv) .*)$", document.read_text(), re.MULTILINE):
        assert line.startswith(OUTSIDE), line


def test_contributing_names_every_key_of_a_preset() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    keys = {item.name for kind in (Sweep, Preset) for item in fields(kind)} - {"name", "sweeps", "text"}
    assert not {key for key in keys if f"`{key}`" not in text}


def test_the_readme_is_short_and_its_layer_too() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 140
    (layer,) = (block for block in blocks(ROOT / "README.md") if block.kind == "file")
    assert len(layer.text.splitlines()) <= 30


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What documents take for granted: a git repository with a layer, photographs, records, and a run in the store."""
    (tmp_path / "small.toml").write_text(SMALL)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "photographs").mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 255, (240, 240), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photographs" / f"{number}.png")
    shutil.copytree(ROOT / "results" / "quick", tmp_path / "results" / "quick")
    (tmp_path / ".gitignore").write_text("coordbench-results\n")
    _run(tmp_path, "new", "layer", "my_layer.py")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    for words in ("init -q", "add .", "commit -qm all", "update-ref refs/remotes/origin/main HEAD"):
        subprocess.run([*git, *words.split()], cwd=tmp_path, check=True)
    _run(tmp_path, "run", "small.toml", "--plugin", "my_layer.py", "--variants", "conv", "my_layer")
    for store in ("other.sqlite", "team.sqlite"):
        shutil.copy(tmp_path / "coordbench-results" / "results.sqlite", tmp_path / store)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("document", EXECUTED, ids=_name)
def test_every_block_works(document: Path, project: Path) -> None:
    """In their order, with presets of a few steps in place of the built-in ones."""
    for block in blocks(document):
        if block.name:
            _write(project / block.name, block.text)
        elif block.kind == "script":
            _script(project, block.text)
        elif not any(word in ELSEWHERE for word in block.words):
            _run(project, *_short(project, block))


def _short(project: Path, block: Block) -> list[str]:
    """A command that takes seconds; a file that `new` is to write is moved away, and a preset made short."""
    words = [SUBSTITUTES.get(word, word) for word in block.words]
    if words[0] == "gate":
        words = ["my_layer" if word == "coordconv" else word for word in words]
    if words[0] == "new":
        (project / words[2]).unlink(missing_ok=True)
    for word in words:
        if word.endswith(".toml") and (project / word).is_file():
            _write(project / word, (project / word).read_text())
    return words + [word for word in MORE.get(words[0], []) if "--stages" not in words]


def _write(path: Path, text: str) -> None:
    """A file as the document has it, but for numbers of seeds and steps."""
    if path.suffix == ".toml":
        text = re.sub(r"seeds = \d+", "seeds = 1", re.sub(r"steps = \d+", "steps = 3", text))
        text = re.sub(r"learning_rates = .*", "", re.sub(r"looks = .*", "", text))
    path.write_text(text)


def _script(project: Path, text: str) -> None:
    """A script as a reader would run it, with the small preset; functions that are shown alone are only defined."""
    (project / "script.py").write_text(text.replace('"quick"', '"small.toml"'))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=project, env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == ExitCode.OK, text + done.stderr


def _run(project: Path, *words: str) -> None:
    command: Sequence[str] = [sys.executable, "-m", "coordbench", *words]
    done = subprocess.run(command, cwd=project, env=_environment(), capture_output=True, text=True)
    assert done.returncode in FINE.get(words[0], {0}), f"coordbench {' '.join(words)}\n{done.stderr}{done.stdout}"


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with real pages in its gallery; a broken link or a page that no menu names is an error."""
    folder = tmp_path_factory.mktemp("site")
    for command in (
        ["docs/site/gallery.py", str(folder / "gallery")],
        ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder / "site")],
    ):
        variables = _environment() | {"COORDBENCH_GALLERY": str(folder / "gallery")}
        done = subprocess.run([sys.executable, *command], cwd=ROOT, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
    return folder / "site"


@pytest.mark.slow
def test_the_site_is_whole_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = {path.name: path.read_text() for path in site.glob("*.html")}
    assert 'id="coordconv"' in pages["layers_one_by_one.html"]
    assert all(
        f'id="coordbench.harness.api.functions.{name}"' in pages["api.html"] for name in ("run", "load", "check")
    )
    assert "peak_memory_bytes" in pages["api.html"]
    for name, text in pages.items():
        loaded = re.findall(r'<(?:script|img|link|iframe)[^>]*(?:src|href)="(https?:[^"]+)"', text)
        assert not [url for url in loaded if "canonical" not in url], f"{name} loads {loaded}"
    for name in ("quick", "submission", "gate", "profile"):
        assert (site / "gallery" / f"{name}.html").stat().st_size > 10_000
