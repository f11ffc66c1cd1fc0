"""Selectors name things exactly; every mistake is one line that lists the valid names."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError


def test_a_selector_is_canonical_whatever_its_spelling() -> None:
    spelled = "coordconv[ radius=true ,padding=zeros ]"
    assert registry.layer(spelled).label == "coordconv[radius=true]"
    assert registry.layer("conv[padding=zeros]").label == "conv"


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ("conf", r"unknown variant 'conf'; did you mean 'conv'\? valid: .*conv"),
        ("conv[pading=zeros]", r"unknown option 'pading' of variant 'conv'; did you mean 'padding'\? valid: .*padding"),
        ("conv[padding=zero]", r"option padding='zero' is not valid; expected one of zeros, circular"),
        ("coordconv[radius=1]", r"radius='1' is not valid; expected true or false"),
        ("conv[padding]", "has no value; write padding=VALUE"),
        ("conv[padding=zeros, padding=zeros]", "'padding' is given twice"),
        ("conv[", "is no selector"),
        ("", "is no selector"),
    ],
)
def test_a_wrong_selector_is_told_in_one_line(selector: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        registry.layer(selector)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("coordinate_regression[canvas=-5]", r"option canvas='-5' is not valid; expected an integer from 16 to 512"),
        ("coordinate_regression[batch=0]", r"option batch='0' is not valid; expected an integer of at least 1"),
        ("positional_bias[strength=1.5]", r"option strength='1.5' is not valid; expected a number from 0 to 1"),
        ("field_deblurring[noise=0]", r"option noise='0' is not valid; expected a number above 0"),
        ("hand_gan[images=3]", r"option images='3' is not valid; expected an integer from 16 to 50000 or none"),
        ("hand_gan[canvas=12]", r"option canvas='12' is not valid; expected one of 8, 16, 32, 64, 128"),
    ],
)
def test_a_value_out_of_range_is_refused_before_anything_runs(selector: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        registry.select("task", selector)


@pytest.mark.parametrize("task", [entry.name for entry in registry.entries("task")])
def test_every_number_of_a_task_has_a_range_that_holds_its_default(task: str) -> None:
    for option in registry.entry("task", task).options:
        if isinstance(option.default, int | float) and not isinstance(option.default, bool):
            assert option.convert(str(option.default), task) == option.default
            with pytest.raises(UsageError, match=f"option {option.name}='-1' is not valid"):
                option.convert("-1", task)


@given(st.text(max_size=40))
def test_any_text_is_a_layer_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert registry.layer(text).label


def test_a_folder_that_is_not_there_is_told_before_anything_runs(tmp_path: Path) -> None:
    assert registry.select("task", f"photo_deblurring[folder={tmp_path}]").options == {"folder": tmp_path}
    with pytest.raises(UsageError, match=r"folder='/nowhere' is not valid; expected a path that exists or none"):
        registry.select("task", "photo_deblurring[folder=/nowhere]")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0, 1, 3, (8,), 1), "in_channels=0"),
        ((1, -1, 3, (8,), 1), "out_channels=-1"),
        ((1, 1, 0, (8,), 1), "kernel_size=0"),
        ((1, 1, 3, (8,), -2), "stride=-2"),
        ((1, 1, 3, (8, 8, 8, 8), 1), r"size=\(8, 8, 8, 8\)"),
        ((1, 1, 3, (), 1), r"size=\(\)"),
        ((1, 1, 2.5, (8,), 1), r"kernel_size=2\.5"),
    ],
)
def test_a_wrong_argument_is_named_with_its_value(
    arguments: tuple[int, int, int, tuple[int, ...], int], named: str
) -> None:
    *shape, size, stride = arguments
    with pytest.raises(ValueError, match=named):
        registry.layer("conv")(*shape, size=size, stride=stride)


def test_a_plugin_adds_a_variant_from_anywhere(tmp_path: Path) -> None:
    file = tmp_path / "scaled.py"
    file.write_text(
        "from torch import nn\nfrom coordbench import variant\n"
        "@variant('scaled_by', source='none')\n"
        "class Scaled(nn.Conv1d):\n"
        "    def __init__(self, i, o, k, *, size, stride=1, bias=True, by: float = 2.0):\n"
        "        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias); self.by = by\n"
        "    def forward(self, x):\n"
        "        return self.by * super().forward(x)\n"
    )
    registry.load_plugin(file)
    layer = registry.layer("scaled_by[by=0.5]")(1, 1, 3, size=(8,))
    assert layer.by == 0.5
    assert layer(torch.zeros(2, 1, 8)).shape == (2, 1, 8)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("1 +", "SyntaxError"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        (
            "from coordbench import variant\n@variant('conv', source='')\ndef mine(i, o, k, *, size): ...",
            "variant 'conv' of .*broken.py:2 is already registered by .*conv.py:",
        ),
        (
            "from coordbench import variant\n@variant('twice', source='')\ndef mine(i, o, k, *, size): ...\n" * 2,
            "variant 'twice' of .*broken.py:5 is already registered by .*broken.py:2",
        ),
        ("import sys\nsys.exit(0)", "cannot be loaded: SystemExit: 0"),
        ("from coordbench import variant\nvariant('a b', source='')", "variant 'a b' cannot be named so"),
        ("from coordbench import variant\nvariant(3, source='')", "variant 3 cannot be named so"),
        ("from coordbench import variant\nvariant('a', source='', dims=2)", "dims=2 is not valid"),
        ("from coordbench import Metric\nMetric('m', better='smaller')", "better='smaller' is not valid"),
        ("from coordbench import task\ntask('t', suite='s', metrics=(), backbones=())", r"metrics=\(\) is not"),
        (
            "from coordbench import task\nfrom coordbench import Metric\n"
            "task('t', suite='s', metrics=(Metric('m'),), backbones='vit')",
            "backbones='vit' is not valid",
        ),
        (
            "from coordbench import reference\n@reference(task='center_of_mas', kind='floor')\ndef f(p): ...",
            "reference 'f' stands for an unknown task 'center_of_mas'; did you mean 'center_of_mass'",
        ),
        ("from coordbench import reference\nreference(task='toy', kind='flor')", "kind='flor' is not valid"),
    ],
)
def test_an_unreadable_plugin_is_told_in_one_line(tmp_path: Path, source: str, told: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(source)
    with pytest.raises(UsageError, match=told) as caught:
        registry.load_plugin(file)
    assert "\n" not in str(caught.value)


def test_a_missing_plugin_is_named() -> None:
    with pytest.raises(UsageError, match=r"'nowhere\.py' is not a file"):
        registry.load_plugin("nowhere.py")
