"""Each file is loaded under one name only, in the driver and in what it forks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

LOADED = """
import os, sys

def loaded():
    \"\"\"Name -> real file of every module that was made of a file.\"\"\"
    modules = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return {name: os.path.realpath(file) for name, file in modules.items() if file}
"""

LAYER = """
import json
import loaded_modules
from coordbench import variant
from torch import nn

@variant("telling", source="none")
class Telling(nn.Conv1d):
    def __init__(self, i, o, k, *, size, stride=1, bias=True, path: str = ""):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)
        self.path = path

    def forward(self, x):
        with open(self.path, "w") as file:
            json.dump(loaded_modules.loaded(), file)
        return super().forward(x)
"""

DRIVER = """
import json, sys
import loaded_modules
from coordbench.harness.cli.main import main

try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(json.dumps([code, loaded_modules.loaded()]))
"""


def _twice(modules: dict[str, str]) -> dict[str, list[str]]:
    """Files of this project that were loaded under more than one name, `__main__` aside."""
    names: dict[str, list[str]] = {}
    for name, file in modules.items():
        ours = Path(file).is_relative_to(ROOT) and "site-packages" not in file
        if ours and name != "__main__":
            names.setdefault(file, []).append(name)
    return {file: loaded for file, loaded in names.items() if len(loaded) > 1}


def test_no_file_is_loaded_twice_in_driver_or_trial(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "loaded_modules.py").write_text(LOADED)
    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "telling_layer.py").write_text(LAYER)
    listing = tmp_path / "trial.json"
    (tmp_path / "mine.toml").write_text(
        "[run]\nseeds = 1\n[[sweep]]\n"
        'tasks = ["toy"]\nbackbones = ["toy_net"]\nsteps = 2\ncosts = false\n'
        f'variants = ["telling[path={listing}]"]\n'
    )
    command = [sys.executable, "driver.py", "run", "mine.toml", "--plugin", str(toy), "telling_layer.py"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT), "PATH": ""}
    )
    code, driver = json.loads(done.stdout.splitlines()[-1])
    trial = json.loads(listing.read_text())
    assert code == 0, done.stderr
    for modules in (driver, trial):
        assert _twice(modules) == {}
        assert {name.partition(".")[0] for name in modules} & {"harness", "variants", "tasks", "reports"} == set()
    assert "coordbench.harness.run.sweep" in driver
    assert {"coordbench.harness.training.train", "coordbench.variants.conv"} <= trial.keys()
