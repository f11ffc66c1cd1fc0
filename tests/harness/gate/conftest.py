"""A user's own project in a git repository of its own, with plug-in layers, for gates over real commits."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

LAYER = '''"""A layer of a user's own."""

import time

from torch import Tensor, nn

from coordbench.harness.core.registry import variant


@variant("{name}", source="none", flops=lambda layer, shape: 1000)
class Layer(nn.Module):
    """{docstring}"""

    def __init__(self, in_channels, out_channels, kernel_size, *, size, stride=1, bias=True):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        {before}
        return self.conv(x)
'''


class Project:
    """A git repository with files to write and commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.write(".gitignore", "__pycache__/\ncoordbench-results/\n")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=tester", "-c", "user.email=tester@localhost")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout

    def write(self, name: str, content: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def layer(self, name: str, *, docstring: str = "Convolve.", before: str = "pass") -> None:
        self.write(f"{name}.py", LAYER.format(name=name, docstring=docstring, before=before))

    def settings(self, *plugins: str, **more: object) -> None:
        values = {"plugins": [f"{plugin}.py" for plugin in plugins], **more}
        lines = "\n".join(f"{key} = {value!r}".replace("'", '"') for key, value in values.items())
        self.write("pyproject.toml", f"[tool.coordbench.gate]\n{lines}\n")

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a commit")
        return self.git("rev-parse", "HEAD").strip()

    def worktrees(self) -> int:
        return self.git("worktree", "list").count("\n")


@pytest.fixture
def project_in() -> Callable[[Path], Project]:
    return Project


@pytest.fixture(scope="module")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Project]:
    return lambda: Project(tmp_path_factory.mktemp("user") / "project")
