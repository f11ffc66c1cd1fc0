"""`coordbench verify`: train a sample of stored rows again."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import Plugins, command


@command("verify", "verify results/quick --sample 20")
def verify(
    source: Annotated[Positional[str], arg(help="a folder of records or of results, an SQLite file, a URL")],
    *,
    sample: Annotated[int, arg(help="how many rows are trained again")] = 10,
    seed: Annotated[int, arg(help="by which the rows are drawn")] = 0,
    plugin: Plugins = [],  # noqa: B006
    note: Annotated[bool, arg(help="write into the folder what came of each row, and on what")] = False,
    data_only: Annotated[
        bool, arg(help="check the files of a folder as data: nothing is trained, and none of its code is run")
    ] = False,
    json: Annotated[bool, arg(help="print an array of objects")] = False,
) -> int:
    """Train a sample of stored rows again, from what they depend on, and say whether the same comes out."""
    from coordbench.harness.api.execution import load_plugins
    from coordbench.harness.cli.records import check_data, verify_source

    if data_only:
        return check_data(source)
    return verify_source(source, sample, seed, load_plugins(plugin), as_json=json, with_note=note)
