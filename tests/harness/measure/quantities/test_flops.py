"""FLOPs against hand-checked numbers, and what the other counters make of the same operations."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from coordbench.harness.core import registry
from coordbench.harness.core.entries import Layer, Selected, VariantEntry
from coordbench.harness.measure.quantities import crosscheck
from coordbench.harness.measure.quantities.flops import count


class Apply(nn.Module):
    """A function as a module, with one weight."""

    def __init__(self, function, *shape):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(shape))

    def forward(self, x):
        return self.function(x, self.weight)


class Convolve(torch.autograd.Function):
    """A convolution that tracers cannot look into."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return functional.conv2d(x, weight)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        return (
            nn.grad.conv2d_input(x.shape, weight, gradient),
            nn.grad.conv2d_weight(x, weight.shape, gradient),
        )


def unfolded(x, weight):
    """A convolution as a 2-D matrix times a batch of patches: (N, C, H, W) -> (N, C_out, L)."""
    return weight.flatten(1) @ functional.unfold(x, 3)


# 2 samples, 4 channels in, 6 out, 3x3 kernel, 8x8 -> 6x6 pixels
CONV = 2 * 2 * 6 * 4 * 9 * 36
X = torch.ones(2, 4, 8, 8)

TABLE = [
    ("conv", nn.Conv2d(4, 6, 3), CONV, CONV, CONV),
    ("conv_without_bias", nn.Conv2d(4, 6, 3, bias=False), CONV, CONV, CONV),
    ("grouped", nn.Conv2d(4, 6, 3, groups=2), CONV // 2, CONV // 2, CONV // 2),
    ("transposed", nn.ConvTranspose2d(4, 6, 3), 2 * 2 * 4 * 6 * 9 * 64, 2 * 2 * 4 * 6 * 9 * 64, 2 * 2 * 4 * 6 * 9 * 64),
    ("linear", nn.Linear(8, 5), 2 * 64 * 8 * 5, 2 * 64 * 8 * 5, 2 * 64 * 8 * 5),
    ("unfolded", Apply(unfolded, 6, 4, 3, 3), CONV, CONV, CONV // 2),
    ("multiply", Apply(torch.mul, 8, 8), 0, 0, 0),
    ("fourier", Apply(lambda x, w: torch.fft.rfft2(x * w).abs(), 8, 8), 0, 0, 0),
    ("norm", nn.BatchNorm2d(4), 0, 0, 0),
    ("custom_function", Apply(Convolve.apply, 6, 4, 3, 3), CONV, CONV, 0),
]


@pytest.mark.parametrize(("model", "ours", "torchs", "fvcores"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_forward_and_the_known_faults_of_the_cross_checks(model, ours, torchs, fvcores):
    model.eval()
    assert count(model, (X,)).forward == ours
    assert crosscheck.by_torch(model, (X,))["forward"] == torchs
    assert crosscheck.by_fvcore(model, (X,))["forward"] == fvcores


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("multiply", "aten.mul"),
        ("fourier", "aten._fft_r2c"),
        ("norm", "aten.native_batch_norm"),
    ],
)
def test_what_nobody_counts_is_listed(name, operation):
    model = next(row[1] for row in TABLE if row[0] == name).eval()
    assert count(model, (X,)).uncounted[operation] == 1


def test_views_are_not_listed():
    assert not count(nn.Sequential(nn.Flatten(1), nn.Unflatten(1, (4, 64)), nn.Conv1d(4, 4, 1)), (X,)).uncounted


def test_backward_counts_each_operand_that_takes_a_gradient():
    conv = nn.Conv2d(4, 6, 3)
    assert count(conv, (X,)).backward == CONV
    assert count(conv, (X.clone().requires_grad_(),)).backward == 2 * CONV
    assert count(nn.Sequential(nn.Conv2d(4, 4, 1), conv), (X,)).backward == 2 * CONV + 2 * 2 * 16 * 64
    assert count(conv.requires_grad_(False), (X,)).backward == 0
    linear = nn.Linear(8, 5)
    linear.weight.requires_grad_(False)  # its bias is an addend, no factor
    assert count(linear, (X,)).backward == 0


def test_backward_of_a_grouped_convolution_is_twice_its_forward_and_torch_says_more():
    model = nn.Conv2d(4, 6, 3, groups=2)
    x = X.clone().requires_grad_()
    assert count(model, (x,)).backward == CONV
    counted = crosscheck.by_torch(model, (x,))
    assert counted["forward_backward"] - counted["forward"] > CONV


@pytest.mark.parametrize("depth", [1, 3])
def test_attention_is_counted(depth):
    x = torch.ones(1, 2, 8, 4)
    attention = Apply(lambda x, w: functional.scaled_dot_product_attention(x * w, x, x), 4)
    products = 2 * (2 * 2 * 8 * 8 * 4)  # scores and values
    assert count(nn.Sequential(*[attention] * depth), (x,)).forward == depth * products
    assert crosscheck.by_torch(attention, (x,))["forward"] == 0  # the fused kernel of the CPU has no formula there


def test_matrix_times_vector_and_dot_products_are_counted():
    x = torch.ones(3, 5)
    assert count(Apply(lambda x, w: x @ w, 5), (x,)).forward == 2 * 15
    assert count(Apply(lambda x, w: x[0] @ w, 5), (x,)).forward == 2 * 5
    assert count(Apply(lambda x, w: torch.addmv(x[:, 0], x, w), 5), (x,)).forward == 2 * 15


def test_a_layers_formula_is_the_authority():
    layer = registry.layer("conv")(4, 6, 3, size=(8, 8))
    model = nn.Sequential(layer, nn.ReLU(), nn.Conv2d(6, 1, 1))
    counted = count(model, (X,))
    same = 2 * 2 * 6 * 4 * 9 * 64
    (call,) = counted.layers
    assert (call.layer, call.shape, call.formula, call.counted) == ("conv", (2, 4, 8, 8), same, same)
    assert counted.forward == same + 2 * 2 * 6 * 64
    assert counted.uncounted == {"aten.relu": 1}


def named(module, formula):
    """The module as if built out of a registered variant with this formula."""
    module.coordbench_layer = Layer(Selected(VariantEntry("mine", type(module), flops=formula), {}))
    return module


def test_a_layer_called_twice_is_billed_twice_and_one_inside_another_once():
    inner = named(nn.Conv2d(4, 4, 1), lambda module, shape: 10)
    outer = named(nn.Sequential(inner, nn.Conv2d(4, 4, 1)), lambda module, shape: 1000 + shape[0])
    counted = count(nn.Sequential(outer, outer, inner), (X,))
    assert counted.forward == 2 * 1002 + 10
    assert counted.layers[0].counted == 2 * (2 * 2 * 4 * 4 * 64)


@pytest.mark.parametrize("entry", registry.entries("variant"), ids=lambda entry: entry.name)
def test_every_formula_covers_at_least_the_products_that_run(entry):
    size = (9, 12, 8)[: max(entry.dims)]
    layer = registry.layer(entry.name)(6, 8, 3, size=size)
    shape = (2, 6, *size)
    (call,) = count(layer, (torch.ones(shape),)).layers
    assert call.formula == entry.flops(layer, shape)
    assert call.formula >= call.counted == crosscheck.by_torch(layer, (torch.ones(shape),))["forward"]


@pytest.mark.parametrize("name", ["conv", "coordconv", "geoconv", "learned_position", "unit_gate", "tiled_conv"])
def test_forward_and_backward_are_what_torch_counts_where_it_counts_all(name):
    layer = registry.layer(name)(6, 8, 3, size=(9, 12))
    x = torch.ones(2, 6, 9, 12)
    counted = count(layer, (x,))
    assert counted.forward + counted.backward == crosscheck.by_torch(layer, (x,))["forward_backward"]


def test_backward_of_a_layer_counts_products_of_inner_results_too():
    mixing = named(
        nn.Sequential(nn.Conv2d(4, 8, 1), nn.Conv2d(8, 4, 1)), lambda module, shape: 4 * 2 * 2 * 32 * 64 // 2
    )
    counted = count(mixing, (X,))
    one = 2 * 2 * 32 * 64
    assert (counted.forward, counted.layers[0].counted) == (2 * one, 2 * one)
    assert counted.backward == 3 * one  # the second convolution passes a gradient on, the first has no one to pass to


def test_hooks_are_taken_off_even_if_the_model_raises():
    layer = registry.layer("conv")(4, 6, 3, size=(8, 8))
    with pytest.raises(RuntimeError):
        count(layer, (torch.ones(1, 5, 8, 8),))
    assert not layer._forward_hooks
    assert not layer._forward_pre_hooks


def test_what_cannot_be_traced_is_a_reason():
    class Raises(nn.Module):
        def forward(self, x):
            raise KeyError("nothing here")

    assert "KeyError" in crosscheck.by_fvcore(Raises(), (X,))["reason"]
