"""The grid of verdicts as a piece of HTML that stands alone in a notebook, in light and dark."""

from __future__ import annotations

from coordbench.reports.data.run import Run
from coordbench.reports.pages.matrix import matrix
from coordbench.reports.pages.rendering import environment


def grid_html(run: Run) -> str:
    """One row per contest, one column per layer: score, and verdict against the baseline."""
    return environment().get_template("fragment.html.j2").render(run=run, lines=matrix(run))
