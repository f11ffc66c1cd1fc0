"""The tasks of translation, through the runner: references that cannot know place, networks that do and do not."""

from __future__ import annotations

import dataclasses
import functools

import pytest
import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.entries import VariantEntry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import Problem
from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.training import train
from coordbench.tasks._backbones._parts.downsampling import Down
from coordbench.tasks._backbones.classifier import classifier
from coordbench.tasks._data.digits import SIDE, digits, split_digits
from coordbench.tasks._predict import predict
from coordbench.tasks.translation._places import distance, every_place, painted, trained_places

CANVAS = 20
PROBES = ("equivariance[canvas=16]", "position_readout[canvas=16]", "scale_rotation")


def problem(task: str, backbone: str = "classifier", variant: str = "conv") -> Problem:
    torch.manual_seed(0)
    return registry.problem(task, registry.network(backbone, registry.layer(variant)), 0)


def solved(task: str, reference: str) -> dict[str, float]:
    record = train.run(Trial(Cell.of(registry.select("task", task).label, reference=reference), 0))
    return record.scores["test"]


@functools.cache
def trained(task: str, backbone: str = "classifier", variant: str = "conv", steps: int = 1) -> Record:
    labels = (registry.select(*pair).label for pair in (("task", task), ("backbone", backbone), ("variant", variant)))  # type: ignore[arg-type]
    name, network, layer = labels
    return train.run(Trial(Cell.of(name, network, layer, budget=Budget(steps, evaluations=1)), 0))


def test_places_are_where_a_digit_fits() -> None:
    assert len(every_place(CANVAS, SIDE)) == 13**2
    assert trained_places("one", CANVAS, SIDE).tolist() == [[6, 6]]
    assert trained_places("few", CANVAS, SIDE).tolist() == [[3, 3], [3, 9], [9, 3], [9, 9]]
    asked = torch.tensor([[6, 6], [0, 6], [5, 8], [12, 12]])
    assert distance(asked, trained_places("one", CANVAS, SIDE)).tolist() == [0, 6, 2, 6]
    assert distance(asked, trained_places("few", CANVAS, SIDE)).tolist() == [3, 3, 2, 3]


def test_digits_are_painted_whole_and_nowhere_else() -> None:
    images, labels = digits()
    places = every_place(CANVAS, SIDE)[[0, 17, 168]]
    canvas = painted(images[:3], places, CANVAS)
    for image, drawn, (y, x) in zip(images, canvas, places.tolist(), strict=False):
        torch.testing.assert_close(drawn[0, y : y + SIDE, x : x + SIDE], image)
        assert drawn.sum() == image.sum()
    assert labels[:10].tolist() == list(range(10))


def test_splits_share_no_digit_and_lose_none() -> None:
    parts = [split_digits(split, "test", 0)[0] for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [1258, 180, 359]
    together = torch.cat(parts).flatten(1)
    assert torch.equal(together.sum(1).sort()[0], digits()[0].flatten(1).sum(1).sort()[0])


def test_the_ceiling_is_exactly_invariant_and_the_floor_blind_elsewhere() -> None:
    whole = problem(f"unseen_places[canvas={CANVAS}]")
    images = split_digits("test", "unseen_places", 0)[0][:12]
    model = registry.solve("centered_digit", whole)["model"]
    answers = [model(painted(images, place.expand(12, 2), CANVAS)).argmax(1) for place in every_place(CANVAS, SIDE)]
    assert all(torch.equal(answer, answers[0]) for answer in answers)
    task = f"unseen_places[canvas={CANVAS}]"
    ceiling, floor = (solved(task, name) for name in ("centered_digit", "template_at_trained_places"))
    assert ceiling["accuracy"] > 0.96
    assert floor["accuracy@seen"] > 0.85
    assert floor["accuracy"] < 0.2


def test_a_dense_head_trained_at_one_place_is_at_the_floor_far_away() -> None:
    scores = trained("unseen_places[canvas=24]", "classifier[head=dense]", "conv", 150).scores["test"]
    assert scores["accuracy@seen"] > 0.85
    assert scores["accuracy@distance=8"] < 0.2
    assert scores["accuracy@unseen"] < 0.2


def test_circular_layers_and_polyphase_sampling_know_no_place_whatever_they_learned() -> None:
    task = f"unseen_places[canvas={CANVAS}]"
    whole = problem(task, "classifier[down=aps, padding=circular]", "conv[padding=circular]")
    trial = Trial(Cell.of(task, "classifier", "conv", budget=Budget(40)), 0)
    train.train(whole, trial, Record("ok"))
    images = split_digits("test", "unseen_places", 0)[0][:16]
    model = whole.models["model"].double().eval()
    places = torch.tensor([[0, 0], [5, 8], [12, 1]])
    with torch.no_grad():
        outputs = [model(painted(images, place.expand(16, 2), CANVAS).double()) for place in places]
    assert outputs[0].std(0).mean() > 1e-4  # it tells digits apart, so equality below is no accident
    for output in outputs[1:]:
        torch.testing.assert_close(output, outputs[0])


def test_the_map_holds_the_accuracy_of_each_place() -> None:
    record = trained("unseen_places[canvas=24]", "classifier[head=dense]", "conv", 150)
    picture, curve = (sample.array for sample in record.samples)
    assert picture.shape == (17, 17)
    assert picture.mean() == pytest.approx(record.scores["test"]["accuracy"])
    assert picture[8, 8] == pytest.approx(record.scores["test"]["accuracy@seen"]) == curve[1, 0]
    assert curve[0].tolist() == list(range(9))


@pytest.mark.parametrize("task", PROBES)
def test_a_probe_at_initialization_trains_nothing(task: str) -> None:
    whole, record = train.build(Cell.of(task, "stack", "conv")), trained(task, "stack", "conv")
    assert whole.phases == ()
    assert (record.status, record.converged, record.error) == ("ok", True, "")
    with torch.no_grad():
        assert record.scores["test"] == pytest.approx(whole.evaluate(whole.models, "test"))
    assert {point.metric.partition("/")[0] for point in record.curves} <= {"validation"}
    assert record.samples


@pytest.mark.parametrize("entry", registry.entries("variant"), ids=lambda entry: entry.name)
def test_every_variant_can_be_probed(entry: VariantEntry) -> None:
    for task in PROBES[:2]:
        whole = train.build(Cell.of(task, "stack", entry.name))
        with torch.no_grad():
            scores = whole.evaluate(whole.models, "validation")
        assert -1 < scores["r2"] <= 1 if "r2" in scores else 0 <= scores["error"] < 1.5


def test_equivariance_ranks_what_is_known() -> None:
    variants = ("conv[padding=circular]", "conv", "coordconv")
    circular, zeros, coordinates = (trained("equivariance[canvas=16]", "stack", v).scores["test"] for v in variants)
    assert circular["error"] == pytest.approx(0, abs=1e-9)
    assert circular["error@interior"] == zeros["error@interior"] == pytest.approx(0, abs=1e-9)
    assert 0.05 < zeros["error"] < coordinates["error"]
    assert coordinates["error@interior"] > 0.3
    floor = solved("equivariance[canvas=16]", "random_dense")
    assert floor["error"] == pytest.approx(1, abs=0.03)
    assert floor["error@interior"] == pytest.approx(1, abs=0.05)


def test_classes_of_the_whole_picture_must_not_move_at_all() -> None:
    task, backbone = "equivariance[output=vector, canvas=16]", "classifier[down={}, padding=circular]"
    exact, aliased = (
        trained(task, backbone.format(down), "conv[padding=circular]").scores["test"] for down in ("aps", "max_pool")
    )
    assert exact["error"] == pytest.approx(0, abs=1e-7)
    assert aliased["error@shift=1"] > 0.1
    assert aliased["error@shift=4"] == pytest.approx(0, abs=1e-7)
    assert "error@interior" not in exact


def test_place_leaks_from_zeros_at_the_border_inward_and_from_nothing_else() -> None:
    variants = ("conv", "conv[padding=circular]")
    deep = {v: trained("position_readout[canvas=16]", "stack[depth=6]", v).scores["test"] for v in variants}
    assert deep["conv"]["r2@layer=6"] > deep["conv"]["r2@layer=1"] + 0.1
    assert abs(deep["conv[padding=circular]"]["r2"]) < 0.03
    assert abs(solved("position_readout", "pixels_alone")["r2"]) < 0.02
    assert solved("position_readout", "coordinates_alone")["r2"] == pytest.approx(1)


def test_training_is_scored_where_it_is_asked_for() -> None:
    record = trained("scale_rotation[trained=true, augment=zoom, output=vector]", "classifier", "conv", 2)
    scores = record.scores["test"]
    assert {"accuracy", "accuracy@upright", "accuracy@angle=90", "accuracy@scale=2", "error@angle"} <= set(scores)
    kinds = scores["error@angle"], scores["error@scale"]
    assert scores["error"] == pytest.approx(sum(kinds) / 2)
    assert "accuracy" not in trained("scale_rotation", "stack", "conv").scores["test"]


def test_forgetting_moves_from_every_place_to_the_middle() -> None:
    whole = problem(f"forgetting[canvas={CANVAS}, pretrain=3]")
    early, late = (torch.cat([whole.batches(step)[0] for step in steps]) for steps in (range(3), range(3, 6)))
    outside = torch.ones(CANVAS, CANVAS, dtype=torch.bool)
    outside[6:14, 6:14] = False
    assert late[:, 0, outside].sum() == 0
    assert (early[:, 0, outside].sum(1) > 0).float().mean() > 0.9
    assert torch.equal(whole.batches(1)[0], whole.batches(1)[0])
    scores = whole.evaluate({"model": nn.Flatten()}, "validation")
    assert scores["accuracy_lost"] == pytest.approx(scores["accuracy@seen"] - scores["accuracy"])


def test_what_refuses_a_size_recognizes_nothing_there() -> None:
    heads = ("classifier[head=dense]", "classifier[head=fully_conv]")
    refusing, open_ = (trained("unseen_size", head).scores["test"] for head in heads)
    assert (refusing["refused"], refusing["accuracy"]) == (1, 0)
    assert open_["refused"] == 0
    ceiling = solved("unseen_size", "centered_digit")
    assert min(value for name, value in ceiling.items() if name.startswith("accuracy")) > 0.95


@pytest.mark.parametrize("down", ["stride", "max_pool", "average_pool", "blur_pool", "aps"])
@pytest.mark.parametrize("head", ["global_mean", "fully_conv", "dense"])
def test_the_classifier_takes_any_size(down: str, head: str) -> None:
    layer = registry.layer("coordconv")
    for size in ((15,), (9, 14), (5, 6, 7)):
        network = classifier(layer, (2, *size), (7,), down=down, head=head, width=0.5)  # type: ignore[arg-type]
        assert network(torch.rand(3, 2, *size)).shape == (3, 7)
    maps = classifier(layer, (1, 9, 14), (7, 9, 14), down=down)(torch.rand(2, 1, 9, 14))  # type: ignore[arg-type]
    assert maps.shape == (2, 7, 3, 4)


def test_downsampling_has_nothing_to_train() -> None:
    downs: tuple[Down, ...] = ("stride", "max_pool", "blur_pool", "aps")
    counts = [_trained_numbers(classifier(registry.layer("conv"), (1, 16, 16), (10,), down=down)) for down in downs]
    assert len(set(counts)) == 1


def _trained_numbers(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def test_wrong_sizes_are_named() -> None:
    for task, named in (
        ("unseen_places[canvas=8]", "canvas='8'"),
        ("equivariance[canvas=8]", "canvas='8'"),
        ("scale_rotation[canvas=16]", "canvas='16'"),
        ("forgetting[pretrain=-1]", "pretrain='-1'"),
    ):
        with pytest.raises(UsageError, match=named):
            problem(task)
    network = classifier(registry.layer("conv"), (1, 16, 16), (10,), head="dense")
    with pytest.raises(ValueError, match=r"\(4, 4\) px was given \(8, 8\) px"):
        network(torch.rand(1, 1, 32, 32))


def test_batches_depend_on_seed_and_step_alone() -> None:
    for task in ("unseen_places", "unseen_size", "forgetting", "scale_rotation[augment=rotation]", "equivariance"):
        one, two = problem(task, "classifier"), problem(task, "classifier", "coordconv")
        pairs = [(a, b) for a, b in zip(one.batches(3), two.batches(3), strict=True)]
        assert all(torch.equal(a, b) for a, b in pairs)
        assert not torch.equal(one.batches(3)[0], one.batches(4)[0])
    assert isinstance(predict(problem("unseen_size").models["model"], torch.rand(1, 1, 24, 24)), Tensor)
    assert dataclasses.is_dataclass(problem("unseen_size").data)
