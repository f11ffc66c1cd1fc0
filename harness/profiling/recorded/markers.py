"""Marks in a trace that say which line of whose source, and which module, an operator runs under.

A trace function marks the lines of the layer's and the task's sources alone, so that the code of torch runs untraced;
it sees the backward pass of an autograd.Function, too, which no dispatch mode does.
"""

from __future__ import annotations

import contextlib
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

import torch
from torch import nn

from .step import MARK

LINE, MODULE = f"{MARK}line ", f"{MARK}module "
_HARNESS = str(Path(__file__).resolve().parents[2])
_ROOT = Path(_HARNESS).parent
_LIBRARIES = tuple({*(sysconfig.get_path(name) for name in ("stdlib", "platlib", "purelib")), "<"})
_Mark = torch.profiler.record_function


@contextlib.contextmanager
def marking(modules: Mapping[str, nn.Module]) -> Iterator[None]:
    """Mark lines and modules in whatever trace is recorded inside."""
    names = {
        id(child): _joined(name, path) for name, module in modules.items() for path, child in module.named_modules()
    }
    open_marks: list[_Mark] = []

    def enter(module: nn.Module, _: object) -> None:
        mark = _Mark(f"{MODULE}{names.get(id(module), type(module).__name__)}")
        mark.__enter__()
        open_marks.append(mark)

    def leave(_: nn.Module, __: object, ___: object) -> None:
        open_marks.pop().__exit__(None, None, None)

    hooks = (
        torch.nn.modules.module.register_module_forward_pre_hook(enter),
        torch.nn.modules.module.register_module_forward_hook(leave),
    )
    before = sys.gettrace()
    sys.settrace(_trace)
    try:
        yield
    finally:
        sys.settrace(before)
        for hook in hooks:
            hook.remove()


def short(file: str) -> str:
    """A source file as the profile names it: from this project's root, from the current folder, or its bare name."""
    path = Path(file).resolve()
    inside = next((root for root in (_ROOT, Path.cwd()) if path.is_relative_to(root)), None)
    return path.name if inside is None else str(path.relative_to(inside))


def _joined(name: str, path: str) -> str:
    return ".".join(filter(None, (name, path))) or "layer"


def _is_watched(file: str) -> bool:
    return (
        not file.startswith(_LIBRARIES)
        and "site-packages" not in file
        and not str(Path(file).resolve()).startswith(_HARNESS)
    )


_watched: dict[str, bool] = {}


def _trace(frame: FrameType, event: str, _: object) -> _LineMarks | None:
    """Follow the lines of a call into watched sources; everything else runs untraced."""
    file = frame.f_code.co_filename
    if file not in _watched:
        _watched[file] = _is_watched(file)
    return _LineMarks(short(file)) if _watched[file] else None


class _LineMarks:
    """The mark of the line that one call of a function is at."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.mark: _Mark | None = None

    def __call__(self, frame: FrameType, event: str, argument: object) -> _LineMarks:
        if event in ("line", "return", "exception") and self.mark is not None:
            self.mark.__exit__(None, None, None)
            self.mark = None
        if event == "line":
            self.mark = _Mark(f"{LINE}{self.file}:{frame.f_lineno} {frame.f_code.co_name}")
            self.mark.__enter__()
        return self
