"""The process of a side: answer requests on standard input until it closes."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ...core.errors import describe_error
from ...process.family import end_with_parent
from . import bench, tree
from .pipe import opened

HANDLERS: dict[str, Callable[..., object]] = {
    "describe": tree.describe, "plan": tree.plan, "facts": bench.facts, "step": bench.step,
    "pin": bench.pin, "prepare": bench.prepare, "turn": bench.turn, "forget": bench.forget,
}  # fmt: skip


def serve(parent: int) -> None:
    """Answer one JSON object per line; what layers print goes to standard error."""
    end_with_parent(parent)
    with opened() as pipe:
        while request := pipe.receive():
            do, arguments = request
            pipe.send(answer(do, **arguments))


def answer(do: str, **arguments: object) -> dict[str, object]:
    """The answer to one request: what it gives, or the error that it raised, which may be any."""
    try:
        return {"ok": HANDLERS[do](**arguments)}
    except Exception as error:
        return {"error": describe_error(error, where=True)[:600], "kind": type(error).__name__}


if __name__ == "__main__":
    serve(int(sys.argv[1]))
