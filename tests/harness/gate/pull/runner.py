"""A runner of composite actions: their `run` steps by bash, as GitHub's does, and files carried where they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*([\w.]+)\s*\}\}")
_SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")


@dataclass
class Job:
    """A job in a checked-out folder: what expressions stand for, its environment, and where artifacts lie."""

    workspace: Path
    temporary: Path
    artifacts: Path
    values: dict[str, str]
    environment: Mapping[str, str]
    output: str = ""
    outcomes: dict[str, str] = field(default_factory=dict)

    def run(self, action: Path, **inputs: str) -> int:
        """Go through the steps of an action; the exit code of the first that fails, after those that always run."""
        content = yaml.safe_load((action / "action.yml").read_text())
        defaults = {name: item.get("default", "") for name, item in content.get("inputs", {}).items()}
        self.values |= {f"inputs.{name}": self.filled(value) for name, value in {**defaults, **inputs}.items()}
        self.values["runner.temp"] = str(self.temporary)
        code = 0
        for step in content["runs"]["steps"]:
            if (code and step.get("if") != "always()") or not self.wanted(step.get("if", "always()")):
                continue
            ended = self.step(step, action)
            code = code or ended
        return code

    def filled(self, text: str) -> str:
        """A text with its expressions replaced; an unknown one is a mistake of the action."""
        return _EXPRESSION.sub(lambda match: self.values[match[1]], text)

    def wanted(self, condition: str) -> bool:
        compared = re.fullmatch(r"steps\.(\w+)\.outcome == '(\w+)'", condition)
        return condition == "always()" if compared is None else self.outcomes[compared[1]] == compared[2]

    def step(self, step: Mapping[str, object], action: Path) -> int:
        uses = str(step.get("uses", "")).partition("@")[0]
        options = {key: self.filled(str(value)) for key, value in dict(step.get("with", {})).items()}  # type: ignore[call-overload]
        if uses == "actions/upload-artifact":
            self.upload(options["name"], options["path"].split())
        elif uses == "actions/download-artifact":
            there = (self.artifacts / options["name"]).is_dir()
            self.outcomes[str(step["id"])] = "success" if there else "failure"
            if there:
                shutil.copytree(self.artifacts / options["name"], options["path"], dirs_exist_ok=True)
        return self.script(step, action) if "run" in step else 0

    def script(self, step: Mapping[str, object], action: Path) -> int:
        variables = {key: self.filled(str(value)) for key, value in dict(step.get("env", {})).items()}  # type: ignore[call-overload]
        folder = self.workspace / self.filled(str(step.get("working-directory", ".")))
        file = self.temporary / "step.sh"
        file.write_text(str(step["run"]))  # no expression is filled in: there are none in a script
        environment = {**self.environment, "RUNNER_TEMP": str(self.temporary), "GITHUB_ACTION_PATH": str(action)}
        done = subprocess.run(
            [*_SHELL, str(file)], cwd=folder, env={**environment, **variables}, capture_output=True, text=True
        )
        self.output += done.stderr + done.stdout
        return done.returncode

    def upload(self, name: str, paths: list[str]) -> None:
        shutil.rmtree(self.artifacts / name, ignore_errors=True)
        for path in paths:
            if (self.workspace / path).is_file():
                (self.artifacts / name).mkdir(parents=True, exist_ok=True)
                shutil.copy(self.workspace / path, self.artifacts / name)


def clean_environment(**more: str) -> dict[str, str]:
    """The environment of a job: nothing of this project's, no job of another CI server, one thread."""
    dropped = ("PYTHONPATH", "GITHUB_", "RUNNER_", "COORDBENCH_", "VIRTUAL_ENV")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return {**kept, "OMP_NUM_THREADS": "1", **more}
