"""Hashes of code and data, and the modules that code imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from coordbench.harness.core import sources


def _digest(file: Path, text: str) -> str:
    file.write_text(text)
    return sources.source_digest(file)


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        ("def f(x):\n    # why\n    return   x\n", True),
        ('"""What."""\ndef f(x):\n    """Return x."""\n    return x\n', True),
        ("def f(y):\n    return y\n", False),
        ("def f(x):\n    return x + 0\n", False),
    ],
)
def test_code_counts_and_neither_comments_nor_docstrings_nor_layout(tmp_path: Path, other: str, equal: bool) -> None:
    before = _digest(tmp_path / "a.py", "def f(x):\n    return x\n")
    assert (_digest(tmp_path / "a.py", other) == before) == equal


@pytest.mark.parametrize(
    ("code", "modules"),
    [
        ("import a.b, c as d", {"a.b", "c"}),
        ("from a.b import c as d", {"a.b", "a.b.c"}),
        ("def f():\n    from . import x", {"p.q", "p.q.x"}),
        ("from ..r import x", {"p.r", "p.r.x"}),
    ],
)
def test_imports_are_absolute_names(code: str, modules: set[str]) -> None:
    assert set(sources.imported_modules(ast.parse(code), "p.q")) == modules


def test_packages_are_run_before_their_modules() -> None:
    assert list(sources.with_packages(["a.b.c"])) == ["a", "a.b", "a.b.c"]


def test_files_count_by_their_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1")
    digests = [sources.digest_of_files(tmp_path)]
    (tmp_path / "a.txt").write_text("2")
    digests.append(sources.digest_of_files(tmp_path))
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    digests.append(sources.digest_of_files(tmp_path))
    assert len(set(digests)) == 3
    assert sources.digest_of_files(tmp_path / "none") == "missing"


def test_the_file_runs_alone_from_any_folder(tmp_path: Path) -> None:
    copy = tmp_path / "shipped.py"
    copy.write_text(Path(sources.__file__).read_text())
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import shipped; print('coordbench' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
