"""`coordbench list`: list what there is."""

from __future__ import annotations

from typing import Annotated, Literal

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, Out, Plugins, StoreURL, command
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode


@command("list", "list variants")
def list_things(
    kind: Annotated[
        Positional[Literal["variants", "tasks", "backbones", "references", "presets", "claims", "runs"]],
        arg(help="what to list"),
    ],
    *,
    plugin: Plugins = [],  # noqa: B006
    store: StoreURL = None,
    out: Out = OUT,
    run: Annotated[str | None, arg(help="of claims: a run, or a folder of records, whose verdicts are shown")] = None,
    json: Annotated[bool, arg(help="print an array of objects")] = False,
) -> int:
    """List what there is to choose from."""
    from coordbench.harness.cli import listing

    if kind == "claims":
        from coordbench.harness.cli.claims import show_answers, show_claims

        print(show_claims(as_json=json) if run is None else show_answers(run, store, out, as_json=json))
        return ExitCode.OK
    if run is not None:
        raise UsageError(f"--run goes with claims, not with {kind}")
    print(listing.show(kind, listing.rows(kind, plugin, store, out), as_json=json))
    return ExitCode.OK
