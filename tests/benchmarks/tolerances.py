"""How far equal trials lie apart between platforms: `python -m tests.benchmarks.tolerances [PRESET [SEEDS [TASK ..]]]`.

One machine stands for several: with one thread and two, with the kernels of lesser processors (of torch, of oneDNN, of
MKL), each trial of a preset is trained once more. Prints the differences by task and metric, and writes with what they
were measured on `harness/run/verify/tolerances.json`, which `coordbench verify` reads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from coordbench.harness.core.trial import Trial
from coordbench.harness.plan import planning
from coordbench.harness.process import environment
from coordbench.harness.process.settings import WORKER
from coordbench.harness.run.verify.tolerance import FILE, Tolerance, bound
from coordbench.harness.store.encoding import now

SETTINGS: Mapping[str, Mapping[str, str]] = {
    "as it is": {},
    "two threads": {"COORDBENCH_THREADS": "2", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
    "torch's kernels without vectors": {"ATEN_CPU_CAPABILITY": "default"},
    "oneDNN's kernels of SSE4.1": {"DNNL_MAX_CPU_ISA": "SSE41", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "all kernels of AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2", "DNNL_MAX_CPU_ISA": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "MKL's kernels of every processor": {"MKL_CBWR": "COMPATIBLE"},
}  # fmt: skip
"""What stands for another platform -> the variables that make it, beside those of a worker."""

Scores = dict[str, dict[str, float]]
"""Task and metric -> trial -> value; conditions and splits make trials of their own."""


def trials(preset: str, seeds: int, tasks: Sequence[str]) -> list[Trial]:
    """The trials of a preset, of all its tasks or of those named; references train nothing."""
    plan = planning.make_plan(planning.narrow(planning.read_preset(preset), tasks=tasks, seeds=seeds))
    return [trial for trial in plan.trials if trial.cell.reference is None]


def scores(preset: str, seeds: int, tasks: Sequence[str]) -> Scores:
    """The scores of all trials, trained in this process under the settings that it was started with."""
    from coordbench.harness.training import train

    replace(WORKER, threads=int(os.environ.get("COORDBENCH_THREADS", "1"))).apply()
    listed: Scores = defaultdict(dict)
    for trial in trials(preset, seeds, tasks):
        for split, values in train.run(trial).scores.items():
            for name, value in values.items():
                metric = getattr(name, "metric", name)
                listed[f"{trial.cell.task.name} {metric}"][f"{trial} {split} {name}"] = float(value)
    return listed


def differences(preset: str, seeds: int, tasks: Sequence[str]) -> dict[str, list[float]]:
    """Task and metric -> how far each setting's scores lie from those as the machine is."""
    measured: dict[str, Scores] = {}
    for name, setting in SETTINGS.items():
        command = [sys.executable, "-m", "tests.benchmarks.tolerances", "--scores", preset, str(seeds), *tasks]
        done = subprocess.run(
            command, env={**os.environ, **WORKER.variables(), **setting}, stdout=subprocess.PIPE, check=True, text=True
        )
        measured[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{name}: trained", flush=True)
    base = measured.pop("as it is")
    gaps: dict[str, list[float]] = {}
    for key, values in base.items():
        others = [
            other.get(key, {}).get(trial, float("nan")) - value
            for other in measured.values()
            for trial, value in values.items()
        ]
        gaps[key] = [gap for gap in others if np.isfinite(gap)]  # a trial that diverged under one of them tells nothing
    return {key: listed for key, listed in gaps.items() if listed}


def write(preset: str, seeds: int, gaps: Mapping[str, list[float]]) -> list[Tolerance]:
    """Keep the tolerances with what they were measured on; those of other tasks stay."""
    rows = []
    for key, listed in sorted(gaps.items()):
        task, metric = key.split(" ", 1)
        rows.append(Tolerance(task, metric, len(listed), max(map(abs, listed)), bound(listed)))
    content = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {"measured": [], "tolerances": []}
    fresh = {(row.task, row.metric) for row in rows}
    earlier = [row for row in content["tolerances"] if (row["task"], row["metric"]) not in fresh]
    facts = environment.describe()
    note = {name: facts[name] for name in ("processor", "platform", "python", "versions", "revision")}
    about = {"preset": preset, "seeds": seeds, "tasks": sorted({row.task for row in rows}), "settings": [*SETTINGS]}
    content["measured"].append({"date": now()[:10], **about, **note})
    content["tolerances"] = sorted([*earlier, *map(asdict, rows)], key=lambda row: (row["task"], row["metric"]))
    FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return rows


def main() -> None:
    """Measure, print and write."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--scores"]:
        print(json.dumps(scores(arguments[1], int(arguments[2]), arguments[3:])))
        return
    preset, seeds, *tasks = [*arguments, *("quick", "1")[len(arguments) :]]
    gaps = differences(preset, int(seeds), tasks)
    print(f"{'task':<28}{'metric':<24}{'n':>5}{'largest':>12}{'tolerance':>12}")
    for row in write(preset, int(seeds), gaps):
        print(f"{row.task:<28}{row.metric:<24}{row.count:>5}{row.largest:>12.2g}{row.tolerance:>12.2g}")


if __name__ == "__main__":
    main()
