"""The index page over all runs of a store."""

from __future__ import annotations

from pathlib import Path

from coordbench.harness.analysis.runs import runs as listed_runs
from coordbench.harness.store.store import Store
from coordbench.reports.data.accounts import STATUSES
from coordbench.reports.pages.comparison import newest_pairs, page_name
from coordbench.reports.pages.rendering import environment, write


def write_index(store: Store, out: Path) -> Path:
    """Write `out/index.html`: every run, newest first, with a link to its page where that exists.

    Pages of comparisons of which a run was deleted are removed, since nothing links to what they compare any more.
    """
    listed = listed_runs(store)
    remove_orphans(set(listed["run"].astype(str)), out)
    statuses = [status for status in STATUSES if status in listed]
    rows = [
        {
            "run": row["run"],
            "page": (out / f"{row['run']}.html").is_file(),
            "preset": row["preset"],
            "started": row["started"],
            "finished": row["finished"],
            "commit": row["commit"] or "",
            "command": row["command"],
            "counts": {status: int(row[status]) for status in statuses if row[status] == row[status] and row[status]},
        }
        for row in listed.iloc[::-1].to_dict("records")
    ]
    pairs = [(a, b, page_name(a, b)) for a, b in newest_pairs(listed)]
    pairs = [pair for pair in pairs if (out / pair[2]).is_file()]
    return write(environment().get_template("index.html.j2").render(rows=rows, pairs=pairs), out / "index.html")


def remove_orphans(runs: set[str], out: Path) -> None:
    """Remove the pages of comparisons that no two of these runs could have."""
    for page in out.glob("compare-*.html"):
        if not any(page.name == page_name(a, b) for a in runs for b in runs if page.name.startswith(f"compare-{a}-")):
            page.unlink(missing_ok=True)
