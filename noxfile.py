"""Sessions of development and use; all share one environment, since torch and its peers weigh 1.6 GB."""

from __future__ import annotations

import hashlib
import os
import sys
import venv
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.default_venv_backend = "none"

ROOT = Path(__file__).parent
ENVIRONMENT = ROOT / ".nox" / "coordbench"


def python(session: nox.Session) -> str:
    """The interpreter of the shared environment; pip brings it to the pinned versions when those have changed."""
    executable = ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")))
    stamp = ENVIRONMENT / "requirements.sha256"
    if not stamp.is_file() or stamp.read_text() != wanted.hexdigest():
        if not Path(executable).exists():
            venv.create(ENVIRONMENT, with_pip=True, clear=True)
        install = ("-m", "pip", "install", "--quiet", "-c", "constraints.txt", "-e", ".[dev]")
        session.run(str(executable), *install, external=True)
        stamp.write_text(wanted.hexdigest())
    return str(executable)


@nox.session
def bench(session: nox.Session) -> None:
    """Run a preset and write its report; arguments go to `coordbench run`."""
    session.run(python(session), "-m", "coordbench", "run", *session.posargs, external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on two processes; arguments go to pytest."""
    usual = ("-n", "2", "--benchmark-disable", "-m", "not slow", "--durations=20", "--durations-min=5")
    arguments = session.posargs or usual
    session.run(python(session), "-m", "pytest", *arguments, external=True)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take minutes: whole gates over real commits."""
    session.run(python(session), "-m", "pytest", "-m", "slow", *session.posargs, external=True)


@nox.session
def layers(session: nox.Session) -> None:
    """Measure every layer beside the plain convolution, kept as a run; arguments go to `coordbench costs`."""
    arguments = session.posargs or ["--shape", "small", "large", "--store"]
    # 5: the attention over all pixels does not fit into memory at the large shape
    session.run(python(session), "-m", "coordbench", "costs", *arguments, external=True, success_codes=[0, 5])


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into `.nox/site`, with real pages in its gallery; it opens without a server."""
    interpreter = python(session)
    session.run(interpreter, "docs/site/gallery.py", ".nox/gallery", external=True)
    session.run(interpreter, "-m", "mkdocs", "build", "--strict", *session.posargs, external=True)


LAYERS = ("costs", "--shape", "small", "large", "--store")
"""What makes `results/layers`; any other run of record is made by `coordbench run` and the name of its folder."""


@nox.session
def records(session: nox.Session) -> None:
    """Make runs of record again as far as their sources changed, those named or all there are; write the documents.

    A piece of the papers' claims takes up to three hours: stop it and start it again, its records are kept.
    """
    interpreter = python(session)
    for name in session.posargs or sorted(path.parent.name for path in ROOT.glob("results/*/manifest.json")):
        command = LAYERS if name == "layers" else ("run", name, "--no-report")
        is_there = name != "layers" and (ROOT / "results" / name).is_dir()
        reuse = ("--reuse", f"results/{name}") if is_there else ()
        run = (interpreter, "-m", "coordbench", *command, *reuse, "--out", f".nox/records/{name}")
        session.run(*run, external=True, success_codes=[0, 5])  # 5: a layer may not fit into memory
        load = f"load average {os.getloadavg()[2]:.1f} over its last 15 minutes, {os.cpu_count()} cores"
        export = ("export", "--records", f"results/{name}", "--note", load, "--out", f".nox/records/{name}")
        session.run(interpreter, "-m", "coordbench", *export, external=True)
    session.run(interpreter, "-m", "coordbench", "results", "--count", external=True)


GPU_SHARES = {
    "tests": (120, ("pytest", "-m", "cuda", "--benchmark-disable")),
    "layers": (210, ("coordbench", "costs", "--shape", "small", "large", "--store")),
    "paper": (180, ("coordbench", "run", "paper", "--seeds", "1", "--no-report")),
}
"""What a GPU is asked within ten minutes: the seconds of each, and its command."""


@nox.session
def cuda(session: nox.Session) -> None:
    """On a GPU, in ten minutes: its tests, layers, as much of `paper` as there is time for; what documents need of it.

    The next call goes on from what this one kept in `.nox/cuda`. `--device cpu` tries the commands without a GPU.
    """
    interpreter = python(session)
    device = session.posargs[-1] if session.posargs else "cuda"
    answer = session.run(
        interpreter, "-c", "import torch; print(torch.cuda.is_available())", silent=True, external=True
    )
    if device == "cuda" and "True" not in str(answer):
        session.skip("torch sees no CUDA device here; `nox -s cuda -- --device cpu` tries the commands")
    for name, (seconds, command) in GPU_SHARES.items():
        place = () if name == "tests" else ("--device", device, "--out", f".nox/cuda/{name}")
        limit = (
            "timeout",
            "--signal=INT",
            "--kill-after=20",
            str(seconds if device == "cuda" or not place else seconds // 6),
        )
        # 5: a layer may not fit into memory; no tests are left where there is no GPU; 124, -9: time was up
        session.run(*limit, interpreter, "-m", *command, *place, external=True, success_codes=[0, 5, 124, -9])
        if place:
            export = ("export", "--records", f".nox/cuda/records/{name}", "--out", f".nox/cuda/{name}")
            # 2: it was stopped before its first record
            session.run(interpreter, "-m", "coordbench", *export, external=True, success_codes=[0, 2])


@nox.session
def soak(session: nox.Session) -> None:
    """Kill and freeze what a run of 300 short trials is made of until all are done; `[SEED [TRIALS]] [--cluster]`."""
    session.run(python(session), "-m", "tests.benchmarks.soak", *session.posargs, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, who imports whom, the counts of the house, and that documents say what the records say."""
    interpreter = python(session)
    session.run(interpreter, "-m", "ruff", "check", ".", external=True)
    session.run(interpreter, "-m", "ruff", "format", "--check", ".", external=True)
    session.run(str(Path(interpreter).with_name("lint-imports")), "--no-cache", external=True)
    session.run(interpreter, "tests/count_house.py", external=True)
    session.run(interpreter, "-m", "coordbench", "results", "--check", external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Check types."""
    session.run(python(session), "-m", "mypy", external=True)
