"""Boxes by hand, anchors told and answered, digits scattered, and a detector that learns."""

from __future__ import annotations

import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.trial import Trial
from coordbench.harness.training import train
from coordbench.tasks._data import boxes
from coordbench.tasks._data.scattered_digits import SIDES, TOUCH, crops, numbered, scatter
from coordbench.tasks.positional_regression._proposals import SAMPLED, answer, assign, join, split


def test_overlaps_by_hand() -> None:
    first = torch.tensor([[0.0, 0, 2, 2]])
    others = torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [2, 2, 4, 4], [0, 0, 1, 1]])
    assert boxes.overlaps(first, others)[0].tolist() == pytest.approx([1, 1 / 3, 0, 1 / 4])


def test_encode_and_decode_are_inverse() -> None:
    base = boxes.anchors(4, 4, (15, 20))
    truth = base + torch.tensor([1.0, -2.0, 3.0, 4.0])
    assert base.shape == (4 * 4 * 4, 4)
    assert base[4].tolist() == pytest.approx([6 - 7.5, 2 - 7.5, 6 + 7.5, 2 + 7.5])  # the second cell lies to the right
    assert torch.allclose(boxes.decode(boxes.encode(truth, base), base), truth, atol=1e-4)


def test_suppression_keeps_the_best_of_what_overlaps() -> None:
    proposed = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]]])
    best = boxes.suppress(proposed, torch.tensor([[1.0, 2.0, 0.5]]), 2)
    assert best[0].tolist() == [[1, 0, 11, 10], [20, 0, 30, 10]]


def test_split_and_join_are_inverse_and_the_detector_says_what_is_wanted() -> None:
    output = torch.randn(2, 54, 4, 4)
    assert torch.equal(join(*split(output), 4), output)
    base = boxes.anchors(8, 4, (15, 20, 25))
    wanted = torch.tensor([[2.0, 3, 20, 22], [10, 9, 27, 30]])
    deltas, logits = split(answer([wanted], base, 8))
    proposed = boxes.suppress(boxes.decode(deltas, base), logits[..., 1], 2)
    assert torch.allclose(proposed[0], wanted, atol=1e-3)


def test_anchors_are_told_what_they_are() -> None:
    base = boxes.anchors(16, 4, (15, 20, 25))
    truth = torch.stack([base[[900, 2000]], base[[910, 300]] + torch.tensor([3.0, 3, -1, 4])])
    classes, deltas = assign(truth, base, "key")
    assert classes[0, 900] == classes[0, 2000] == 1
    assert (classes == 1).any(1).all()
    assert ((classes >= 0).sum(1) == SAMPLED).all()
    best = boxes.overlaps(base, truth).amax(2)
    assert best[classes == 0].max() < 0.3
    chosen = classes == 1
    back = boxes.decode(deltas, base)[chosen]
    owners = boxes.overlaps(back[:, None], truth[chosen.nonzero()[:, 0]])[:, 0]
    assert torch.allclose(owners.amax(1), torch.ones(len(back)), atol=1e-4)


def test_digits_fill_their_boxes_hardly_touch_and_are_not_shared() -> None:
    drawn = scatter("train", 20, 64, 5, "key")
    sides = drawn.boxes[..., 2:] - drawn.boxes[..., :2]
    assert (sides.min(), sides.max()) == SIDES
    shared = boxes.overlaps(drawn.boxes, drawn.boxes) * (1 - torch.eye(5))
    assert shared.max() <= TOUCH + 1e-6
    inside = torch.zeros(64, 64, dtype=torch.bool)
    for x0, y0, x1, y1 in drawn.boxes[0].int().tolist():
        inside[y0:y1, x0:x1] = True
        assert drawn.images[0, 0, y0:y1, x0:x1].amax(1).min() > 0
    assert not drawn.images[0, 0][~inside].any()
    assert torch.equal(scatter("train", 2, 64, 5, "key").images, drawn.images[:2])
    assert [len(crops(part)) for part in ("train", "validation", "test")] == [1258, 180, 359]


def test_a_finite_set_is_seen_again_and_its_digits_may_overlap() -> None:
    task = "digit_detection[batch=16, images=32, overlap=true]"
    problem = registry.problem(task, lambda i, o: torch.nn.Identity(), 0)
    first, second, again = (problem.batches(step)[0].flatten(1) for step in (0, 1, 2))
    assert problem.epoch_steps == 2
    known = torch.cat([first, second])
    assert len(known.unique(dim=0)) == 32
    assert torch.cdist(again, known, compute_mode="donot_use_mm_for_euclid_dist").amin(1).max() == 0
    drawn = numbered(torch.arange(50), "train", 64, 5, "key", overlap=True)
    assert torch.equal(drawn.images[7:8], numbered(torch.tensor([7]), "train", 64, 5, "key", overlap=True).images)
    shared = boxes.overlaps(drawn.boxes, drawn.boxes) * (1 - torch.eye(5))
    assert shared.max() > 3 * TOUCH


@pytest.mark.parametrize(
    ("where", "variant", "count"),
    [("", "conv", 81_590), ("", "coordconv", 83_838), ("[where=all]", "coordconv", 87_650)],
)
def test_the_detector_has_the_published_number_of_parameters(where: str, variant: str, count: int) -> None:
    model = registry.network(f"rpn{where}", registry.layer(variant))((1, 64, 64), (54, 16, 16))
    assert sum(p.numel() for p in model.parameters()) == count


def test_a_detector_beats_fixed_boxes() -> None:
    def run(**how: object) -> dict[str, float]:
        return train.run(Trial(Cell.of("digit_detection", **how), 0)).scores["test"]  # type: ignore[arg-type]

    floor, anchor = run(reference="scattered_boxes"), run(reference="connected_ink")
    budget = Budget(60, 3e-3, evaluations=1)
    trained = run(backbone="rpn[width=0.25]", variant="conv", budget=budget)
    assert 0.2 < floor["iou"] < anchor["iou"] < 1
    assert trained["iou"] > floor["iou"] + 0.1


def test_too_many_digits_are_refused() -> None:
    with pytest.raises(UsageError, match="9 digits do not fit a canvas=64"):
        registry.problem("digit_detection[digits=9]", lambda i, o: torch.nn.Identity(), 0)
