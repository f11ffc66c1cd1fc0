"""A preset becomes trials; whatever is wrong in it is told before anything runs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.plan import planning as plan

SWEEP: dict[str, Any] = {"tasks": ["toy"], "backbones": ["toy_net"], "variants": ["conv"], "steps": 3}


@pytest.fixture
def loaded(toy: Path) -> None:
    registry.load_plugin(toy)


def _preset(*sweeps: dict[str, Any], **run: Any) -> plan.Preset:
    return plan.parse_preset({"run": run, "sweep": list(sweeps)}, "mine")


@pytest.mark.usefixtures("loaded")
def test_every_cell_has_each_seed_once_and_references_stand_beside() -> None:
    twice = SWEEP | {"variants": ["conv", "conv[padding=zeros]", "coordconv"]}
    made = plan.make_plan(_preset(twice, SWEEP, seeds=[3, 5]))
    cells = [(trial.cell.label, trial.seed) for trial in made.trials]
    labels = ("toy_mean", "toy_exact", "conv", "coordconv")
    assert sorted(cells) == sorted((label, seed) for label in labels for seed in (3, 5))
    assert [(job.cell.label, job.cell.device) for job in made.costs] == [("conv", "cpu"), ("coordconv", "cpu")]


@pytest.mark.usefixtures("loaded")
def test_seeds_may_be_a_range_of_a_run_or_of_a_sweep() -> None:
    made = plan.make_plan(_preset(SWEEP, SWEEP | {"variants": ["coordconv"], "seeds": "40-41"}, seeds="20-22"))
    seeds = {label: sorted(t.seed for t in made.trials if t.cell.label == label) for label in ("conv", "coordconv")}
    assert seeds == {"conv": [20, 21, 22], "coordconv": [40, 41]}


@pytest.mark.usefixtures("loaded")
def test_tuning_gives_every_variant_the_same_effort() -> None:
    made = plan.make_plan(_preset(SWEEP | {"variants": ["conv", "coordconv"], "learning_rates": [0.1, 0.01]}))
    effort = {v: [t for t in made.tuning if t.cell.label == v] for v in ("conv", "coordconv")}
    assert len(effort["conv"]) == len(effort["coordconv"]) == 2 * 2
    assert not {trial.seed for trial in made.tuning} & {trial.seed for trial in made.trials}
    assert set(made.grids.values()) == {plan.Grid((0.01, 0.1), 2)}


@pytest.mark.usefixtures("loaded")
def test_more_pilots_may_try_each_rate() -> None:
    made = plan.make_plan(_preset(SWEEP | {"learning_rates": [0.1, 0.01], "tuning_seeds": 5}))
    tried = [(trial.cell.budget.learning_rate, trial.seed) for trial in made.tuning]
    assert tried == [(rate, 1001 + seed) for rate in (0.01, 0.1) for seed in range(5)]


@pytest.mark.usefixtures("loaded")
def test_a_pilot_uses_seeds_that_no_verdict_uses() -> None:
    sweep = {"tasks": ["copy"], "backbones": ["stack"], "variants": ["conv"]}
    pilot = plan.make_plan(plan.parse_preset({"run": {"pilot": True, "seeds": 2}, "sweep": [sweep]}, "p"))
    assert {trial.seed for trial in pilot.trials} == {1000, 1001}


@pytest.mark.usefixtures("loaded")
def test_lists_of_steps_and_rates_are_a_grid_of_trainings_that_are_not_tuned() -> None:
    made = plan.make_plan(_preset(SWEEP | {"steps": [3, 6], "learning_rate": [0.1, 0.2], "seeds": [0]}))
    budgets = [(t.cell.budget.steps, t.cell.budget.learning_rate) for t in made.trials if not t.cell.reference]
    assert budgets == [(3, 0.1), (3, 0.2), (6, 0.1), (6, 0.2)]
    assert not made.tuning


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"sweeps": []}, "unknown key 'sweeps'; valid: run, sweep"),
        ({"run": {"seed": 3}}, "unknown key 'seed'; valid: .*seeds"),
        ({"sweep": [SWEEP | {"steps": []}]}, r"steps = \[\] must be one value or a list of different ones"),
        (
            {"sweep": [SWEEP | {"learning_rate": [0.1, 0.1]}]},
            r"learning_rate = \[0.1, 0.1\] must be one value or a list",
        ),
        ({"sweep": [SWEEP | {"learning_rate": [0.1, -1]}]}, "learning_rate=-1"),
        (
            {"run": {"pilot": True}, "sweep": [SWEEP | {"variants": ["conv", "toy"]}]},
            "a pilot holds one variant and no looks",
        ),
        ({"run": {"seeds": "20-"}}, "seeds='20-' is not valid; expected .* a range such as '20-39'"),
        ({"run": {"seeds": "39-20"}}, "seeds='39-20' must be a number of seeds from 1 to"),
        ({"run": {"seeds": "990-1000"}}, "seeds='990-1000' .* from 1000 on are pilots"),
        ({"run": {"seeds": 0}}, "seeds=0 must be a number of seeds from 1 to"),
        ({"run": {"seeds": 10**9}}, "seeds=1000000000 must be a number of seeds from 1 to 1000, "),
        ({"run": {}}, r"preset 'mine' holds no sweep; write at least one table, headed \[\[sweep\]\]"),
        ({"run": {"memory_gib": float("nan")}}, "memory_gib=nan must be positive and finite"),
        ({"sweep": [SWEEP | {"learning_rates": [0.1, -1]}]}, r"learning_rates=\[0.1, -1\] must be positive"),
        ({"sweep": [SWEEP | {"match": "width"}]}, "match='width' is not valid; expected one of parameters, flops"),
        ({"run": {"seeds": [1, 1]}}, r"seeds=\[1, 1\]"),
        ({"run": {"seeds": [0, 1001]}}, r"seeds=\[0, 1001\] .* from 1000 on are pilots"),
        ({"run": {"deadline_seconds": -1}}, "deadline_seconds=-1 must be positive"),
        ({"run": {"deadline_seconds": "long"}}, "deadline_seconds='long' is not valid; expected float"),
        (
            {"run": {"name": "x"}},
            "unknown key 'name'; valid: baseline, .*, scheduler_p.*, seeds, store_patience_seconds$",
        ),
        ({"sweep": {"tasks": []}}, r"each headed \[\[sweep\]\]"),
        ({"sweep": [{"tasks": ["toy"]}]}, "missing keys backbones, variants"),
        ({"sweep": [SWEEP | {"steps": 0}]}, "steps=0 must be positive"),
        ({"sweep": [SWEEP | {"steps": True}]}, "steps=True is not valid; expected int"),
        ({"sweep": [SWEEP | {"variants": []}]}, "variants must not be empty"),
        ({"sweep": [SWEEP | {"variants": "conv"}]}, "variants='conv' is not valid; expected list"),
        ({"sweep": [SWEEP | {"dtype": "float8"}]}, "dtype='float8' is not valid"),
        (
            {"sweep": [SWEEP | {"schedule": "warm"}]},
            "schedule='warm' is not valid; expected one of constant, one_cycle, cosine, step",
        ),
    ],
)
def test_a_wrong_preset_is_told_in_one_line(content: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        plan.parse_preset(content, "mine")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tasks": ["tog"]}, "unknown task 'tog'; did you mean 'toy'"),
        ({"backbones": ["unet"]}, "task 'toy' takes no backbone 'unet'; valid: toy_net"),
        ({"backbones": ["toy_net[width=wide]"]}, "width='wide' is not valid; expected an integer"),
        ({"variants": ["conv[grups=2]"]}, "unknown option 'grups'"),
    ],
)
def test_a_wrong_name_fails_before_anything_runs(change: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        plan.make_plan(_preset(SWEEP | change))


@pytest.mark.usefixtures("loaded")
def test_the_command_line_narrows_a_preset() -> None:
    preset = _preset(SWEEP | {"seeds": [1]}, SWEEP | {"tasks": ["center_of_mass"], "backbones": ["strided"]})
    narrowed = plan.narrow(preset, ["coordconv"], ["toy"], seeds=2)
    made = plan.make_plan(narrowed)
    assert {(str(t.cell.task), t.cell.label, t.seed) for t in made.trials if t.cell.variant} == {
        ("toy", "coordconv", 0),
        ("toy", "coordconv", 1),
    }
    with pytest.raises(
        UsageError, match="holds none of the tasks coordinate_classification; it holds center_of_mass, toy"
    ):
        plan.narrow(preset, tasks=["coordinate_classification"])


@pytest.mark.parametrize("name", plan.presets())
def test_every_built_in_preset_makes_a_plan_and_says_what_it_is_for(name: str) -> None:
    preset = plan.read_preset(name)
    made = plan.make_plan(preset)
    assert made.trials
    assert preset.description


def test_an_unreadable_preset_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[run\n")
    with pytest.raises(UsageError, match=r"broken\.toml' cannot be read: "):
        plan.read_preset(str(tmp_path / "broken.toml"))
    with pytest.raises(UsageError, match=r"unknown preset 'quik'; valid: .*quick"):
        plan.read_preset("quik")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["tasks", "backbones", "variants", "steps", "seeds", "learning_rates", "match", "dtype"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    sweep=st.dictionaries(KEYS, JSON, max_size=4),
    run=st.dictionaries(st.sampled_from(["seeds", "baseline"]), JSON, max_size=2),
)
def test_any_content_is_a_plan_or_a_usage_error(sweep: dict[str, Any], run: dict[str, Any], loaded: None) -> None:
    with contextlib.suppress(UsageError):
        assert plan.make_plan(plan.parse_preset({"run": run, "sweep": [SWEEP | sweep]}, "fuzzed")).trials


@pytest.mark.parametrize(
    ("task", "backbone", "reason"),
    [
        ("coordinate_regression[canvas=24]", "fully_conv", "makes 24 x 24 pixels a last map of 1 x 1"),
        ("coordinate_regression[canvas=48]", "fully_conv", ""),
        ("center_of_mass[canvas=16, label=relative]", "strided", "makes 16 x 16 pixels a last map of 1 x 1"),
        ("center_of_mass[canvas=16, label=relative]", "strided[head=flatten]", ""),
        ("center_of_mass[canvas=24, label=relative]", "strided", ""),
        ("varying_blur_1d[scored=inside]", "cnn", "padding, which reaches 0 of 226 scored positions"),
        ("varying_blur_1d", "cnn", ""),
        ("center_of_mass[label=offset, split=quadrant]", "strided", "split=quadrant holds nothing back"),
        ("relative_position[canvas=96, gap=40]", "strided", "longer than a quadrant of canvas=96; at most"),
        ("relative_position[canvas=96, gap=20]", "strided", ""),
    ],
)
def test_a_contest_that_could_tell_nothing_is_refused_with_its_reason(task: str, backbone: str, reason: str) -> None:
    sweep = SWEEP | {"tasks": [task], "backbones": [backbone], "variants": ["conv", "conv[padding=circular]"]}
    expected = pytest.raises(UsageError, match=reason) if reason else contextlib.nullcontext()
    with expected:
        assert plan.make_plan(_preset(sweep)).trials


NASTY = {
    "digits": b"[run]\nseeds = " + b"9" * 5000,
    "deep": b"[run]\nseeds = " + b"[" * 3000 + b"]" * 3000,
    "tables": b"[[sweep]]\ntasks = [['toy']]\nbackbones = ['toy_net']\nvariants = ['conv']",
    "table": b"[run.seeds]\nfirst = 1",
    "array": b"[[run]]\nseeds = 1",
    "bytes": b"[run]\ndescription = '\xff'",
    "rate": b"[[sweep]]\ntasks = ['toy']\nbackbones = ['toy_net']\nvariants = ['conv']\nlearning_rate = " + b"9" * 400,
    "steps": b"[[sweep]]\ntasks = ['toy']\nbackbones = ['toy_net']\nvariants = ['conv']\nsteps = " + b"9" * 400,
    "nan": b"[run]\ncost_seconds = nan",
    "long": b"[run]\nseeds = '" + b"x" * 9000 + b"'",
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_files_are_refused_in_one_short_line(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.toml").write_bytes(NASTY[name])
    with pytest.raises(UsageError) as caught:
        plan.read_preset(str(tmp_path / f"{name}.toml"))
    message = str(caught.value)
    assert name in message
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize("name", ["\udcff.toml", "x" * 5000 + ".toml", "a\0b.toml", "\udcff", ""])
def test_a_name_that_no_file_can_have_is_unknown(name: str) -> None:
    with pytest.raises(UsageError, match="unknown preset") as caught:
        plan.read_preset(name)
    str(caught.value).encode()  # it can be printed
