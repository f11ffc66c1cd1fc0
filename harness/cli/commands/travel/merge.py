"""`coordbench merge`: bring stores together."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, Out, StoreURL, command


@command("merge", "merge results/quick other/results.sqlite")
def merge(
    sources: Annotated[Positional[list[str]], arg(help="folders of records or of results, SQLite files, URLs")],
    *,
    json: Annotated[bool, arg(help="print everything as JSON")] = False,
    store: StoreURL = None,
    out: Out = OUT,
) -> int:
    """Bring the records and runs of other stores into this one; the same record once, conflicts kept and told."""
    from coordbench.harness.cli.records import merge_sources
    from coordbench.harness.store.store import open_store

    with open_store(store, out) as opened:
        return merge_sources(sources, opened, as_json=json)
