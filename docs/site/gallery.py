"""Make the pages and pictures of the gallery, for real: `python docs/site/gallery.py FOLDER`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMALL = """
[run]
seeds = 2
cost_seconds = 0.05
[[sweep]]
tasks = ["coordinate_classification[canvas=16]"]
backbones = ["pixelwise"]
variants = ["conv"]
steps = 40
"""
PICTURES = ("curves", "tradeoffs", "ratios", "performance-profile")


def make(folder: Path) -> None:
    """Write all of it into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        of_record(work / "record", folder)
        submission(work, folder)
        coordbench(work, "profile", "coordconv", "--shape", "8,16,32,32", "--out", str(work / "profile"))
        shutil.copy(next((work / "profile" / "profiles").glob("*.html")), folder / "profile.html")
        gate = ("gate", "--base", "HEAD", "--layers", "coordconv", "--all", "--stages", "costs")
        coordbench(ROOT, *gate, "--out", str(work / "gate"))
        shutil.copy(work / "gate" / "gate.html", folder / "gate.html")


def of_record(out: Path, folder: Path) -> None:
    """The page of the run of record, its grid and its figures."""
    coordbench(ROOT, "merge", "results/quick", "--out", str(out))
    coordbench(ROOT, "report", "--files", "--out", str(out))
    (run,) = (path for path in out.iterdir() if path.is_dir() and (path / "summary.md").is_file())
    shutil.copy(out / f"{run.name}.html", folder / "quick.html")
    for picture in PICTURES:
        chosen = sorted(run.glob(f"{picture}*.svg"))[0]
        shutil.copy(chosen, folder / f"{picture.replace('-', '_')}.svg")
    code = f"import coordbench as cb; print(cb.load(out={str(out)!r})._repr_html_())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    (folder / "grid.html").write_text(done.stdout, encoding="utf-8")


def submission(work: Path, folder: Path) -> None:
    """A layer that is new, trained a little and sent in; its page."""
    (work / "small.toml").write_text(SMALL)
    coordbench(work, "new", "layer", "my_gate.py")
    coordbench(work, "submit", "my_gate.py", "--preset", "small.toml", "--folder", "submissions", "--out", "sent")
    coordbench(work, "report", "--out", "sent")
    shutil.copy(next((work / "sent").glob("*-small-*.html")), folder / "submission.html")


def coordbench(cwd: Path, *words: str) -> None:
    """Run a command of the command line; its messages are shown where it fails."""
    done = subprocess.run([sys.executable, "-m", "coordbench", *words], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"coordbench {' '.join(words)} ended with {done.returncode}:\n{done.stderr}{done.stdout}")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
