"""`coordbench export`: write the tables of a run."""

from __future__ import annotations

from coordbench.harness.cli.arguments import OUT, Format, Out, Run, StoreURL, command
from coordbench.harness.core.exit_codes import ExitCode


@command("export")
def export(run: Run = None, *, format: Format = "parquet", out: Out = OUT, store: StoreURL = None) -> int:
    """Write the tables of a run into its folder in --out; read from the store there, or else in the default folder."""
    from coordbench.harness.analysis import summarize
    from coordbench.harness.cli.export import export as write
    from coordbench.harness.store.store import FILE, open_store

    with open_store(store, out if (out / FILE).is_file() else OUT, existing=True) as opened:
        name = opened.resolve_run(run)
        tables = summarize.tables(opened, name)
        for path in write(tables.named(), format, out / name):
            print(path)
    return ExitCode.OK
