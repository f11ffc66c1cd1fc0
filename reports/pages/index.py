"""The index page over all runs of a store."""

from __future__ import annotations

from pathlib import Path

from coordbench.harness.analysis import summarize
from coordbench.harness.core.record import FAILED
from coordbench.harness.store.store import Store
from coordbench.reports.pages.comparison import newest_pairs, page_name
from coordbench.reports.pages.rendering import environment


def write_index(store: Store, out: Path) -> Path:
    """Write `out/index.html`: every run, newest first, with a link to its page where that exists."""
    listed = summarize.runs(store).iloc[::-1]
    statuses = [status for status in ("ok", *FAILED, "skipped") if status in listed]
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
        for row in listed.to_dict("records")
    ]
    pairs = [(a, b, page_name(a, b)) for a, b in newest_pairs(summarize.runs(store))]
    pairs = [pair for pair in pairs if (out / pair[2]).is_file()]
    path = out / "index.html"
    path.write_text(environment().get_template("index.html.j2").render(rows=rows, pairs=pairs), encoding="utf-8")
    return path
