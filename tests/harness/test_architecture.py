"""Who may import whom; how light the command line and the reports are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_room_imports_those_above_it_alone() -> None:
    """The contracts of pyproject.toml; imports within functions and for types alone count too."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout


def test_the_tests_mirror_the_rooms() -> None:
    """Each folder of tests has the name of the room that it tests, and each room of the harness has one."""
    for package in ("harness", "reports", "tasks", "variants"):
        rooms = {path.name for path in (ROOT / package).iterdir() if (path / "__init__.py").is_file()}
        folders = {path.name for path in (ROOT / "tests" / package).iterdir() if any(path.glob("test_*.py"))}
        assert folders <= rooms
        assert package != "harness" or folders == rooms


def test_the_command_line_imports_reports_only_when_a_command_needs_them() -> None:
    code = "import sys, coordbench.harness.cli.main, coordbench.harness.cli.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "sqlalchemy", "coordbench.reports", "matplotlib"} & set(done.stdout.split())


def test_reports_import_no_torch() -> None:
    code = "import sys, coordbench.reports.pages.page; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
