"""Who may import whom; how light the command line and the reports are."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "variants": {"harness.registry", "harness.spec", "variants"},
    "tasks": {"harness.registry", "harness.spec", "tasks"},
}


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {
                f"{node.module}.{alias.name}" if node.module == "harness" else str(node.module) for alias in node.names
            }
    return {name for name in found if name.split(".")[0] in ("harness", "variants", "tasks", "reports")}


@pytest.mark.parametrize("package", ["variants", "tasks"])
def test_layers_and_tasks_know_only_the_registry_and_the_nouns(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        foreign = {
            name for name in _imported(path) if not any(name == a or name.startswith(f"{a}.") for a in ALLOWED[package])
        }
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_the_harness_imports_reports_only_when_a_command_needs_them() -> None:
    code = "import sys, harness.cli, harness.commands; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "pandas", "sqlalchemy", "reports", "matplotlib"} & set(modules)


def test_reports_import_no_torch() -> None:
    code = "import sys, reports.page; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
