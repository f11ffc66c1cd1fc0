"""What commands share: how one is registered, the arguments that several take, JSON on the terminal."""

from __future__ import annotations

import functools
import inspect
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, ParamSpec

from tyro.conf import Positional, arg
from tyro.extras import SubcommandApp

P = ParamSpec("P")
app = SubcommandApp()
_options: dict[str, list[str]] = {}
"""Command -> its options, as they are typed."""
Plugins = Annotated[list[Path], arg(help="Python files that register variants or tasks of your own")]
Out = Annotated[Path, arg(help="folder of the store and the reports")]
StoreURL = Annotated[str | None, arg(help="URL of the store; the file results.sqlite in --out by default")]
Run = Annotated[Positional[str | None], arg(help="a run, or the beginning of its name; the latest by default")]
Device = Literal["auto", "cpu", "cuda"]
Format = Literal["parquet", "csv", "json"]
OUT = Path("coordbench-results")


def command(name: str) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Register a command; parsing returns it with its arguments, so that parsing and doing fail apart."""

    def register(function: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(function)
        def deferred(*arguments: P.args, **keywords: P.kwargs) -> Callable[[], int]:
            return functools.partial(function, *arguments, **keywords)

        deferred.__annotations__ = function.__annotations__ | {"return": object}
        app.command(name=name)(deferred)
        named = inspect.signature(function).parameters.values()
        _options[name] = sorted(f"--{one.name.replace('_', '-')}" for one in named if one.kind is one.KEYWORD_ONLY)
        return function

    return register


def unknown_argument(arguments: Sequence[str]) -> str | None:
    """What is wrong with arguments that no command takes, and what is valid; None where that is something else."""
    name, *rest = arguments or [""]
    if name not in _options:
        return f"unknown command {name!r}; valid: {', '.join(_options)}"
    given = [one.partition("=")[0].replace("_", "-") for one in rest if one.startswith("--")]
    unknown = [one for one in given if one not in (*_options[name], "--help")]
    return f"unknown option {unknown[0]} of {name}; valid: {', '.join(_options[name])}" if unknown else None


def command_line() -> str:
    """What the user typed, as runs keep it."""
    return shlex.join(["coordbench", *sys.argv[1:]])


def print_json(value: object) -> None:
    """Print plain values as JSON."""
    print(json.dumps(value, indent=1, default=str))


def complain(line: str) -> None:
    """Say in one line on standard error what went wrong."""
    print(f"coordbench: {line}", file=sys.stderr)
