"""The sentences that tasks bring, filled in from tables whose figures are known."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from coordbench.harness.core import registry
from coordbench.harness.core.description import Column, Description, Part, Sentence, Where
from coordbench.harness.core.selector import Selector
from coordbench.reports.pages.sentences import averages, fill, sentences

Row = tuple[str, str, str, str, int, dict[str, float]]


def tables(rows: list[Row]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trials and scores as a run's tables hold them."""
    trials, scores = [], []
    for i, (task, task_options, backbone, label, seed, values) in enumerate(rows):
        network = Selector.parse(backbone)
        trials.append(
            {
                "suite": "translation",
                "task": task,
                "task_options": task_options,
                "backbone": network.name,
                "backbone_options": network.options_text,
                "variant": Selector.parse(label).name,
                "variant_options": "",
                "label": label,
                "seed": seed,
                "status": "ok",
            }
        )
        scores += [{"trial": i, "split": "test", "metric": metric, "value": value} for metric, value in values.items()]
        scores.append({"trial": i, "split": "validation", "metric": "error", "value": 99.0})
    return pd.DataFrame(trials), pd.DataFrame(scores)


def described(task: str) -> Description:
    """What a task says of itself with its default options."""
    selected = registry.select("task", task)
    return selected.entry.describe(selected.all_options)


def findings(trials: pd.DataFrame, scores: pd.DataFrame) -> list[str]:
    """The sentences of all tasks, as a run stores them: as JSON."""
    facts = {entry.name: {"name": entry.name} | described(entry.name).plain() for entry in registry.entries("task")}
    return sentences(trials, scores, json.loads(json.dumps(facts)))


def test_layers_are_told_apart_by_where_they_fail() -> None:
    rows: list[Row] = []
    for seed in (0, 1):
        rows += [
            ("equivariance", "", "stack", "conv[padding=circular]", seed, {"error": 1e-16, "error@interior": 0.0}),
            ("equivariance", "", "stack", "conv", seed, {"error": 0.1 + 0.1 * seed, "error@interior": 1e-17}),
            ("equivariance", "", "stack", "coordconv", seed, {"error": 0.7, "error@interior": 0.6}),
            # attention that goes around follows a shift, but not a window of a wider scene
            (
                "equivariance",
                "",
                "stack",
                "relative_attention[circular=true]",
                seed,
                {"error": 0.0, "error@interior": 0.5},
            ),
            ("equivariance", "trained=true", "stack", "conv", seed, {"error": 0.9, "error@interior": 0.9}),
        ]
    assert findings(*tables(rows)) == [
        "How layers follow a shift before training (0 = exactly, 1 = not at all; 2 seeds): exact to rounding "
        "conv[padding=circular], relative_attention[circular=true]; wrong at the border alone conv 0.15; "
        "wrong in the interior too coordconv 0.60."
    ]


def test_every_question_is_answered_where_its_trials_ran() -> None:
    circular = "conv[padding=circular]"
    rows: list[Row] = [
        ("equivariance", "output=vector", "classifier[down=aps]", circular, 0, {"error@shift=1": 0.0}),
        ("equivariance", "output=vector", "classifier", circular, 0, {"error@shift=1": 0.86}),
        ("unseen_places", "", "classifier[head=dense]", "conv", 0, {"accuracy@seen": 0.95, "accuracy@unseen": 0.1}),
        ("unseen_places", "", "classifier[down=aps]", circular, 0, {"accuracy@seen": 0.62, "accuracy@unseen": 0.61}),
        ("unseen_places", "places=all", "classifier", "conv", 0, {"accuracy@seen": 0.99, "accuracy@unseen": 0.99}),
        ("forgetting", "", "classifier", "conv", 0, {"accuracy": 0.7, "accuracy@seen": 0.96}),
        ("forgetting", "pretrain=0", "classifier", "conv", 0, {"accuracy": 0.23, "accuracy@seen": 0.95}),
        ("position_readout", "", "stack", "conv", 0, {"r2": 0.005}),
        ("position_readout", "", "stack[depth=8]", "conv", 0, {"r2": 0.38}),
        ("position_readout", "", "stack", circular, 0, {"r2": -0.002}),
        ("unseen_size", "", "classifier", "conv", 0, {"accuracy": 0.8, "accuracy@seen": 0.84, "refused": 0.0}),
        ("unseen_size", "", "classifier[head=dense]", "conv", 0, {"accuracy": 0, "accuracy@seen": 0.9, "refused": 1}),
        ("scale_rotation", "", "stack", "conv", 0, {"error@angle": 0.55, "error@scale": 0.31}),
        ("scale_rotation", "trained=true", "stack", "conv", 0, {"accuracy@scale": 0.4}),
        ("scale_rotation", "augment=zoom, trained=true", "stack", "conv", 0, {"accuracy@scale": 0.7}),
    ]
    assert sorted(findings(*tables(rows))) == sorted(
        [
            "Behind circular convolutions, one pixel of shift passes two halvings with errors aps 0, stride 0.86 "
            "(1 seed).",
            "Of digits learned at one place, conv[padding=circular] in classifier[down=aps] recognizes 61 % elsewhere "
            "(62 % there) at best, and conv in classifier[head=dense] recognizes 10 % elsewhere (95 % there) at worst "
            "(1 seed).",
            "After fine-tuning at one place, networks pretrained at all places recognize conv 70 % of digits "
            "everywhere; without pretraining at most 23 % (1 seed).",
            "Before training, R^2 of absolute position at the best depth and layer: conv 0.38, "
            "conv[padding=circular] 0 (1 seed).",
            "On canvases of unseen size accuracy goes from conv in classifier 84 % to 80 %; conv in "
            "classifier[head=dense] refuse them (1 seed).",
            "Training with zooms takes the accuracy on zoomed digits from 40 % to 70 % (1 seed).",
            "Turns are followed with errors of 0.55 to 0.55, zooms with 0.31 to 0.31 (1 seed).",
        ]
    )


def test_failed_trials_and_references_say_nothing() -> None:
    trials, scores = tables([("equivariance", "", "stack", "conv", 0, {"error": 0.2, "error@interior": 0.1})])
    for column, value in (("status", "crashed"), ("variant", None)):
        assert findings(trials.assign(**{column: value}), scores) == []
    assert len(averages(trials, scores, "equivariance")) == 1
    assert findings(trials.iloc[:0], scores.iloc[:0]) == []


def test_a_private_task_brings_its_sentence_and_edits_nothing_else() -> None:
    """A part without cells is left out; where it is needed, its sentence is."""
    best = Part("{items} leads", "{layer} ({mine:share})", order="mine", pick="highest")
    other = Part("{items} follow", "{group}", where=(Where(Column("score", "mine"), below=0.0),), by=Column("variant"))
    trials, scores = tables([("private", "", "net", name, 0, {"mine": x}) for name, x in (("a", 0.5), ("b", 0.75))])
    cells = averages(trials, scores, "private")
    assert fill(Sentence("Of {seeds}, ", (best, other)), cells) == "Of 1 seed, b (75 %) leads."
    assert fill(Sentence("Of {seeds}, ", (best, replace(other, needed=True))), cells) == ""


@pytest.mark.parametrize("task", [entry.name for entry in registry.entries("task")])
def test_every_task_opens_with_a_sentence_and_says_what_its_picture_shows(task: str) -> None:
    """All in plain text, for its default options; every axis that is said belongs to a condition or a picture."""
    opening = described(task)
    assert opening.about is not None
    for text in (opening.about.opening, opening.about.picture):
        assert 20 <= len(text) < 320
        assert text[0].isupper()
        assert text.endswith((".", "?"))
    assert [Sentence.read(json.loads(json.dumps(each.plain()))) for each in opening.sentences] == [*opening.sentences]
