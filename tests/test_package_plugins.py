"""A plug-in needs `coordbench` alone, and a user's own `tasks.py` is never taken for ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGIN = '''
"""A layer, a network, a task and its floor, of milliseconds; its evaluation tells which modules have two names."""

import sys
from collections import defaultdict
from pathlib import Path

import torch
from torch import nn

from coordbench import variant, task, reference, backbone, Metric, Phase, Problem, Sample


@variant("doubled", source="none: an example", dims=(1,))
class Doubled(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, *, size, stride=1, bias=True):
        super().__init__()
        self.pad = nn.ZeroPad1d(((kernel_size - 1) // 2, kernel_size // 2))
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size, stride, bias=bias)

    def forward(self, x):
        return 2 * self.conv(self.pad(x))


@backbone("one_layer")
def one_layer(layer, input_shape, output_shape):
    return nn.Sequential(layer(1, 2, 3, size=input_shape[1:]), nn.Flatten(), nn.LazyLinear(*output_shape))


def second_names():
    places = defaultdict(set)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name != "__main__" and "site-packages" not in file:
            places[Path(file).resolve()].add(name)
    return [names for file, names in places.items() if len(names) > 1 and "coordbench" in str(names)]


@task("ends", suite="mine", metrics=(Metric("mse", better="lower", margin=0.01),), backbones=("one_layer",))
def ends(network, seed):
    x = torch.eye(8)[:, None]
    model = network((1, 8), (1,))
    model(x)

    def evaluate(models, split):
        assert not second_names(), second_names()
        return {"mse": (models["main"](x) - x[:, :, 0]).square().mean().item()}

    loss = lambda models, batch: (models["main"](batch) - batch[:, :, 0]).square().mean()
    samples = lambda models: [Sample("row", "output", "line", models["main"](x).detach().numpy()[:, 0])]
    return Problem({"main": model}, (Phase(("main",), loss),), lambda step: x, evaluate, samples, data=x)


@reference(task="ends", kind="floor")
def half(problem):
    return {"main": lambda x: torch.full((len(x), 1), 0.5)}
'''
PRESET = """
[run]
seeds = 1
[[sweep]]
tasks = ["ends"]
backbones = ["one_layer"]
variants = ["conv", "doubled"]
steps = 2
costs = false
"""


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder with a plug-in and a preset, where files of the user bear the names of our rooms."""
    for name in ("tasks.py", "harness.py", "reports.py", "variants/__init__.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'raise SystemExit("the user\'s {name} was imported")\n')
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "small.toml").write_text(PRESET)
    return tmp_path


def _python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, env=environment)


def test_a_plug_in_needs_the_package_alone_and_meets_no_stranger(crowded: Path) -> None:
    command = ("run", "small.toml", "--plugin", "plugin.py", "--out", "out")
    done = _python(crowded, "-m", "coordbench", *command)
    assert done.returncode == 0, done.stderr + done.stdout
    assert list((crowded / "out").rglob("*.html"))


def test_a_notebook_beside_files_of_the_same_names_gets_ours(crowded: Path) -> None:
    code = (
        "from coordbench.harness.core import registry\n"
        "import coordbench.reports.pages.page\n"
        "print(type(registry.layer('coordconv')(3, 8, 3, size=(8, 8))).__module__)"
    )
    done = _python(crowded, "-c", code)
    assert done.stdout.strip().startswith("coordbench.variants."), done.stderr


def test_modules_have_one_name_after_a_run(crowded: Path) -> None:
    code = (
        "import sys; sys.argv = ['coordbench', 'run', 'small.toml', '--plugin', 'plugin.py', '--out', 'out']\n"
        "from coordbench.harness.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "plugin = next(module for name, module in sys.modules.items() if name.startswith('coordbench_plugin_'))\n"
        "print('loaded', 'coordbench.harness.run.sweep' in sys.modules, plugin.second_names())"
    )
    done = _python(crowded, "-c", code)
    assert done.stdout.splitlines()[-1] == "loaded True []", done.stderr + done.stdout
