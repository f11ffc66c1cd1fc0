"""Measures of a generator: hand-checked points, loops as an oracle, and answers known for whole distributions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coordbench.tasks.gan_stability._measures.components import principal
from coordbench.tasks.gan_stability._measures.factors import cells, entropy, occupied
from coordbench.tasks.gan_stability._measures.features import projection
from coordbench.tasks.gan_stability._measures.fidelity import fidelity, mmd, near, nearest, radii, vendi


def normal(count: int, dims: int, seed: int) -> Tensor:
    return torch.randn(count, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_three_real_and_two_fake_points_by_hand() -> None:
    # neighborhoods of the real ones: (-1, 1), (0, 2), (1, 5); of the fakes, 9.5 apart: all real ones lie in the first
    scores = fidelity(column(0, 1, 3), column(0.5, 10), k=1)
    assert scores["precision"] == 0.5
    assert scores["recall"] == 1
    assert scores["density"] == 1
    assert scores["coverage"] == pytest.approx(2 / 3)


def test_mmd_by_hand() -> None:
    # (xy + 1)^3: within {0, 1} 1, within {2, 2} 125, across the mean of 1 and 27
    assert mmd(column(0, 1), column(2, 2)) == 1 + 125 - 2 * 14


def test_vendi_counts_what_differs() -> None:
    axes = torch.eye(4, dtype=torch.float64)
    assert vendi(axes[[0, 0, 0, 0]]) == pytest.approx(1)
    assert vendi(axes[[0, 1, 2, 3]]) == pytest.approx(4)
    assert vendi(axes[[0, 0, 1, 1]] * 7) == pytest.approx(2)
    assert vendi(torch.zeros(3, 4, dtype=torch.float64)) == pytest.approx(1)


def test_neighborhoods_match_loops() -> None:
    centers, others, k = normal(9, 2, 0), normal(7, 2, 1), 3
    for i, center in enumerate(centers):
        reach = sorted((center - other).norm().item() for other in centers)[k]
        assert radii(centers, k)[i].item() == pytest.approx(reach)
        inside = [(center - other).norm().item() < reach for other in others]
        assert near(centers, others, k)[i].tolist() == inside


def test_too_few_points_are_named() -> None:
    with pytest.raises(ValueError, match="5 points have no 5-th neighbor"):
        radii(normal(5, 2, 0), 5)


@pytest.mark.parametrize("dims", [8, 64])
def test_equal_distributions(dims: int) -> None:
    scores = fidelity(normal(1000, dims, 0), normal(1000, dims, 1))
    assert scores["coverage"] == pytest.approx(1 - 2**-5, abs=0.02)
    assert scores["density"] == pytest.approx(1, abs=0.15)
    assert scores["mmd"] == pytest.approx(0, abs=0.02)
    assert scores["precision"] == pytest.approx(scores["recall"], abs=0.05)
    assert scores["vendi"] == pytest.approx(dims, rel=0.05)


def test_a_collapse_onto_five_points_pleases_precision_and_density_alone() -> None:
    real = normal(1000, 32, 0)
    scores = fidelity(real, real[torch.arange(1000) % 5])
    assert scores["precision"] == 1
    assert 0.5 < scores["density"] < 2.5
    assert scores["recall"] == 0
    assert scores["coverage"] < 0.06
    assert scores["vendi"] <= 5.001


def test_a_shifted_distribution_is_told() -> None:
    scores = fidelity(normal(1000, 16, 0), normal(1000, 16, 1) + 10)
    assert max(scores[name] for name in ("precision", "recall", "density", "coverage")) == 0
    assert scores["mmd"] > 1e4


def test_a_mixture_loses_precision_but_no_coverage() -> None:
    real, fake = normal(1000, 8, 0), normal(1000, 8, 1)
    whole = fidelity(real, fake)
    mixed = fidelity(real, torch.cat([fake[:500], fake[500:] + 20]))
    assert mixed["precision"] == pytest.approx(whole["precision"] / 2, abs=0.03)
    assert mixed["density"] == pytest.approx(whole["density"] / 2, abs=0.06)
    assert mixed["coverage"] == pytest.approx(1 - (2 / 3) ** 5, abs=0.04)  # five real ones in a row before a fake


def test_nearest_finds_copies() -> None:
    known = normal(20, 3, 0)
    assert nearest(known[[4, 7]], known).tolist() == [0, 0]


def test_entropy_and_cells_by_hand() -> None:
    labels = cells(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), 0, 1, bins=2)
    assert labels.tolist() == [0, 1, 2, 3]
    assert entropy(labels, 4) == pytest.approx(1.3862944)
    assert entropy(labels[:0], 4) == 0
    assert occupied(labels[:3], 4) == 0.75


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_principal_components_match_the_singular_values(shape: tuple[int, int]) -> None:
    vectors = normal(*shape, seed=2)
    center, components, variances = principal(vectors, 8)
    values = torch.linalg.svdvals(vectors - center) ** 2 / len(vectors)
    rank = min(8, shape[1], shape[0] - 1)
    assert torch.allclose(variances[:rank], values[:rank])
    assert torch.allclose(components[:, :rank].T @ components[:, :rank], torch.eye(rank).double(), atol=1e-9)
    assert components[:, rank:].abs().max() < 1e-9
    projected = (vectors - center) @ components[:, :rank]
    assert torch.allclose(projected.square().mean(0), variances[:rank])


@pytest.mark.parametrize("kind", ["pca", "random_convolution"])
def test_features_are_fixed_small_and_of_unit_variance(kind: str) -> None:
    images = normal(300, 3 * 8 * 8, 3).view(300, 3, 8, 8).float()
    project = projection(kind, images)  # type: ignore[arg-type]
    projected = project(images)
    assert projected.shape == (300, 64)
    assert projected.var(0).mean().item() == pytest.approx(1)
    assert torch.equal(project(images[:10]), projection(kind, images)(images[:10]))  # type: ignore[arg-type]
    assert nearest(project(images[:10]), projected).max() < 1e-6  # a copy is at no distance, whatever its batch


def test_equal_images_are_at_distance_zero_whatever_else_is_measured_beside_them() -> None:
    """A matrix product leaves 1e-6 of a distance between equal points far from the origin, and counts them as near."""
    real = normal(200, 64, 0) + 100
    assert nearest(real, real).max() == 0
    assert nearest(real[:7], torch.cat([normal(40, 64, 1), real])).max() == 0
    repeated = real[:1].expand(20, -1)
    assert radii(repeated).max() == 0
    assert not near(repeated, real).any()  # a neighborhood of no extent holds nothing
