"""The functions of the package: run, load, costs, profile, check."""

from __future__ import annotations

import atexit
import contextlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from coordbench.harness.api import checking, execution, plans, profiling
from coordbench.harness.api import costs as measuring
from coordbench.harness.api.inline import plugin_of
from coordbench.harness.api.notebook import progress
from coordbench.harness.api.records import opened, take_up
from coordbench.harness.api.results import Run
from coordbench.harness.core import registry
from coordbench.harness.core.cell import MemoryFormat
from coordbench.harness.core.entries import NOTEBOOK
from coordbench.harness.run.patience import open_patiently
from coordbench.harness.store.store import open_store
from coordbench.reports.data.run import DEFAULT_OUT
from coordbench.reports.data.run import load as load_stored
from coordbench.reports.pages.page import write_page

if TYPE_CHECKING:
    from torch import nn

Place = str | Path
_OPENED = contextlib.ExitStack()
"""Copies of folders of records, kept as long as the process: a loaded run reads its curves when they are asked for."""
atexit.register(_OPENED.close)


def run(
    preset: str | Path | Mapping[str, object] = "quick",
    *,
    variants: Sequence[str | type[nn.Module]] = (),
    tasks: Sequence[str] = (),
    seeds: int | None = None,
    device: str = "auto",
    plugin: Place | Sequence[Place] = (),
    workers: int | None = None,
    cluster: str | None = None,
    store: str | None = None,
    out: Place = DEFAULT_OUT,
    fresh: bool = False,
    reuse: Sequence[str] = (),
    profile: bool = False,
    report: bool = True,
) -> Run:
    """Run a preset, or go on with it, and return the run; what `coordbench run` does, with the same records.

    `preset` is the name of a built-in preset, the path of a TOML file, or a dictionary with the keys of such a file.
    `variants` replace the preset's layers: selectors such as `"coordconv[radius=true]"`, and classes, whose source
    becomes a plug-in in `out/plugins`. `plugin` names files of your own. Raise UsageError where something is wrong.
    """
    out = Path(out)
    layers = _layers(variants, plugin, out)
    plan = plans.Choice(plans.read_preset(preset), layers.names, tasks, seeds).plan(device)
    command = _command(preset, plan.preset.text, layers, tasks, seeds, out)
    how = execution.Execution(device, workers, cluster, layers.sources, fresh, out, command, profile)
    with progress() as listener:
        for line in plans.refused_claims(plan):
            listener.say(line)
    with open_patiently(store, out, plan.preset.store_patience_seconds) as opened:
        take_up(reuse, opened, print)
        result = execution.execute(plan, opened, how, print)
        stored = load_stored(result.run, store=opened)
        return Run(stored, write_page(stored, out) if report else None)


def load(run: str | None = None, *, store: str | None = None, out: Place = DEFAULT_OUT) -> Run:
    """A stored run by its name or the beginning of it, by default the latest.

    `store` is a store's URL or file, or a folder of records such as `results/quick`; else the store in `out` is read.
    """
    if store is not None and "://" not in store:
        stored = load_stored(run, store=_OPENED.enter_context(opened(store)))
        return Run(stored, None)
    with open_store(store, Path(out), existing=True) as known:
        stored = load_stored(run, store=known)
    page = Path(out) / f"{stored.name}.html"
    return Run(stored, page if page.is_file() else None)


def costs(
    variants: Sequence[str | type[nn.Module]] = (),
    *,
    shape: str | Sequence[str] = "small",
    layout: Sequence[MemoryFormat] = ("contiguous",),
    device: str = "auto",
    seconds: float | None = None,
    plugin: Place | Sequence[Place] = (),
    out: Place = DEFAULT_OUT,
    keep: bool = False,
) -> pd.DataFrame:
    """Measure what layers cost, each beside the plain convolution; times in [s], memory in [bytes].

    `shape` is small, large or wide, or several of them; all registered layers are measured where none is named.
    `seconds` is how long each phase is timed. With `keep` the costs are kept as a run of `out`.
    """
    layers = _layers(variants, plugin, Path(out))
    shapes = (shape,) if isinstance(shape, str) else tuple(shape)
    words = ["coordbench", "costs", *layers.names, "--shape", *shapes, *layers.words]
    request = measuring.Request(
        layers.names, shapes, layout, "copy", "stack", device, seconds, layers.sources, shlex.join(words)
    )
    return measuring.measure_costs(request, Path(out) if keep else None).table


def profile(
    layer: str | type[nn.Module],
    *,
    against: str | None = "conv",
    shape: Sequence[int] = (32, 32, 64, 64),
    kernel: int = 3,
    stride: int = 1,
    phase: Literal["forward", "step", "evaluation"] = "step",
    task: str | None = None,
    backbone: str | None = None,
    device: str = "auto",
    plugin: Place | Sequence[Place] = (),
    out: Place = DEFAULT_OUT,
) -> profiling.Profiled:
    """Say where the time and the memory of a layer's step go, beside a baseline; write a page and a trace.

    `shape` is (N, C, *size) of the input. With `task` the whole training step of its network is profiled instead.
    """
    layers = _layers([layer], plugin, Path(out))
    asked = profiling.Asked(
        layers.names[0], against or profiling.NO_BASELINE, ",".join(map(str, shape)), kernel, stride, phase,
        task, backbone, device, layers.sources, Path(out),
    )  # fmt: skip
    return profiling.profile(asked)


def check(layer: Place | type[nn.Module], *, out: Place = DEFAULT_OUT) -> pd.DataFrame:
    """Try the laws of a layer: one row per law with its meaning, whether it holds, and how to mend what breaks it.

    `layer` is a class, the path of a file that registers layers, or a selector such as `"coordconv[radius=true]"`.
    """
    if isinstance(layer, Path) or (isinstance(layer, str) and layer.endswith(".py")):
        checks = checking.check_file(Path(layer))
    else:
        checks = checking.check_layer(*_layers([layer], (), Path(out)).names)
    rows = [{"layer": name, **asdict(result)} for name, results in checks.items() for result in results]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Layers:
    """Layers by their selectors, and the plug-in files that register them."""

    names: list[str]
    sources: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """The plug-ins as the command line names them."""
        return ["--plugin", *self.sources] if self.sources else []


def _layers(layers: Sequence[str | type[nn.Module]], plugin: Place | Sequence[Place], out: Path) -> _Layers:
    """Register plug-ins, and classes as plug-ins."""
    files = [plugin] if isinstance(plugin, str | Path) else list(plugin)
    sources = list(execution.load_plugins(files))
    names: list[str] = []
    for layer in layers:
        typed = _typed_in(layer) if isinstance(layer, str) else layer
        if typed is None:
            names.append(str(layer))
            continue
        inline = plugin_of(typed, out)
        names.append(str(layer) if isinstance(layer, str) else inline.name)
        sources.append(str(inline.file))
    return _Layers(names, tuple(dict.fromkeys(sources)))


def _typed_in(selector: str) -> type[nn.Module] | None:
    """The class that a selector names, where it was registered in a notebook."""
    entry = registry.select("variant", selector).entry
    return entry.function if entry.file == NOTEBOOK and isinstance(entry.function, type) else None


def _command(
    preset: str | Path | Mapping[str, object],
    text: str,
    layers: _Layers,
    tasks: Sequence[str],
    seeds: int | None,
    out: Path,
) -> str:
    """The command line that runs the same; a preset that was a dictionary is written beside the plug-ins."""
    if isinstance(preset, Mapping):
        file = out / "plugins" / f"{plans.NAME}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        preset = file
    words = ["coordbench", "run", str(preset)]
    words += ["--variants", *layers.names] if layers.names else []
    words += ["--tasks", *tasks] if tasks else []
    words += [] if seeds is None else ["--seeds", str(seeds)]
    return shlex.join([*words, *layers.words, "--out", str(out)])
