"""What both sides run, copied into a folder as a package of its own.

A base revision may lack these files or hold others, so a side never takes them from its tree: it imports them as
`coordbench_side`, and as `coordbench` what its tree says it is. They import each other by relative names, which hold
under either name, and nothing else but torch.
"""

from __future__ import annotations

from pathlib import Path

NAME = "coordbench_side"
SERVER = f"{NAME}.gate.side.server"
SUITES = f"{NAME}.gate.suites.side.server"
FILES = (
    *("core/errors.py", "core/sources.py", "process/family.py", "process/settings.py"),
    *("measure/allocations.py", "measure/workload.py"),
    *(
        f"profiling/recorded/{name}.py"
        for name in ("step", "markers", "recording", "operations", "memory", "fingerprint")
    ),
    *(f"gate/side/{name}.py" for name in ("server", "tree", "bench", "messages", "pipe")),
    *(f"gate/suites/side/{name}.py" for name in ("server", "plugin", "fixture", "rounds")),
)
_HARNESS = Path(__file__).resolve().parents[1]


def ship(folder: Path) -> Path:
    """Copy the files below `folder`, once; return what goes into the import path."""
    root = folder / "shipped"
    if not root.is_dir():
        for name in FILES:
            _copy(root / NAME, Path(name))
    return root


def _copy(package: Path, name: Path) -> None:
    target = package / name
    target.parent.mkdir(parents=True, exist_ok=True)
    for around in target.relative_to(package.parent).parents:
        (package.parent / around / "__init__.py").touch()
    target.write_text((_HARNESS / name).read_text(encoding="utf-8"), encoding="utf-8")
