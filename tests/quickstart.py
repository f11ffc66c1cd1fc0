"""Run the cells of the quickstart notebook as a script, by this interpreter: what a release is tried by.

The installed package is used, whatever lies around.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

NOTEBOOK = Path(__file__).parents[1] / "docs" / "quickstart.ipynb"


def script() -> str:
    """The code of the notebook; it says at its end which package it ran."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return "\n\n\n".join([*code, "print(run, run.page, cb.__file__, sep='\\n')"]) + "\n"


def main() -> int:
    """Run it; return its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quickstart.py"
        path.write_text(script(), encoding="utf-8")
        return subprocess.run([sys.executable, path.name], cwd=folder).returncode


if __name__ == "__main__":
    sys.exit(main())
