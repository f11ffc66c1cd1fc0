"""The laws find what is wrong: each mutant of a sound layer breaks the law that it was made to break."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordbench.harness import laws
from coordbench.harness.cli.checking import checked
from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError

LAYER = '''
import random

import torch
from torch import nn
from torch.nn import functional

from coordbench.harness.core.registry import variant


@variant("{name}", source="a test", dims=(2,){facts})
class Layer(nn.Module):
    """A convolution with something wrong."""

    def __init__(self, in_channels, out_channels, kernel_size, *, size, stride=1{bias}):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride)
        self.pad, self.cache, self.size = ((kernel_size - 1) // 2, kernel_size // 2) * 2, None, size

    def forward(self, x):
        {before}
        y = self.conv(functional.pad(x, self.pad))
        {after}
        return y
'''

MUTANTS: dict[str, dict[str, str]] = {
    "builds": {"bias": ""},
    "shapes": {"after": "y = y[:, :, :, :4]"},
    "other_sizes": {"facts": ", fixed_size=True"},
    "gradients": {"after": "y = y + (y.detach() - y) / 2"},
    "images_apart": {"after": "y = y + x.mean()"},
    "reproducible": {"after": "y = y + random.random()"},
    "trains_alike": {  # equal at its first call, as that of a kernel whose threads race
        "before": "self.calls = getattr(self, 'calls', 0) + 1",
        "after": "y = y if self.calls < 3 else y + 1e-6 * random.random()",
    },
    "layouts": {"after": "y = y + torch.as_strided(x, (1,), (1,), 7)"},
    "precisions": {"before": "x = x.float()"},
    "copies": {"after": "y = y * self.__dict__.setdefault('scale', random.random())"},
    "no_stale_results": {
        "after": """
        if not self.training and not torch.is_grad_enabled():
            key = (self.conv.weight._version, x.shape)
            if self.cache is None or self.cache[0] != key:
                self.cache = (key, self.conv.weight.sum() * 1)
            y = y + self.cache[1]"""
    },
    "compiles": {"after": "y = y * (1.0 if y.mean().item() > 0 else 2.0)"},
    "exports": {"after": "y = y.numpy() if False else y * float(y.detach().mean() > 0)"},
    "stacks": {"after": "y = torch.from_numpy(y.detach().numpy()) + y - y.detach()"},
    "parameter_count": {"facts": ", parameters=lambda i, o, k, *, size, stride, bias: i * o * k * k"},
    "flop_count": {"facts": ", flops=lambda layer, shape: 2 * layer.conv.weight.numel() * shape[2] * shape[3]"},
}


def _write(
    folder: Path, name: str, *, facts: str = "", before: str = "pass", after: str = "pass", bias: str = ", bias=True"
) -> str:
    path = folder / f"{name}.py"
    path.write_text(LAYER.format(name=name, facts=facts, before=before, after=after, bias=bias))
    registry.load_plugin(path)
    return name


def test_a_sound_plugin_obeys_every_law(tmp_path: Path) -> None:
    results = laws.check(_write(tmp_path, "sound_layer"))
    assert [result for result in results if not result.passed] == []
    assert [result.law for result in results] == list(laws.LAWS)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_breaks_its_law(name: str, tmp_path: Path) -> None:
    layer = registry.layer(_write(tmp_path, f"breaks_{name}", **MUTANTS[name]))
    result = laws.try_law(name, layer)
    assert not result.passed
    assert result.detail
    assert "\n" not in result.detail


def test_a_missing_argument_is_named_once_and_no_other_law_is_tried(tmp_path: Path) -> None:
    (result,) = laws.check(_write(tmp_path, "takes_no_bias", bias=""))
    assert (result.law, result.passed) == ("builds", False)
    assert "unexpected keyword argument 'bias'" in result.detail
    (row, summary) = checked("takes_no_bias", [result])
    assert row.startswith("FAILS  builds")
    assert "To mend it: take (in_channels, out_channels" in row
    assert summary == "takes_no_bias: 0 of 1 laws hold, the others were not tried"


def test_every_law_says_in_one_line_what_it_means_and_how_to_mend_a_layer() -> None:
    for law in laws.LAWS.values():
        assert law.meaning.endswith(".")
        assert law.mend
        assert "\n" not in law.meaning + law.mend


def test_every_law_has_a_mutant() -> None:
    assert set(laws.LAWS) - set(MUTANTS) == {"wrong_input"}  # which the registry itself enforces


def test_a_wrong_selector_is_refused_before_any_law() -> None:
    with pytest.raises(UsageError, match="unknown variant 'no_such_layer'"):
        laws.check("no_such_layer")
