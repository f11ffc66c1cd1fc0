"""On both sides of a gate each module is loaded under one name only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coordbench
from coordbench.harness.gate.sides import Tree, running

WITNESS = (
    "import json, sys, pathlib; "
    "names = {n: getattr(m, '__file__', None) for n, m in list(sys.modules.items())}; "
    "pathlib.Path('modules.json').write_text(json.dumps(names))"
)


def test_a_side_loads_each_module_under_one_name(tmp_path: Path, project_in: Callable[[Path], Any]) -> None:
    project = project_in(tmp_path / "project")
    project.layer("mine", before=WITNESS)
    tree = Tree("candidate", project.folder.resolve(), tmp_path)
    case = {"batch": 1, "channels": 2, "size": 4, "kernel_size": 3}
    with running(tree, deadline=120) as (side,):
        described = side.ask("describe", plugins=["mine.py"], selectors=[])
        side.ask("facts", layer=described["layers"]["mine"], case=case)
    names = json.loads((project.folder / "modules.json").read_text())
    ours = Path(coordbench.__file__).resolve().parents[1]
    files = [Path(file).resolve() for name, file in names.items() if file and name != "__main__"]
    counts = Counter(file for file in files if file.is_relative_to(ours) and "site-packages" not in file.parts)
    assert any(name.startswith("coordbench.harness.core") for name in names)
    assert not {"harness", "variants", "tasks", "reports"} & set(names)
    assert set(counts.values()) == {1}
