"""`coordbench results`: write the numbers of documents from runs of record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import command


@command("results", "results --check")
def results(
    folder: Annotated[Positional[Path], arg(help="holds a folder of records for each run")] = Path("results"),
    *,
    check: Annotated[bool, arg(help="write nothing, and fail where a document says something else")] = False,
    release: Annotated[bool, arg(help="with --check: fail where a row is stale, too")] = False,
    count: Annotated[bool, arg(help="count the exact claims anew before")] = False,
) -> int:
    """Write the marked parts of the documents around a folder of runs of record, and count its stale rows."""
    from coordbench.harness.cli.results import check_documents, documents_of, write_documents
    from coordbench.harness.core import registry

    registry.load()
    documents = documents_of(folder)
    if check or release:
        return check_documents(folder, documents, release=release)
    return write_documents(folder, documents, with_counts=count)
