"""How far equal trials lie apart between platforms: `python -m tests.benchmarks.tolerances [PRESET [SEEDS [TASK ..]]]`.

One machine stands for several: with one thread and two, with the kernels of lesser processors (of torch, of oneDNN, of
MKL), each trial of a preset is trained once more. `.. tolerances records FOLDER FOLDER` takes two real ones: folders of
records, of which one holds the trials of the other as another processor trained them. Prints the differences by task
and metric, and writes with what they were measured on `harness/run/verify/tolerances.json`, for `coordbench verify`. A
wider tolerance that was measured before stays; two machines only widen what settings of one showed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from coordbench.harness.core.trial import Trial
from coordbench.harness.plan import planning
from coordbench.harness.process import environment
from coordbench.harness.process.settings import WORKER
from coordbench.harness.run.verify.stored import Result, StoredJob, stored_jobs, stored_result
from coordbench.harness.run.verify.tolerance import FILE, Tolerance, bound
from coordbench.harness.store.encoding import now
from coordbench.harness.store.travel.archive import open_archive

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


def apart(first: Path, second: Path) -> tuple[dict[str, list[float]], list[str]]:
    """Task and metric -> how far the scores of two folders lie apart, of trials that two processors trained; these."""
    one, other = _records(first), _records(second)
    gaps: dict[str, list[float]] = defaultdict(list)
    processors = sorted({str(job.environment["processor"]) for job, _ in (*one.values(), *other.values())})
    for identity in one.keys() & other.keys():
        (job, left), (again, right) = one[identity], other[identity]
        if job.environment["processor"] == again.environment["processor"]:
            continue
        for name in left.scores.keys() & right.scores.keys():
            values = left.scores[name].value, right.scores[name].value
            if values[0] is not None and values[1] is not None:
                gaps[f"{job.job.cell.task.name} {left.scores[name].metric}"].append(values[1] - values[0])
    return {key: listed for key, listed in gaps.items() if any(listed)}, processors


def _records(folder: Path) -> dict[str, tuple[StoredJob, Result]]:
    """The trained trials of a folder of records by their identities."""
    with open_archive(folder) as store:
        jobs = [job for job in stored_jobs(store) if isinstance(job.job, Trial) and job.job.cell.reference is None]
        return {job.identity: (job, stored_result(store, job.record)) for job in jobs}


def write(gaps: Mapping[str, list[float]], about: Mapping[str, object], *, widen_only: bool = False) -> list[Tolerance]:
    """Keep the tolerances with what they were measured on; those of other tasks stay, and so do wider ones.

    With `widen_only` no metric gets a tolerance that had none: a new one would narrow what two seeds allow.
    """
    content = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {"measured": [], "tolerances": []}
    kept = {(row["task"], row["metric"]): Tolerance(**row) for row in content["tolerances"]}
    measured = []
    for key, listed in sorted(gaps.items()):
        task, metric = key.split(" ", 1)
        measured.append(Tolerance(task, metric, len(listed), max(map(abs, listed)), bound(listed)))
    for row in measured:
        place = row.task, row.metric
        if widen_only and place not in kept:
            continue
        kept[place] = max(row, kept.get(place, row), key=lambda known: known.tolerance)
    facts = environment.describe()
    note = {name: facts[name] for name in ("processor", "platform", "python", "versions", "revision")}
    content["measured"].append({"date": now()[:10], **about, "tasks": sorted({row.task for row in measured}), **note})
    content["tolerances"] = [asdict(kept[place]) for place in sorted(kept)]
    FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return measured


def main() -> None:
    """Measure, print and write."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--scores"]:
        print(json.dumps(scores(arguments[1], int(arguments[2]), arguments[3:])))
        return
    about: dict[str, object]
    if arguments[:1] == ["records"]:
        if len(arguments) != 3:
            sys.exit("two folders of records are compared: records FOLDER FOLDER")
        gaps, processors = apart(Path(arguments[1]), Path(arguments[2]))
        about = {"records": [Path(folder).name for folder in arguments[1:]], "processors": processors}
    else:
        preset, seeds, *tasks = [*arguments, *("quick", "1")[len(arguments) :]]
        gaps = differences(preset, int(seeds), tasks)
        about = {"preset": preset, "seeds": int(seeds), "settings": [*SETTINGS]}
    print(f"{'task':<28}{'metric':<24}{'n':>5}{'largest':>12}{'tolerance':>12}")
    for row in write(gaps, about, widen_only="records" in about):
        print(f"{row.task:<28}{row.metric:<24}{row.count:>5}{row.largest:>12.2g}{row.tolerance:>12.2g}")


if __name__ == "__main__":
    main()
