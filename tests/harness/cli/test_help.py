"""What the command line says of itself: valid examples, words for values, no default that tells nothing."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from coordbench.harness.cli import main as cli
from coordbench.harness.cli.arguments import EXAMPLES
from coordbench.harness.cli.listing import aligned
from coordbench.harness.core.exit_codes import ExitCode

ROOT = Path(__file__).parents[3]


def test_every_command_has_an_example_that_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == ExitCode.OK
    (names,) = (line.partition("{")[2].partition("}")[0] for line in capsys.readouterr().out.splitlines()[:1])
    assert set(names.split(",")) == set(EXAMPLES)
    for name, example in EXAMPLES.items():
        words = shlex.split(example.partition(">")[0])
        assert words[0] == name
        assert callable(cli.parsed(words)), example  # parsed only: nothing is run


def test_help_names_values_and_tells_no_empty_default(capsys: pytest.CaptureFixture[str]) -> None:
    for name in EXAMPLES:
        assert cli.run([name, "--help"]) == ExitCode.OK
        text = capsys.readouterr().out
        assert f"Example: coordbench {name}" in text
        assert "(default: )" not in text
        assert "None" not in text
        assert not {"STR", "INT", "FLOAT", "PATH"} & set(text.replace("[", " ").replace("]", " ").split()), text
        table = [line for line in text.splitlines() if line[:1] in "│╭╰"]
        assert all(len(line) <= 80 for line in table)


def test_help_imports_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "pandas", "matplotlib", "sqlalchemy", "scipy", "jinja2", "rich"}
    code = (
        f"import sys; from coordbench.harness.cli import main; main.run(['--help']); print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--devise", "cpu"], "coordbench: unknown option --devise of run; valid: "),
        (["new", "layer", "my_layer.txt"], "coordbench: 'my_layer.txt' is no Python file; its name must end in .py\n"),
        (["new", "layer", "coordconv.py"], "is built in already; choose another name for the file\n"),
        (["new", "layer", "my-layer.py"], "coordbench: variant 'my-layer' cannot be named so"),
        (["new", "task", "nowhere/mine.py"], "cannot be written: No such file or directory\n"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.run(arguments) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_lists_are_aligned() -> None:
    assert aligned([("a", "long word", "x"), ("longer", "b", "")]) == ["a       long word  x", "longer  b"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["completion", shell]) == ExitCode.OK
    script = capsys.readouterr().out
    assert set(EXAMPLES) <= set(script.replace("'", " ").replace('"', " ").replace(":", " ").split())


def test_a_start_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "turned.py"
    assert cli.run(["new", "layer", str(path)]) == ExitCode.OK
    assert '@variant("turned"' in path.read_text()
    assert "class Turned(nn.Module)" in path.read_text()
    path.write_text("mine")
    assert cli.run(["new", "layer", str(path)]) == ExitCode.USAGE
    assert "is there already" in capsys.readouterr().err
    assert path.read_text() == "mine"


@pytest.mark.slow
def test_starts_work_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a process of its own, as its user would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    commands = (
        "new layer my_gate.py", "check my_gate.py", "new task lit.py",
        "run lit.toml --plugin lit.py my_gate.py --variants conv my_gate --seeds 1",
    )  # fmt: skip
    for command in commands:
        text = (tmp_path / "lit.toml").read_text() if (tmp_path / "lit.toml").is_file() else ""
        if text:
            short = text.replace("steps = 300", "steps = 3\ncosts = false")
            (tmp_path / "lit.toml").write_text(short)
        done = subprocess.run(
            [sys.executable, "-m", "coordbench", *command.split()], capture_output=True, text=True, check=False
        )
        assert done.returncode == ExitCode.OK, done.stderr + done.stdout
