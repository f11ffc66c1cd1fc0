"""`coordbench export`: write the tables of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from coordbench.harness.cli.arguments import OUT, Format, Out, Run, StoreURL, command
from coordbench.harness.core.exit_codes import ExitCode


@command("export", "export --format csv")
def export(
    run: Run = None,
    *,
    format: Format = "parquet",
    records: Annotated[Path | None, arg(help="write the run's records there instead, to be merged or verified")] = None,
    samples: Annotated[bool, arg(help="with --records: the arrays that pages show, too")] = False,
    note: Annotated[str, arg(help="with --records: one line to go with them, such as how busy the machine was")] = "",
    out: Out = OUT,
    store: StoreURL = None,
) -> int:
    """Write the tables of a run into its folder in --out; read from the store there, or else in the default folder."""
    from coordbench.harness.analysis.tables import tables as read_tables
    from coordbench.harness.cli.export import export as write
    from coordbench.harness.cli.records import export_records
    from coordbench.harness.store.store import FILE, open_store

    with open_store(store, out if (out / FILE).is_file() else OUT, existing=True) as opened:
        name = opened.resolve_run(run)
        if records is not None:
            return export_records(opened, [name], records, with_samples=samples, note=note)
        tables = read_tables(opened, name)
        for path in write(tables.named(), format, out / name):
            print(path)
    return ExitCode.OK
