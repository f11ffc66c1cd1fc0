"""The process of a side: pytest on a project's files, which then answers requests until the driver closes the pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import pytest

from ....process.family import end_with_parent
from ...side.pipe import opened
from .plugin import Plugin

_WITHOUT = ("benchmark", "codspeed", "xdist", "randomly", "random_order", "timeout", "rerunfailures", "cacheprovider")
"""Plugins that would time, order, repeat, spread or end the tests themselves."""


def serve(parent: int, arguments: Sequence[str]) -> int:
    """Collect, then answer; the project's own options are left out: they are for its tests, not for measuring."""
    end_with_parent(parent)
    os.environ.pop("PYTEST_ADDOPTS", None)
    without = (piece for name in _WITHOUT for piece in ("-p", f"no:{name}"))
    with opened() as pipe:
        return pytest.main(["-qq", "-s", *without, "-o", "addopts=", "--rootdir=.", *arguments], [Plugin(pipe)])


if __name__ == "__main__":
    sys.exit(serve(int(sys.argv[1]), sys.argv[2:]))
