"""The laws of a layer, tried over a file's layers or over one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from coordbench.harness import laws
from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.laws import LawResult

Checks = Mapping[str, Sequence[LawResult]]
"""Name of a layer -> what came of each law."""


def check_file(file: Path) -> Checks:
    """Try every law on every layer that a file registers; raise UsageError where it registers none."""
    registry.load_plugin(file)
    names = [entry.name for entry in registry.entries("variant") if Path(entry.file) == file.resolve()]
    if not names:
        raise UsageError(f"{str(file)!r} registers no variant; decorate a layer by coordbench.variant")
    return {name: laws.check(name) for name in names}


def check_layer(selector: str) -> Checks:
    """Try every law on one layer, such as `coordconv[radius=true]`."""
    return {selector: laws.check(selector)}
