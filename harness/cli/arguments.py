"""What commands share: how one is registered, the arguments that several take, JSON on the terminal."""

from __future__ import annotations

import functools
import inspect
import json
import shlex
import sys
import typing
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
Device = Annotated[Literal["auto", "cpu", "cuda"], arg(help="auto: a GPU where there is one")]
Format = Annotated[Literal["parquet", "csv", "json"], arg(help="of the files")]
OUT = Path("coordbench-results")
EXAMPLES: dict[str, str] = {}
"""Name of a command -> the words of an example behind `coordbench`."""
METAVARS = {
    "variants": "LAYER", "layers": "LAYER", "variant": "LAYER", "against": "LAYER", "tasks": "TASK",
    "plugin": "FILE", "markdown": "FILE", "result": "FILE", "out": "DIR", "folder": "DIR", "records": "DIR",
    "reuse": "DIR", "store": "URL", "cluster": "ADDRESS", "base": "REVISION", "acknowledge": "ROW", "names": "RUN",
    "good": "REVISION", "bad": "REVISION", "bench": "FILE",
    "sources": "SOURCE", "seeds": "N", "workers": "N", "keep": "N", "last": "N", "sample": "N", "seed": "N",
    "runs": "N", "kernel": "N", "stride": "N", "pull": "N", "reason": "TEXT", "note": "TEXT", "until": "DATE",
    "sha": "COMMIT", "author": "NAME", "shape": "N,C,SIZE", "backbone": "NETWORK", "metric": "METRIC",
}  # fmt: skip
"""Argument -> the word that stands for its value in the help; else its own name."""


def command(name: str, example: str) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Register a command with an example of its use, the words after `coordbench`.

    Parsing returns it with its arguments, so that parsing and doing fail apart.
    """

    def register(function: Callable[P, int]) -> Callable[P, int]:
        def deferred(*arguments: P.args, **keywords: P.kwargs) -> Callable[[], int]:
            return functools.partial(function, *arguments, **keywords)

        hints = typing.get_type_hints(function, include_extras=True) | {"return": object}
        signature = inspect.signature(function)
        shown = [each.replace(annotation=_shown(each, hints[key])) for key, each in signature.parameters.items()]
        deferred.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
        deferred.__annotations__ = {each.name: each.annotation for each in shown} | {"return": object}
        deferred.__name__, deferred.__module__ = function.__name__, function.__module__
        deferred.__doc__ = f"{function.__doc__}\n\n    Example: coordbench {example}"
        app.command(name=name)(deferred)
        _options[name] = sorted(f"--{one.name.replace('_', '-')}" for one in shown if one.kind is one.KEYWORD_ONLY)
        EXAMPLES[name] = example
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


def _shown(parameter: inspect.Parameter, hint: object) -> object:
    """The annotation of an argument with the word that stands for its value, and its default only where that tells."""
    kind = next(iter(typing.get_args(hint)), hint) if typing.get_origin(hint) is Annotated else hint
    kind = typing.get_args(kind)[0] if typing.get_origin(kind) is Positional else kind
    name = parameter.name
    metavar = None if kind is bool or "Literal" in str(kind) else METAVARS.get(name, name.upper().replace("_", "-"))
    if metavar and typing.get_origin(kind) is list:
        metavar = f"{metavar} [{metavar} ...]"
    if metavar and parameter.kind is not parameter.KEYWORD_ONLY and parameter.default is not parameter.empty:
        metavar = f"[{metavar}]"
    return Annotated[hint, arg(metavar=metavar, help_behavior_hint=_default)]


def _default(label: str) -> str:
    """The default behind the help of an argument; nothing where there is none, or where a flag is off."""
    return "" if label in ("", "None", "False") else f"(default: {label})"


def command_line() -> str:
    """What the user typed, as runs keep it."""
    return shlex.join(["coordbench", *sys.argv[1:]])


def print_json(value: object) -> None:
    """Print plain values as JSON."""
    print(json.dumps(value, indent=1, default=str))


def complain(line: str) -> None:
    """Say in one line on standard error what went wrong."""
    print(f"coordbench: {line}", file=sys.stderr)
