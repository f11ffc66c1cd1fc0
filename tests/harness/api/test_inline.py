"""A class of a notebook becomes a file: what it uses comes along, what no file can hold is refused."""

from __future__ import annotations

import linecache
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from coordbench.harness.api.inline import plugin_of
from coordbench.harness.core import registry
from coordbench.harness.core.entries import NOTEBOOK
from coordbench.harness.core.errors import UsageError

IMPORTS = """
import math
import coordbench as cb
import torch
import torch.nn as nn
from torch.nn import functional as F
"""
LAYER = '''
class {name}(nn.Conv2d):
    """A convolution."""

    def __init__(self, in_channels, out_channels, kernel_size, *, size, stride=1, bias=True):
        super().__init__(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=bias)

    def forward(self, x):
        {body}
'''
Cell = Callable[[str], dict[str, Any]]


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    """Run the source of a cell as a notebook does: in one namespace that has no file, its lines kept by Python."""
    notebook = types.ModuleType("a_notebook")
    monkeypatch.setitem(sys.modules, "a_notebook", notebook)
    count = 0

    def execute(source: str) -> dict[str, Any]:
        nonlocal count
        count += 1
        name = f"<cell {count}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), vars(notebook))
        return vars(notebook)

    execute(IMPORTS)
    yield execute
    registry.unload_plugin(NOTEBOOK)


def _layer(name: str, body: str) -> str:
    return LAYER.format(name=name, body=body)


def test_a_class_brings_what_it_uses_and_nothing_else(cell: Cell, tmp_path: Path) -> None:
    cell("SCALE = (1, 2.5)\nUNUSED = 3\nx = torch.zeros(3)\ndef grow(y): return F.relu(y) * math.pi * SCALE[1]\n")
    inline = plugin_of(cell(_layer("RotaryGate2d", "return grow(super().forward(x))"))["RotaryGate2d"], tmp_path)
    assert inline.name == "rotary_gate2d"
    text = inline.file.read_text()
    assert "SCALE = (1, 2.5)" in text
    assert "UNUSED" not in text
    assert "import torch.nn as nn" in text
    assert registry.entry("variant", "rotary_gate2d").dims == (2,)
    layer = registry.layer("rotary_gate2d")(2, 3, 3, size=(6, 6))
    assert layer(torch.zeros(1, 2, 6, 6)).shape == (1, 3, 6, 6)


def test_a_changed_class_takes_the_place_of_the_older(cell: Cell, tmp_path: Path) -> None:
    first = plugin_of(cell(_layer("Turned", "return super().forward(x)"))["Turned"], tmp_path)
    same = plugin_of(cell(_layer("Turned", "return super().forward(x)"))["Turned"], tmp_path)
    second = plugin_of(cell(_layer("Turned", "return -super().forward(x)"))["Turned"], tmp_path)
    assert same == first
    assert second.file != first.file
    assert registry.entry("variant", "turned").file == str(second.file)


def test_a_decorated_class_keeps_its_registration_and_its_cell_may_be_run_again(cell: Cell, tmp_path: Path) -> None:
    source = '@cb.variant("swung", source="none", dims=(2,))' + _layer("Swung", "return super().forward(x)")
    cell(source)
    inline = plugin_of(cell(source)["Swung"], tmp_path)
    assert inline.name == "swung"
    assert inline.file.read_text().count("variant(") == 1
    assert registry.entry("variant", "swung").source == "none"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return x + weights", "uses 'weights', a Tensor, which no plug-in file can hold"),
        ("return missing(x)", "Broken is no layer that can be built by"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(cell: Cell, tmp_path: Path, body: str, message: str) -> None:
    cell("weights = torch.ones(1)")
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        plugin_of(cell(_layer("Broken", body))["Broken"], tmp_path)
    assert "\n" not in str(error.value)
