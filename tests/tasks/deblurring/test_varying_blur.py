"""The 1-D task: its matrices against definitions, its floors against estimators, a gated layer on its rank floor."""

from __future__ import annotations

import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.tasks._data.signals import Signals, apply_kernels, as_matrix, best_of_rank, drifting_gaussians, tail

KERNELS = drifting_gaussians(256, 31, (0.5, 4.0), drift=3.0)
INSIDE = slice(15, -15)


def build(task: str, seed: int = 0):
    return registry.problem(task, lambda input_shape, output_shape: torch.nn.Conv1d(1, 1, 1), seed)


def scores(task: str) -> dict[str, float]:
    problem = build(task)
    references = registry.references(task)
    return {e.name: problem.evaluate(registry.solve(e.name, problem), "test")["nmse"] for e in references}


def test_kernels_widen_and_drift_as_stated():
    offsets = torch.arange(31.0) - 15
    center = KERNELS @ offsets.double()
    variance = KERNELS @ offsets.double() ** 2 - center**2
    torch.testing.assert_close(KERNELS.sum(1), torch.ones(256, dtype=torch.float64))
    torch.testing.assert_close(center[[0, -1]], torch.tensor([-3.0, 3.0], dtype=torch.float64), atol=0.02, rtol=0)
    assert variance[0].sqrt().item() == pytest.approx(0.46, abs=0.01)  # 0.5, sampled at whole pixels
    assert variance[-1].sqrt().item() == pytest.approx(4.0, rel=0.02)


def test_applying_kernels_is_a_convolution_where_they_do_not_vary():
    kernel = torch.tensor([1.0, 2.0, 4.0])
    signal = torch.tensor([[[1.0, 0.0, 0.0, 1.0]]])
    expected = torch.tensor([[[2.0, 1.0, 4.0, 2.0]]])  # correlation, zeros beyond the ends
    torch.testing.assert_close(apply_kernels(kernel.expand(4, 3), signal), expected)
    torch.testing.assert_close(signal @ as_matrix(kernel.expand(4, 3)).T, expected)


@pytest.mark.parametrize("correlation", [0.0, 3.0])
def test_signals_have_the_covariance_they_state(correlation):
    signals = Signals(40, correlation)
    drawn = signals.draw(20000, torch.Generator().manual_seed(0))[:, 0].double()
    torch.testing.assert_close(drawn.T @ drawn / len(drawn), signals.covariance(), atol=0.04, rtol=0)
    if correlation:
        assert signals.covariance()[0, 3].item() == pytest.approx(0.6065, abs=0.01)  # exp(-1/2)


@pytest.mark.parametrize("correlation", [0.0, 3.0])
def test_the_rank_floor_is_the_tail_and_no_other_kernels_of_that_rank_are_better(correlation):
    covariance = Signals(256, correlation).covariance(31)

    def error(kernels):
        rest = KERNELS - kernels
        return ((rest @ covariance) * rest).sum().item() / 256

    floor = tail(KERNELS, 4, covariance)
    best = best_of_rank(KERNELS, 4, covariance)
    assert torch.linalg.matrix_rank(best) == 4
    assert error(best) == pytest.approx(floor, rel=1e-6)
    left, values, right = torch.linalg.svd(best, full_matrices=False)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        moved = left + 1e-3 * torch.randn(left.shape, generator=generator, dtype=left.dtype)
        assert error(moved[:, :4] * values[:4] @ right[:4]) > floor


def test_what_is_best_for_white_signals_is_far_from_best_for_correlated_ones():
    white = best_of_rank(KERNELS, 4, torch.eye(31, dtype=torch.float64)) - KERNELS
    covariance = Signals(256, 3.0).covariance(31)
    assert ((white @ covariance) * white).sum() / 256 > 10 * tail(KERNELS, 4, covariance)


def test_coordgate_with_four_free_gates_reaches_the_floor_of_rank_four():
    network = registry.network("cnn[depth=1, width=4, kernel_size=31]", registry.layer("coordgate[encoder=map]"))
    model = network((1, 256), (1, 256)).double()
    layer, readout = model
    left, values, right = torch.linalg.svd(KERNELS[INSIDE], full_matrices=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        layer.encoder.map[..., INSIDE] = (left * values)[:, :4].T
        layer.conv.weight[:, 0] = right[:4]
        readout.conv.weight.fill_(1)
    impulses = torch.eye(256, dtype=torch.float64)[:, None]
    errors = (model(impulses) - apply_kernels(KERNELS, impulses))[..., INSIDE]
    floor = tail(KERNELS[INSIDE], 4, torch.eye(31, dtype=torch.float64))
    assert errors.square().sum().item() / 226 == pytest.approx(floor, rel=1e-9)


def test_references_of_the_forward_task_are_ordered_and_measured_where_the_loss_is():
    white, correlated = (scores(f"varying_blur_1d[correlation={c}, scored=inside]") for c in (0, 3))
    assert list(white) == ["zero", "exact_kernels", "rank_floor"]
    assert white["exact_kernels"] < 1e-12
    assert white["zero"] == correlated["zero"] == 1
    expected = tail(KERNELS[INSIDE], 4, torch.eye(31, dtype=torch.float64)) / KERNELS[INSIDE].square().sum() * 226
    assert white["rank_floor"] == pytest.approx(expected.item(), rel=0.05)
    assert correlated["rank_floor"] < 0.1 * white["rank_floor"]


@pytest.mark.parametrize("correlation", [0, 3])
def test_no_wiener_like_filter_beats_the_linear_estimator_of_the_inverse_task(correlation):
    task = f"varying_blur_1d[direction=inverse, correlation={correlation}]"
    problem = build(task)
    best = scores(task)["linear_estimator"]
    assert best < 0.7 * scores(task)["zero"]
    line = problem.data
    blur = as_matrix(line.kernels)
    for ratio in (0.5, 2.0):  # the same formula with a wrong noise is a worse estimator
        cross = line.signals.covariance() @ blur.T
        noise = ratio * line.noise**2 * torch.eye(256, dtype=torch.float64)
        gain = torch.linalg.solve(blur @ cross + noise, cross, left=False).float()
        other = problem.evaluate({"restorer": lambda given, gain=gain: given @ gain.T}, "test")["nmse"]
        assert other > best


def test_the_gallery_has_a_signal_and_the_error_against_position():
    problem = build("varying_blur_1d[scored=inside]")
    samples = {(s.group, s.role): s.array for s in problem.samples(registry.solve("zero", problem))}
    assert samples["a signal", "input"].shape == (256,)
    position, error = samples["error against position", "error"]
    assert (position[0], position[-1]) == (15, 240)
    assert error[0] > error[-1] > 0  # what is blurred more has less power


def test_padding_is_scored_to_the_edge_and_compared_nowhere_else():
    """A wrong answer at the first position alone is seen; where it is not, arms that differ in padding are refused."""
    exact = registry.solve("exact_kernels", build("varying_blur_1d"))["restorer"]

    def wrong_at_the_edge(given):
        answer = exact(given).clone()
        answer[..., 0] += 1
        return answer

    for task, seen in (("varying_blur_1d", True), ("varying_blur_1d[scored=inside]", False)):
        score = build(task).evaluate({"restorer": wrong_at_the_edge}, "test")["nmse"]
        assert (score > 1e-3) == seen
    assert list(scores("varying_blur_1d")) == ["zero", "exact_kernels"]  # the floor of a rank is not known at the edge


@pytest.mark.parametrize(
    ("task", "backbone", "reached"),
    [
        ("scored=inside", "cnn[depth=4, kernel_size=9]", "2 of 226"),
        ("scored=inside", "cnn[depth=1, kernel_size=31]", "0 of 226"),
        ("scored=inside", "cnn[depth=8, kernel_size=9]", ""),
        ("scored=all", "cnn[depth=1, kernel_size=9]", ""),
        ("scored=all", "cnn[depth=1, kernel_size=1]", "0 of 256"),
        ("length=64", "cnn[depth=8, kernel_size=9]", ""),
    ],
)
def test_paddings_are_compared_where_they_reach_what_is_scored(task, backbone, reached):
    chosen = registry.select("task", f"varying_blur_1d[{task}]"), registry.select("backbone", backbone)
    arms = [registry.select("variant", name).selector for name in ("conv", "conv[padding=circular]")]
    assert registry.refusal(*chosen, arms[:1]) == ""
    reason = registry.refusal(*chosen, arms)
    assert f"reaches {reached} scored positions" in reason if reached else reason == ""


def test_padding_reaches_every_position_of_64_through_eight_layers_of_nine():
    """With positive weights nothing is cut off, so that paddings differ wherever either end is seen."""
    outputs = []
    for variant in ("conv", "conv[padding=circular]"):
        torch.manual_seed(0)
        network = registry.network("cnn[depth=8, kernel_size=9, width=4]", registry.layer(variant))((1, 64), (1, 64))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        outputs.append(network.double()(torch.rand(1, 1, 64, dtype=torch.float64)))
    assert (outputs[0] != outputs[1]).all()


def test_a_batch_is_a_function_of_seed_and_step():
    problem = build("varying_blur_1d")
    assert all(torch.equal(a, b) for a, b in zip(problem.batches(2), build("varying_blur_1d").batches(2), strict=True))
    assert not torch.equal(problem.batches(2)[0], problem.batches(3)[0])


@pytest.mark.parametrize("options", ["taps=30", "taps=129", "correlation=-1", "rank=0"])
def test_wrong_options_are_named(options):
    name, value = options.split("=")
    with pytest.raises(UsageError, match=rf"{name}='?{value}\b"):
        build(f"varying_blur_1d[{options}]")


def test_a_stack_of_layers_has_its_depth_and_needs_one():
    network = registry.network("cnn[depth=3, width=5, kernel_size=7]", registry.layer("conv"))((2, 20), (1, 20))
    assert sum(p.numel() for p in network.parameters()) == (2 * 7 + 1) * 5 + 2 * (5 * 7 + 1) * 5 + 6
    assert network(torch.randn(3, 2, 20)).shape == (3, 1, 20)
    with pytest.raises(UsageError, match="depth=0"):
        registry.network("cnn[depth=0]", registry.layer("conv"))((1, 8), (1, 8))
