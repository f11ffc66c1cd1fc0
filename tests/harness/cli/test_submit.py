"""A layer goes from its file to a verified row by two commands; a submission is read as data, and never run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from coordbench.harness.cli import main as cli
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.registry import catalog, plugins
from coordbench.harness.store.travel.submission import FILE, check_submission

ROOT = Path(__file__).parents[3]
PRESET = """
[run]
seeds = 1
[[sweep]]
tasks = ["coordinate_regression[canvas=8]", "equivariance"]
backbones = ["stack"]
variants = ["conv"]
steps = 1
evaluations = 1
costs = false
"""


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer of the README, as it stands, in a file that leaves a trace wherever it is run."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (text,) = (text for text in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "@variant" in text)
    path = tmp_path_factory.mktemp("mine") / "row_scaled.py"
    trace = f"with open({str(path.with_name('trace'))!r}, 'a') as trace:\n    trace.write('x')"
    path.write_text(f"{text}\n\n{trace}\n")
    assert len(text.splitlines()) <= 30
    return path


@pytest.fixture(scope="module")
def submitted(layer: Path) -> Path:
    """The folder that the first command writes."""
    preset = layer.with_name("short.toml")
    preset.write_text(PRESET.replace('"coordinate_regression[canvas=8]", ', ""))
    folder, out = layer.with_name("submissions"), layer.with_name("out")
    arguments = [str(layer), "--preset", str(preset), "--suite", "translation", "--folder", str(folder)]
    assert cli.run(["submit", *arguments, "--out", str(out)]) == ExitCode.OK
    catalog.VARIANTS.pop("row_scaled")  # as if the command's process had ended
    plugins._loaded.discard(str(layer.resolve()))
    return folder / "row_scaled"


def test_two_commands_lead_from_a_file_to_verified_rows(submitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin = str(submitted / "row_scaled.py")
    assert cli.run(["verify", str(submitted), "--plugin", plugin, "--note"]) == ExitCode.OK
    printed = capsys.readouterr().out
    assert re.search(r"verified +row_scaled in stack on equivariance, seed 0", printed)
    notes = json.loads((submitted / "records" / "verified.json").read_text())
    assert {note["answer"] for note in notes} == {"verified"}
    assert cli.run(["verify", str(submitted), "--data-only"]) == ExitCode.OK


def test_a_submission_is_checked_without_running_it(submitted: Path, layer: Path) -> None:
    before = layer.with_name("trace").read_text()
    known, count = check_submission(submitted)
    assert (known.plugin, known.variants, known.suite) == ("row_scaled.py", ["row_scaled"], "translation")
    assert count >= 2
    assert layer.with_name("trace").read_text() == before


def _other_source(folder: Path) -> None:
    """A plug-in that is not the one that was trained, with its hash made true."""
    path = folder / "row_scaled.py"
    path.write_text(path.read_text().replace("1 + self.slope", "2 + self.slope"))
    _describe(folder, sources={"row_scaled.py": _hash(path)})


def _describe(folder: Path, **changes: object) -> None:
    content = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps(content | changes))


def _hash(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_other_source, "a record was made by another source row_scaled.py"),
        (lambda folder: (folder / "row_scaled.py").write_text("x = 1\n"), "is not the file that submission.json names"),
        (lambda folder: (folder / "preset.toml").write_text(""), "is not the file that submission.json names"),
        (lambda folder: (folder / "conftest.py").write_text(""), "'conftest.py' is missing, or has no place there"),
        (lambda folder: (folder / "records" / "a.py").write_text(""), "'a.py' is missing, or has no place there"),
        (lambda folder: (folder / "row_scaled.py").unlink(), "'row_scaled.py' is missing"),
        (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "is a link"),
        (lambda folder: (folder / "big").write_bytes(b"0" * (4 << 20)), "more than 3 MiB"),
        (lambda folder: _describe(folder, plugin="../row_scaled.py"), "is no name of a Python file"),
        (lambda folder: _describe(folder, variants=["conv2"]), "holds no record of conv2"),
        (lambda folder: _describe(folder, command="a\nb"), "is no line"),
        (lambda folder: _describe(folder, suite=1), "suite=1 is not valid"),
        (lambda folder: (folder / FILE).write_text("[" * 99999), "cannot be read"),
    ],
)
def test_an_unsound_submission_is_refused_in_one_line(
    spoil: Callable[[Path], object], message: str, submitted: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "row_scaled"
    shutil.copytree(submitted, folder)
    spoil(folder)
    with pytest.raises(UsageError, match=re.escape(message)) as refused:
        check_submission(folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "deblurring"], "has no contest of the suite 'deblurring'; valid: translation"),
        (["--variants", "conv"], "does not register 'conv'; valid: row_scaled"),
    ],
)
def test_what_cannot_be_submitted_is_a_mistake(
    arguments: list[str], message: str, layer: Path, submitted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["submit", str(layer), "--preset", str(layer.with_name("short.toml")), *arguments]
    assert cli.run(command) == ExitCode.USAGE
    assert message in capsys.readouterr().err


def test_the_workflow_runs_nothing_of_a_submission_where_credentials_are() -> None:
    text = (ROOT / ".github" / "workflows" / "submissions.yml").read_text(encoding="utf-8")
    validate, verify = re.split(r"\n  verify:\n", text)
    assert "--data-only" in validate
    assert "--plugin" not in validate
    assert "permissions: {}" in verify
    assert "secrets." not in text
    assert all(shlex.split(line)[1:2] == ["verify"] for line in re.findall(r"^ +(coordbench .*)$", text, re.MULTILINE))
