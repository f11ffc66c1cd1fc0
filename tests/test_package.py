"""One import package: what is built holds real files, and every tool sees each file once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from mypy.modulefinder import FindModuleCache, SearchPaths
from mypy.options import Options

ROOT = Path(__file__).parents[1]
FOLDERS = ("harness", "reports", "tasks", "variants")
EXPECTED = (
    "coordbench/__main__.py",
    "coordbench/py.typed",
    "coordbench/harness/core/registry/lookup.py",
    "coordbench/harness/presets/quick.toml",
    "coordbench/harness/run/verify/tolerances.json",
    "coordbench/reports/templates/page.html.j2",
    "coordbench/tasks/translation/equivariance.py",
    "coordbench/variants/coordconv.py",
)


def _output(*command: str | Path, cwd: Path = ROOT, path: Path | None = None) -> str:
    """What a command prints; it fails the test with its messages where it fails."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {} if path is None else {"PYTHONPATH": str(path)}
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def _names_twice(paths: Sequence[Path]) -> list[str]:
    """Files that a tool names more than once, links followed."""
    return [str(path) for path, times in Counter(path.resolve() for path in paths).items() if times > 1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist; `build` makes the wheel out of the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    _output(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


def test_links_are_relative_and_kept_by_git() -> None:
    for folder in FOLDERS:
        assert os.readlink(ROOT / "coordbench" / folder) == f"../{folder}"
    modes = [line.split() for line in _output("git", "ls-files", "--stage", "coordbench").splitlines()]
    assert sorted(path for mode, *_, path in modes if mode == "120000") == [f"coordbench/{name}" for name in FOLDERS]


def test_the_wheel_holds_real_files(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        tracked = _output("git", "ls-files", *FOLDERS).splitlines()
        assert {f"coordbench/{name}" for name in tracked if (ROOT / name).is_file()} <= set(names)
        assert set(EXPECTED) <= set(names)
        assert len(names) == len(set(names))
        assert {name.split("/")[0].split("-")[0] for name in names} == {"coordbench"}
        assert all(wheel.getinfo(name).file_size for name in EXPECTED if not name.endswith("py.typed"))


def test_the_sdist_holds_real_files_once(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        members = {member.name.partition("/")[2]: member for member in sdist.getmembers()}
    assert set(EXPECTED) <= set(members)
    assert all(member.isfile() for member in members.values())
    assert not [name for name in members if name.split("/")[0] in FOLDERS]


def test_an_installed_wheel_runs(built: Path, tmp_path: Path) -> None:
    place = tmp_path / "installed"
    _output(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", place, next(built.glob("*.whl")))
    where = _output(sys.executable, "-c", "import coordbench; print(coordbench.__file__)", cwd=tmp_path, path=place)
    assert Path(where.strip()) == place / "coordbench" / "__init__.py"
    command = ("list", "variants", "--json")
    listed = _output(sys.executable, "-m", "coordbench", *command, cwd=tmp_path, path=place)
    assert {"conv", "coordconv", "geoconv", "coordgate"} <= {entry["name"] for entry in json.loads(listed)}
    assert _output(place / "bin" / "coordbench", *command, cwd=tmp_path, path=place) == listed  # one program


@pytest.mark.slow
def test_the_quickstart_runs_from_the_wheel(built: Path, tmp_path: Path) -> None:
    place = tmp_path / "installed"
    _output(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", place, next(built.glob("*.whl")))
    printed = _output(sys.executable, ROOT / "tests" / "quickstart.py", cwd=tmp_path, path=place).splitlines()
    assert printed[-1] == str(place / "coordbench" / "__init__.py")
    assert printed[-2].endswith(".html")
    assert any(line.strip().startswith("row_scaled: ") for line in printed)


def test_an_editable_install_finds_every_folder(tmp_path: Path) -> None:
    """The editable wheel is one `.pth` line that names this folder: what python finds by it is the package itself."""
    code = "import sys, hatchling.build as b; print(b.build_editable(sys.argv[1]))"
    wheel = _output(sys.executable, "-c", code, tmp_path).split()[-1]
    with zipfile.ZipFile(tmp_path / wheel) as archive:
        (line,) = (archive.read(name).decode().strip() for name in archive.namelist() if name.endswith(".pth"))
    assert Path(line) == ROOT
    code = "from coordbench.variants import coordconv; print(coordconv.__file__)"
    assert _output(sys.executable, "-c", code, cwd=tmp_path, path=Path(line)).strip().endswith("variants/coordconv.py")


def test_mypy_reads_each_file_once() -> None:
    search = FindModuleCache(SearchPaths((str(ROOT),), (), (), ()), None, Options())
    sources = [Path(str(source.path)) for source in search.find_modules_recursive("coordbench")]
    assert len(sources) > 200
    assert not _names_twice(sources)


def test_ruff_reads_each_file_once() -> None:
    listed = [Path(line) for line in _output(sys.executable, "-m", "ruff", "check", "--show-files", ".").splitlines()]
    assert len(listed) > 200
    assert not _names_twice(listed)


@pytest.mark.slow
def test_coverage_counts_each_file_once(tmp_path: Path) -> None:
    data, report = f"--data-file={tmp_path / 'data'}", tmp_path / "report.json"
    _output(sys.executable, "-m", "coverage", "run", data, "-m", "coordbench", "list", "variants", path=ROOT)
    _output(sys.executable, "-m", "coverage", "json", "-q", data, "-o", report)
    measured = [ROOT / name for name in json.loads(report.read_text())["files"]]
    assert len(measured) > 200  # those that nothing imported too
    assert not _names_twice(measured)
