"""With the tricks off every layer runs the formula of its file, and gives what it gives with them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.core.entries import VariantEntry
from coordbench.variants._parts import tricks


@pytest.mark.parametrize("entry", registry.entries("variant"), ids=lambda entry: entry.name)
def test_results_are_equal_without_tricks(entry: VariantEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = registry.layer(entry.name)(4, 8, 3, size=(6, 5)).double()
    x = torch.randn(3, 4, 6, 5, dtype=torch.float64, requires_grad=True)
    start = {name: value.clone() for name, value in layer.state_dict().items()}
    results = []
    for on in (True, False):
        monkeypatch.setattr(tricks, "ON", on)
        layer.load_state_dict(start)
        torch.manual_seed(1)
        y = layer.train()(x)
        gradients = torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])
        with torch.no_grad():
            results.append([y, *gradients, layer.eval()(x), layer(x)])
    torch.testing.assert_close(results[1], results[0], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", "True"), ("-moved_code", "True"), ("off", "False"), ("-moved_code,-hand_written", "False")],
)
def test_the_environment_turns_them_off(value: str, expected: str) -> None:
    code = "from coordbench.variants._parts import tricks; print(tricks.eager())"
    environment = os.environ | {"COORDBENCH_TRICKS": value}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
