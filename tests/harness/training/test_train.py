"""The training loop: same trial, same record; a killed trial ends as an undisturbed one; divergence is a record."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.problem import Optimizer, Sample
from coordbench.harness.core.record import Record
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.trial import Trial
from coordbench.harness.training import train
from coordbench.harness.training.checkpoint import Checkpoint
from coordbench.harness.training.convergence import still_falling
from coordbench.harness.training.partial import remove_left

TRIAL = Trial(Cell.of("toy", "toy_net", "conv", budget=Budget(40, evaluations=4)), 3)


@pytest.fixture(autouse=True)
def loaded(toy: Path) -> None:
    registry.load_plugin(toy)
    torch.set_num_threads(1)


def _changed(**changes: Any) -> Trial:
    return replace(TRIAL, cell=replace(TRIAL.cell, **changes))


def _values(record: train.Record) -> list[tuple[int, str, float]]:
    return [(point.step, point.metric, point.value) for point in record.curves]


def test_the_same_trial_twice_gives_equal_scores_and_curves() -> None:
    first, second = train.run(TRIAL), train.run(TRIAL)
    assert first.scores == second.scores
    assert _values(first) == _values(second)
    assert train.run(replace(TRIAL, seed=4)).scores != first.scores


@pytest.mark.parametrize("evaluations", [2, 3])
def test_a_record_keeps_its_validation_score_at_half_of_its_steps(evaluations: int) -> None:
    """Of a constant rate the first half of a training is a training of half the length."""
    whole = train.run(_changed(budget=Budget(40, schedule="constant", evaluations=evaluations)))
    half = train.run(_changed(budget=Budget(20, schedule="constant", evaluations=1)))
    assert whole.scores["half"]["mse"] == pytest.approx(half.scores["validation"]["mse"])
    assert whole.scores["half"]["mse"] != whole.scores["validation"]["mse"]
    assert "half" not in half.scores  # what is scored once, at its end, has no half


def test_the_losses_of_two_players_say_nothing_of_convergence() -> None:
    trial = Trial(Cell.of("hand_gan[batch=8, canvas=8, latent=4]", "dcgan[width=2]", "conv", budget=Budget(2)), 0)
    assert train.run(trial).converged is None


def test_a_trial_that_chooses_a_rate_is_scored_on_validation_data_alone() -> None:
    tested, tuned = train.run(TRIAL), train.run(replace(TRIAL, purpose="tune"))
    assert set(tested.scores) == {"validation", "test", "half"}
    assert tuned.scores == {"validation": tested.scores["validation"]}
    assert not tuned.samples


def test_variants_see_the_same_data_whatever_they_draw() -> None:
    problems = [train.build(Cell.of("toy[noise=1.0]", "toy_net", variant)) for variant in ("conv", "coordconv")]
    assert torch.equal(problems[0].batches(7)[1], problems[1].batches(7)[1])


class _Killed(BaseException):
    pass


class _Dying(Checkpoint):
    """A checkpoint that is always due and whose process dies after its save at some step."""

    dies_at = 17

    def save(self, models, optimizers, record, pending):  # type: ignore[no-untyped-def]
        super().save(models, optimizers, record, pending)
        if record.steps == self.dies_at:
            raise _Killed


def _whole_and_resumed(trial: Trial, path: Path) -> tuple[Record, Record]:
    """The record of an undisturbed trial, and that of one whose process died after step 17."""
    whole = train.run(trial)
    with pytest.raises(_Killed):
        train.run(trial, _Dying(path, 0.0))
    resumed = train.run(trial, Checkpoint(path))
    assert resumed.notes["resumed_at_step"] == 17
    assert resumed.scores == whole.scores
    assert _values(resumed) == _values(whole)
    return whole, resumed


@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_a_killed_trial_goes_on_and_ends_as_an_undisturbed_one(tmp_path: Path, schedule: str) -> None:
    budget = Budget(40, schedule=schedule, evaluations=4)
    _whole_and_resumed(_changed(variant=Selector.parse("geoconv[shift=0.5]"), budget=budget), tmp_path / "trial.pt")
    assert list(tmp_path.glob("*.p*t*")) == []


def test_a_killed_gan_goes_on_with_both_of_its_optimizers_and_keeps_its_sheets(tmp_path: Path) -> None:
    task, budget = "hand_gan[batch=8, canvas=16, latent=8]", Budget(24, evaluations=4)
    trial = Trial(Cell.of(task, "dcgan[width=4]", "geoconv", budget=budget), 3)
    records = _whole_and_resumed(trial, tmp_path / "trial.pt")
    sheets = [{(s.group, s.role): s.array.tobytes() for s in record.samples} for record in records]
    assert sheets[0] == sheets[1]
    assert len({sample.group for sample in records[0].samples}) > 1


def test_a_damaged_checkpoint_starts_over(tmp_path: Path) -> None:
    path = tmp_path / "trial.pt"
    path.write_bytes(b"half a file")
    record = train.run(TRIAL, Checkpoint(path))
    assert record.scores == train.run(TRIAL).scores
    assert "damaged" in record.notes["checkpoint"]


def _nan_weights(state: dict[str, Any]) -> None:
    for values in state["models"]["main"].values():
        values.fill_(float("nan"))


def _other_shapes(state: dict[str, Any]) -> None:
    state["models"]["main"] = {name: values[:1] for name, values in state["models"]["main"].items()}


def _other_moments(state: dict[str, Any]) -> None:
    """Adam takes these without a look and stumbles over them at its next step."""
    for moments in state["optimizers"][0]["state"].values():
        moments["exp_avg"] = torch.zeros(77)


@pytest.mark.parametrize(
    "spoil",
    [
        _nan_weights,
        _other_shapes,
        _other_moments,
        lambda state: state.update(steps=10**6),
        lambda state: state.update(steps="many"),
        lambda state: state.update(trial="another"),
        lambda state: state.pop("random"),
        lambda state: state.update(curves=[{"a": 1}]),
        lambda state: state.clear(),
    ],
)
def test_a_checkpoint_that_can_be_read_but_is_wrong_is_thrown_away(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], object]
) -> None:
    trial, path = _changed(budget=Budget(40, evaluations=4)), tmp_path / "trial.pt"
    with pytest.raises(_Killed):
        train.run(trial, _Dying(path, 0.0))
    state = torch.load(path, weights_only=True)
    spoil(state)
    torch.save(state, path)
    record, whole = train.run(trial, Checkpoint(path)), train.run(trial)
    assert record.notes["checkpoint"].startswith("thrown away, started over: ")
    assert (record.status, record.scores, _values(record)) == ("ok", whole.scores, _values(whole))
    assert not path.exists()


def test_parts_of_killed_trials_are_cleaned_up_and_those_of_running_ones_are_not(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left, running = (tmp_path / f"trial.pt.{pid}.part" for pid in (gone.stdout.strip(), os.getpid()))
    left.touch()
    running.touch()
    remove_left(tmp_path)
    assert (left.exists(), running.exists()) == (False, True)


def test_a_checkpoint_that_cannot_be_written_costs_no_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    record = train.run(TRIAL, Checkpoint(tmp_path / "file" / "trial.pt", seconds=0))
    assert record.scores == train.run(TRIAL).scores
    assert record.notes["checkpoint"].startswith("not kept: ")


def test_samples_are_numbers_in_numpy_or_an_error() -> None:
    tensor: Any = torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True)
    assert train.kept(Sample("g", "r", "image", tensor)).array.dtype == np.float32
    with pytest.raises(TypeError, match="sample 'r' of 'g' is no array of numbers"):
        train.kept(Sample("g", "r", "image", np.array([{}])))


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"models": Evil()}, tmp_path / "trial.pt")
    record = train.run(TRIAL, Checkpoint(tmp_path / "trial.pt"))
    assert "damaged" in record.notes["checkpoint"]
    assert not (tmp_path / "ran").exists()


def test_a_rate_too_high_diverges_and_says_when() -> None:
    record = train.run(_changed(budget=Budget(400, learning_rate=1e30)))
    assert record.status == "diverged"
    assert record.error.startswith("loss is ")
    assert 0 < record.steps < 400


def test_losses_that_are_read_together_name_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    diverging = _changed(budget=Budget(400, learning_rate=1e30))
    at_once = train.run(diverging)
    monkeypatch.setattr(train, "AT_ONCE", frozenset())
    together = train.run(diverging)
    assert (together.status, together.error, together.steps) == ("diverged", at_once.error, at_once.steps)
    assert together.steps % 4 > 0  # between two looks at the losses
    assert all(np.isfinite(point.value) for point in together.curves)
    healthy = train.run(TRIAL)
    monkeypatch.undo()
    assert _values(healthy) == _values(train.run(TRIAL))


def test_curves_are_means_over_windows_that_drop_no_step() -> None:
    short = train.run(_changed(budget=Budget(50, evaluations=1)))
    long = train.run(_changed(budget=Budget(250, evaluations=1)))
    losses = [[p.value for p in record.curves if p.metric == "train/loss"] for record in (short, long)]
    assert [len(values) for values in losses] == [50, 125]
    assert long.curves[-1].step == 250
    assert np.mean(losses[0][:2]) == pytest.approx(losses[1][0], rel=1e-5)


def test_a_falling_curve_is_told_from_a_flat_one() -> None:
    noise = 0.01 * np.random.default_rng(0).standard_normal(100)
    line = np.linspace(1, 0, 100)
    assert still_falling(line + noise)
    assert not still_falling(np.maximum(line - 0.5, 0) + noise)
    assert not still_falling(np.full(100, 0.3))
    assert not still_falling([1.0, 0.5])


def test_bfloat16_and_channels_last_reach_the_layers() -> None:
    problem = train.build(replace(TRIAL.cell, dtype="bfloat16"))
    assert {p.dtype for p in problem.models["main"].parameters()} == {torch.bfloat16}
    channels_last = replace(TRIAL.cell, memory_format="channels_last")
    moved = train.to_device((torch.zeros(2, 3, 4, 5), torch.arange(2)), channels_last)
    assert moved[0].is_contiguous(memory_format=torch.channels_last)
    assert moved[1].dtype == torch.int64


def test_one_kernel_updates_all_weights_as_the_formula_of_adam_says() -> None:
    weights = [torch.nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in ((3, 2), (4,))]
    expected = [weight.detach().clone() for weight in weights]
    optimizer, _ = train.make_optimizer(weights, Optimizer("Adam", 0.1), Budget(3))
    assert optimizer.defaults["fused"]
    first, second = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    for step in (1, 2, 3):
        for weight, truth, m, v in zip(weights, expected, first, second, strict=True):
            weight.grad = torch.randn_like(weight)
            m.mul_(0.9).add_(0.1 * weight.grad)
            v.mul_(0.999).add_(0.001 * weight.grad**2)
            truth -= 0.1 * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
        optimizer.step()
    for weight, truth in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.detach(), truth)


@pytest.mark.parametrize("option", ["foreach", "differentiable"])
def test_a_task_that_chose_another_way_to_update_has_it(option: str) -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer, _ = train.make_optimizer([weight], Optimizer("Adam", 0.1, {option: True}), Budget(1))
    assert optimizer.defaults[option]
    assert not optimizer.defaults["fused"]


@pytest.mark.parametrize("name", ["Adam", "SGD", "RMSprop"])
def test_complex_weights_and_optimizers_without_such_a_kernel_are_trained_too(name: str) -> None:
    weight = torch.nn.Parameter(torch.ones(2, dtype=torch.complex64))
    optimizer, _ = train.make_optimizer([weight], Optimizer(name, 0.1), Budget(1))
    weight.grad = torch.full_like(weight, 1 + 1j)
    optimizer.step()
    assert (weight.real < 1).all()
    assert (weight.imag < 0).all()
