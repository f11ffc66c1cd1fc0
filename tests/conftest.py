"""Shared by all tests: one thread each, and a small task to sweep that trains in milliseconds."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; two are far slower on a busy machine

TOY = '''
"""A task of milliseconds: tell the column of a lit pixel in a row of eight."""

import torch
from torch import nn

from coordbench.harness.core.registry import backbone, reference, task
from coordbench.harness.core.problem import Metric, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.seeds import seed_of

from toy_helper import SIZE


@backbone("toy_net")
def toy_net(layer, input_shape, output_shape, *, where: str = "all", width: int = 4):
    """One layer and a mean."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer(1, width, 3, size=(SIZE,))
            self.head = nn.Linear(width, 1)
        def forward(self, x):
            return self.head(torch.relu(self.layer(x)).mean(-1))
    return Net()


@task("toy", suite="toys", metrics=(Metric("mse", "", "lower", 0.01),), backbones=("toy_net",))
def toy(network, seed, *, noise: float = 0.0):
    """Regress the position of a lit pixel."""
    x = torch.eye(SIZE)[:, None]
    generator = torch.Generator().manual_seed(seed_of("toy", seed))
    y = torch.linspace(-1, 1, SIZE)[:, None] + noise * torch.randn(SIZE, 1, generator=generator)
    model = network((1, SIZE), (1,))
    loss = lambda models, batch: (models["main"](batch[0]) - batch[1]).square().mean()
    evaluate = lambda models, split: {"mse": (models["main"](x) - y).square().mean().item()}
    samples = lambda models: [Sample("row", "output", "line", models["main"](x).detach().numpy()[:, 0])]
    phases = (Phase(("main",), loss, Optimizer("Adam", 1e-2)),)
    return Problem({"main": model}, phases, lambda step: (x, y), evaluate, samples, data=y)


@reference(task="toy", kind="floor")
def toy_mean(problem):
    """The mean label."""
    return {"main": lambda x: problem.data.mean().expand(len(x), 1)}


@reference(task="toy", kind="ceiling")
def toy_exact(problem):
    """The labels themselves."""
    return {"main": lambda x: problem.data}
'''


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A plug-in file with the toy task, its helper beside it."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "toy_helper.py").write_text("SIZE = 8\n")
    path = folder / "toy_task.py"
    path.write_text(TOY)
    return path


@pytest.fixture
def preset(tmp_path: Path) -> Callable[..., str]:
    """Write a preset over the toy task and return its path."""

    def write(variants: list[str], *, seeds: int = 2, steps: int = 3, deadline: float = 30, more: str = "") -> str:
        path = tmp_path / "small.toml"
        listed = ", ".join(f'"{variant}"' for variant in variants)
        path.write_text(
            textwrap.dedent(f"""
            [run]
            seeds = {seeds}
            deadline_seconds = {deadline}
            memory_gib = 0.5
            [[sweep]]
            tasks = ["toy"]
            backbones = ["toy_net"]
            variants = [{listed}]
            steps = {steps}
            costs = false
            {more}
            """)
        )
        return str(path)

    return write
