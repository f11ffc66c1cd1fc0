"""What re-runs and what does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.registry import plugins
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.process import environment
from coordbench.harness.process.settings import WORKER
from coordbench.harness.run import identity
from coordbench.harness.run.sources import definitions, files, packages

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


def _parts(path: Path) -> dict[str, str]:
    identity.forget()
    return dict(_identity_of(path).parts)


def _identity_of(path: Path) -> Identity:
    return identity.of_trial(Trial(Cell.of("coordinate_classification", "pixelwise", path.stem, budget=Budget(5)), 0))


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
    for root in (files.ROOT, tmp_path):  # a plug-in may also lie in a folder of this project
        monkeypatch.setattr(files, "ROOT", root)
        monkeypatch.setattr(plugins, "_loaded", {str(tmp_path / "mine.py")})
        identity.forget()
        assert {file.name for file in files.closure(frozenset([tmp_path / "mine.py"]))} == wanted
        assert {file.name for file in definitions.uses(frozenset([(tmp_path / "mine.py", None)]))} == wanted
    identity.forget()


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
    real = packages.version
    identity.forget()
    monkeypatch.setattr(packages, "version", lambda name: "99" if name == "scikit-image" else real(name))
    assert _changed(dict(before), dict(identity.of_trial(photos).parts)) == {"library skimage"}
    assert _changed(other, dict(_identity_of(layer).parts)) == set()


def test_costs_depend_on_the_machine_and_on_the_measuring_code(monkeypatch: pytest.MonkeyPatch) -> None:
    job = CostJob(Cell.of("coordinate_classification", "pixelwise", "conv"))
    before = identity.of_cost(job)
    assert "source harness/measure/quantities/latency.py" in before.parts
    monkeypatch.setattr(environment, "machine", lambda device: {"processor": "another"})
    after = identity.of_cost(job)
    assert after.digest != before.digest
    assert after.explain(before.parts) == "machine"


def _another(value: object) -> object:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
    return f"another {value}"


@pytest.mark.parametrize("name", [field.name for field in fields(WORKER)])
def test_each_setting_of_a_worker_is_a_part_of_its_own(layer: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _parts(layer)
    changed = replace(WORKER, **{name: _another(getattr(WORKER, name))})
    monkeypatch.setattr(identity, "WORKER", changed)
    assert _changed(before, _parts(layer)) == {f"setting {name}"}


def test_what_a_user_sets_for_kernels_and_allocator_is_a_part(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _parts(layer)
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert _changed(before, _parts(layer)) == {"setting ATEN_CPU_CAPABILITY"}


def test_files_of_an_option_count_whether_it_is_given_or_the_default(layer: Path) -> None:
    pictures = layer.with_name("pictures")
    pictures.mkdir()
    name = f"{layer.stem}_reader"
    reader = layer.with_name(f"{name}.py")
    text = LAYER.format(name=name, helper=f"{layer.stem}_helper").replace(
        "bias=True)", f"bias=True, folder: Path = Path({str(pictures)!r}))"
    )
    reader.write_text(text.replace("from torch", "from pathlib import Path\nfrom torch"))
    registry.load_plugin(reader)
    before, other = _parts(reader), _parts(layer)
    (pictures / "a.png").write_bytes(b"1")
    assert _changed(before, _parts(reader)) == {f"input folder={pictures}"}
    assert _changed(other, _parts(layer)) == set()


def test_packages_that_are_not_installed_count_by_their_files(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"loose_{layer.stem}"
    loose = layer.parent / "elsewhere" / name
    loose.mkdir(parents=True)
    (loose / "__init__.py").write_text("x = 1\n")
    layer.write_text(layer.read_text().replace("from torch", f"import {name}\nfrom torch"))
    missing = _parts(layer)
    assert missing[f"package {name}"] == "missing"
    monkeypatch.syspath_prepend(str(loose.parent))
    before = _parts(layer)
    assert _changed(missing, before) == {f"package {name}"}
    (loose / "__init__.py").write_text("x = 1  # a comment\n")
    assert _changed(before, _parts(layer)) == set()
    (loose / "__init__.py").write_text("x = 2\n")
    assert _changed(before, _parts(layer)) == {f"package {name}"}


def test_what_nobody_can_follow_is_said(layer: Path) -> None:
    assert _identity_of(layer).untracked == ()
    layer.write_text(layer.read_text() + "\ntable = open(__file__).read()\n")
    identity.forget()
    line = len(layer.read_text().splitlines())
    assert _identity_of(layer).untracked == (f"{layer.name}:{line} opens a file (open)",)


MUTATIONS = [  # file, old text, new text, whether a trial of conv depends on it
    ("harness/core/registry/lookup.py", "UsageError(f\"unknown {kind}", "UsageError(f\"no such {kind}", False),
    ("harness/core/registry/decorators.py", "    def register(", "    x = 1\n\n    def register(", False),
    ("harness/core/registry/catalog.py", "\n\n\ndef ", "\n\nx = 1\n\n\ndef ", False),
    ("harness/core/record.py", "class CostRecord:", "class CostRecord:\n    energy: float | None = None", False),
    ("harness/core/errors.py", "exit code 2", "exit code 7", False),
    ("harness/training/train.py", "POINTS = 100", "POINTS = 50", True),
    ("harness/training/convergence.py", "len(values) // 10", "len(values) // 9", True),
    ("harness/core/problem.py", "learning_rate: float = 1e-3", "learning_rate: float = 1e-2", True),
    ("harness/core/seeds.py", "digest()[:6]", "digest()[:5]", True),
    ("harness/process/child.py", "_ERROR_CHARACTERS = 2000", "_ERROR_CHARACTERS = 99", False),
    ("harness/run/worker.py", "deadline: float = 120.0", "deadline: float = 99.0", False),
    ("variants/conv.py", "\n@variant", "\nx = 1\n@variant", True),
    ("variants/coordconv.py", "\n@variant", "\nx = 1\n@variant", False),
    ("tasks/_backbones/pixelwise.py", "\n@backbone", "\nx = 1\n@backbone", True),
    ("tasks/_backbones/unet.py", "\n@backbone", "\nx = 1\n@backbone", False),
]  # fmt: skip

MUTATE = """
import json, pathlib, sys
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.trial import Trial
from coordbench.harness.run import identity

trial = Trial(Cell.of("coordinate_classification", "pixelwise", "conv", budget=Budget(5)), 0)
before, changes = identity.of_trial(trial).parts, []
for name, old, new in json.load(sys.stdin):
    file = pathlib.Path(name)
    text = file.read_text()
    assert old in text, (name, old)
    file.write_text(text.replace(old, new))
    identity.forget()
    after = identity.of_trial(trial).parts
    changes.append(sorted(part for part in before.keys() | after.keys() if before.get(part) != after.get(part)))
    file.write_text(text)
print(json.dumps(changes))
"""


def test_an_edit_of_this_project_re_runs_exactly_what_uses_it(tmp_path: Path) -> None:
    for folder in ("coordbench", "harness", "variants", "tasks", "reports"):
        shutil.copytree(files.ROOT / folder, tmp_path / folder, symlinks=True)
    edits = json.dumps([edit[:3] for edit in MUTATIONS])
    done = subprocess.run(
        [sys.executable, "-c", MUTATE], cwd=tmp_path, input=edits, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    changes = dict(zip([edit[:2] for edit in MUTATIONS], map(set, json.loads(done.stdout)), strict=True))
    assert changes == {edit[:2]: {f"source {edit[0]}"} if edit[3] else set() for edit in MUTATIONS}
