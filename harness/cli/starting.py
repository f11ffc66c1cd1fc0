"""The commented starts that `coordbench new` writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.registry.catalog import check_name

_STARTS = Path(__file__).parent / "starts"
_KINDS: dict[str, Literal["variant", "task"]] = {"layer": "variant", "task": "task"}


def start(kind: Literal["layer", "task"], file: Path) -> Iterator[str]:
    """Write a start, and say what may be done with it; raise UsageError where its place or its name is taken."""
    name = file.stem
    if file.suffix != ".py":
        raise UsageError(f"{str(file)!r} is no Python file; its name must end in .py")
    check_name(_KINDS[kind], name)
    known = {"layer": registry.entries("variant"), "task": registry.entries("task")}[kind]
    if name in {entry.name for entry in known}:
        raise UsageError(f"a {kind} {name!r} is built in already; choose another name for the file")
    _write(kind, "py", file)
    if kind == "layer":
        yield f"{file}: a layer that works as it stands. Change it, then:"
        yield f"  coordbench check {file}"
        yield f"  coordbench run quick --plugin {file} --variants conv {name}"
        return
    preset = file.with_suffix(".toml")
    _write(kind, "toml", preset)
    yield f"{file} and {preset}: a task that works as it stands, and a preset that runs it. Change them, then:"
    yield f"  coordbench run {preset} --plugin {file}"


def _write(kind: str, suffix: str, file: Path) -> None:
    text = (_STARTS / f"{kind}.{suffix}.txt").read_text(encoding="utf-8")
    title = "".join(part.capitalize() for part in file.stem.split("_"))
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text.replace("NAME", file.stem).replace("TITLE", title))
    except FileExistsError as error:
        raise UsageError(f"{str(file)!r} is there already; nothing was written") from error
    except OSError as error:
        raise UsageError(f"{str(file)!r} cannot be written: {error.strerror or error}") from error
