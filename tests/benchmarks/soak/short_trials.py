"""The run that is soaked: short trials, one layer in ten of which strikes once from inside."""

from __future__ import annotations

import random
from pathlib import Path

FAULTS = ("kill_server", "freeze", "scribble", "daemon")
MARK = "SOAK"
"""The variable by which all processes of a run are known; it names the run's folder."""

_PLUGIN = """
import os, pathlib, signal, subprocess, sys, time
import torch
from torch import nn
from coordbench.harness.core.registry import backbone, task, variant
from coordbench.harness.core.problem import Metric, Phase, Problem

@variant("soaked", source="none")
class Soaked(nn.Conv1d):
    def __init__(self, i, o, k, *, size, stride=1, bias=True):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)

def strike(fault):
    if fault == "kill_server":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    elif fault == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault == "daemon":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    else:
        for name in os.listdir("/proc/self/fd"):
            try:
                os.write(int(name), b"7 bytes")
            except OSError:
                pass

@backbone("soak_net")
def soak_net(layer, input_shape, output_shape):
    return layer(1, 1, 3, size=(8,))

@task("soak", suite="soak", metrics=(Metric("mse", "", "lower"),), backbones=("soak_net",))
def soak(network, seed):
    order = pathlib.Path(os.environ.get("SOAK", "/nowhere"), f"strike{seed}")
    if order.exists():
        fault = order.read_text()
        order.unlink()
        strike(fault)
    x = torch.randn(8, 1, 8, generator=torch.Generator().manual_seed(seed))
    model = network((1, 8), (1, 8))
    loss = lambda models, batch: (models["main"](batch) - batch).square().mean()
    return Problem({"main": model}, (Phase(("main",), loss),), lambda step: x,
                   lambda models, split: {"mse": loss(models, x).item()})
"""

_PRESET = """
[run]
seeds = {trials}
deadline_seconds = 10
[[sweep]]
tasks = ["soak"]
backbones = ["soak_net"]
variants = ["soaked"]
steps = 20
costs = false
"""


def plugin(home: Path) -> Path:
    """Where the plug-in of a run lies."""
    return home / "soak_plugin.py"


def write(home: Path, trials: int, chance: random.Random) -> int:
    """Write the preset, the plug-in, and the orders to strike; return how many these are."""
    plugin(home).write_text(_PLUGIN)
    (home / "soak.toml").write_text(_PRESET.format(trials=trials))
    struck = chance.sample(range(trials), trials // 10)
    for number in struck:
        (home / f"strike{number}").write_text(chance.choice(FAULTS))
    return len(struck)
