"""The process of a side: answer requests on standard input until it closes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

from ...core.errors import describe_error
from ...process.family import end_with_parent
from . import bench, tree
from .pipe import opened, plain

HANDLERS: dict[str, Callable[..., object]] = {
    "describe": tree.describe, "plan": tree.plan, "facts": bench.facts, "step": bench.step,
    "pin": bench.pin, "prepare": bench.prepare, "turn": bench.turn, "forget": bench.forget,
}  # fmt: skip

APART = ("facts", "step")
"""What runs layers that may do anything, in a process that others are asked of later."""


def serve(parent: int) -> None:
    """Answer one JSON object per line; what layers print goes to standard error."""
    end_with_parent(parent)
    with opened() as pipe:
        while request := pipe.receive():
            do, arguments = request
            pipe.send(answer(do, **arguments))


def answer(do: str, **arguments: object) -> dict[str, object]:
    """The answer to one request; what a layer leaves behind or dies of stays with a child of this process."""
    return _apart(do, arguments) if do in APART and hasattr(os, "fork") else _answer(do, arguments)


def _apart(do: str, arguments: dict[str, object]) -> dict[str, object]:
    """The answer of a child, or the code that it ended with."""
    mine, its = os.pipe()
    child = os.fork()
    if not child:
        try:
            with os.fdopen(its, "w") as stream:
                json.dump(_answer(do, arguments), stream, default=plain)
            sys.stderr.flush()
        finally:
            os._exit(0)
    os.close(its)
    with os.fdopen(mine) as stream:
        text = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    given: dict[str, object] = json.loads(text) if text and not code else {"died": code}
    return given


def _answer(do: str, arguments: dict[str, object]) -> dict[str, object]:
    """What a request gives, or the error that it raised, which may be any."""
    try:
        return {"ok": HANDLERS[do](**arguments)}
    except Exception as error:
        return {"error": describe_error(error, where=True)[:600], "kind": type(error).__name__}


if __name__ == "__main__":
    serve(int(sys.argv[1]))
