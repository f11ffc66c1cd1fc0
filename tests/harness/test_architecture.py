"""Who may import whom; how light the command line and the reports are."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = "coordbench.harness.core"
ALLOWED = {"variants": (CORE, "coordbench.variants"), "tasks": (CORE, "coordbench.tasks")}


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module))
    return {name for name in names if name.split(".")[0] == "coordbench"}


@pytest.mark.parametrize("package", ["variants", "tasks"])
def test_layers_and_tasks_know_only_the_nouns(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        foreign = {
            name for name in _imported(path) if not f"{name}.".startswith(tuple(f"{a}." for a in ALLOWED[package]))
        }
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_the_command_line_imports_reports_only_when_a_command_needs_them() -> None:
    code = "import sys, coordbench.harness.cli.main, coordbench.harness.cli.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "sqlalchemy", "coordbench.reports", "matplotlib"} & set(done.stdout.split())


def test_reports_import_no_torch() -> None:
    code = "import sys, coordbench.reports.pages.page; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
