"""What re-runs and what does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.process import environment
from coordbench.harness.run import identity

LAYER = '''
"""A layer."""
from torch import nn
from coordbench.harness.core.registry import variant
from {helper} import PAD

@variant("{name}", source="none")
class Mine(nn.Conv1d):
    """Doc."""
    def __init__(self, i, o, k, *, size, stride=1, bias=True):
        super().__init__(i, o, k, stride, PAD, bias=bias)  # comment
'''


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    name = f"layer_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}_helper.py").write_text("PAD = 1\n")
    path = tmp_path / f"{name}.py"
    path.write_text(LAYER.format(name=name, helper=f"{name}_helper"))
    registry.load_plugin(path)
    return path


def _parts(path: Path, **changes: object) -> dict[str, str]:
    for cached in (identity.closure, identity.source_digest, identity._imports):
        cached.cache_clear()
    trial = Trial(Cell.of("coordinate_classification", "pixelwise", path.stem, budget=Budget(5)), 0)
    return dict(identity.of_trial(replace(trial, cell=replace(trial.cell, **changes))).parts)  # type: ignore[arg-type]


def _changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_comments_docstrings_and_layout_change_nothing(layer: Path) -> None:
    before = _parts(layer)
    text = layer.read_text()
    layer.write_text(text.replace("# comment", "# another").replace("Doc.", "Other words.").replace("A layer", "B"))
    assert _changed(before, _parts(layer)) == set()


def test_code_of_the_layer_and_of_its_helper_changes_exactly_their_part(layer: Path) -> None:
    before = _parts(layer)
    layer.write_text(layer.read_text().replace("stride, PAD", "stride, 2 * PAD"))
    assert _changed(before, _parts(layer)) == {f"source {layer.name}"}
    helper = layer.with_name(f"{layer.stem}_helper.py")
    between = _parts(layer)
    helper.write_text("PAD = 2\n")
    assert _changed(between, _parts(layer)) == {f"source {helper.name}"}


def test_packages_beside_a_plugin_count_whoever_imports_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "shapes_of_mine" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "mine.py").write_text("from shapes_of_mine.inner import first\n")
    (inner / "first.py").write_text("from shapes_of_mine import second\nfrom ..third import x\n")
    for name in ("second", "third"):
        (inner.parent / f"{name}.py").write_text("x = 1\n")
    wanted = {"mine.py", "first.py", "second.py", "third.py"}
    for root in (identity._ROOT, tmp_path):  # a plug-in may also lie in a folder of this project
        monkeypatch.setattr(identity, "_ROOT", root)
        monkeypatch.setattr(registry, "_loaded", {str(tmp_path / "mine.py")})
        for cached in (identity.closure, identity._imports):
            cached.cache_clear()
        assert {file.name for file in identity.closure(frozenset([tmp_path / "mine.py"]))} == wanted
    identity.closure.cache_clear()
    identity._imports.cache_clear()


def test_a_trial_depends_on_its_own_task_backbone_and_the_loop_and_on_no_other_variant(layer: Path) -> None:
    sources = {name for name in _parts(layer) if name.startswith("source ")}
    assert "source harness/training/train.py" in sources
    assert "source tasks/_backbones/pixelwise.py" in sources
    assert any("coordinate_classification" in name for name in sources)
    assert not any(name.startswith("source variants/conv") for name in sources)
    assert not any("measure" in name or "center_of_mass" in name for name in sources)


def test_the_rest_of_a_backbone_counts_where_the_variant_does_not_stand_everywhere() -> None:
    trial = Trial(Cell.of("coordinate_classification", "pixelwise[where=first]", "coordconv", budget=Budget(5)), 0)
    assert "source variants/conv.py" in identity.of_trial(trial).parts


def test_device_dtype_and_budget_change_the_key_and_with_it_the_digest() -> None:
    trial = Trial(Cell.of("coordinate_classification", "pixelwise", "conv", budget=Budget(5)), 0)
    before = identity.of_trial(trial)
    cell = trial.cell
    cells = [replace(cell, dtype="bfloat16"), replace(cell, device="cuda"), replace(cell, budget=Budget(6))]
    for other in (*(Trial(changed, 0) for changed in cells), replace(trial, seed=1)):
        after = identity.of_trial(other)
        assert (after.parts, after.key == before.key, after.digest == before.digest) == (before.parts, False, False)


def test_a_new_version_of_a_library_counts_only_where_it_is_imported(
    layer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = Trial(Cell.of("photo_deblurring", "unet", "conv", budget=Budget(5)), 0)
    before, other = identity.of_trial(photos).parts, _parts(layer)
    real = identity._version
    monkeypatch.setattr(identity, "_version", lambda name: "99" if name == "skimage" else real(name))
    assert _changed(dict(before), dict(identity.of_trial(photos).parts)) == {"library skimage"}
    assert _changed(other, _parts(layer)) == set()


def test_costs_depend_on_the_machine_and_on_the_measuring_code(monkeypatch: pytest.MonkeyPatch) -> None:
    job = CostJob(Cell.of("coordinate_classification", "pixelwise", "conv"))
    before = identity.of_cost(job)
    assert "source harness/measure/quantities/latency.py" in before.parts
    monkeypatch.setattr(environment, "machine", lambda device: {"processor": "another"})
    after = identity.of_cost(job)
    assert after.digest != before.digest
    assert after.explain(before.parts) == "machine"
