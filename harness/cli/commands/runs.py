"""`coordbench runs`: delete runs."""

from __future__ import annotations

from typing import Annotated, Literal

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, Out, StoreURL, command
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode


@command("runs", "runs prune --keep 5 --dry-run")
def runs(
    action: Annotated[Positional[Literal["delete", "prune"]], arg(help="delete the runs named, or all old ones")],
    names: Annotated[Positional[list[str]], arg(help="runs to delete; not for prune")] = [],  # noqa: B006
    *,
    keep: Annotated[int, arg(help="how many newest runs of each preset prune keeps")] = 10,
    dry_run: Annotated[bool, arg(help="say what would be deleted, delete nothing")] = False,
    store: StoreURL = None,
    out: Out = OUT,
) -> int:
    """Delete runs, or all but the newest of each preset, with their pages and the records that no other run uses."""
    from coordbench.harness.analysis.runs import runs as listed_runs
    from coordbench.harness.store.store import open_store
    from coordbench.reports.pages.index import remove_orphans, write_index

    if action == "delete" and not names:
        raise UsageError("runs delete needs the names of runs; `coordbench list runs` shows them")
    if action == "prune" and (names or keep < 0):
        raise UsageError(f"runs prune takes no names and keep >= 0, got {names} and keep={keep}")
    with open_store(store, out, existing=True) as opened:
        listed = listed_runs(opened)
        old = [name for _, group in listed.groupby("preset") for name in group["run"].iloc[: max(0, len(group) - keep)]]
        chosen = [opened.resolve_run(name) for name in names] if action == "delete" else old
        if dry_run:
            print("\n".join([*(f"would delete {name}" for name in chosen), f"{len(chosen)} of {len(listed)} runs"]))
            return ExitCode.OK
        for name in chosen:
            print(f"deleted {name} and {opened.delete_run(name)} records")
            (out / f"{name}.html").unlink(missing_ok=True)
        if (out / "index.html").is_file():
            write_index(opened, out)
        remove_orphans(set(listed_runs(opened)["run"].astype(str)), out)
    return ExitCode.OK
