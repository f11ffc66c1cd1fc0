"""Where a layer's step spends time and memory: read what is asked for, measure it in a process of its own, write."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.selector import Selector
from coordbench.harness.process import environment
from coordbench.harness.profiling.profile import StepProfile
from coordbench.harness.profiling.request import ProfileError, ProfileRequest, in_fresh_process
from coordbench.harness.profiling.shape import LayerShape, Phase, page_name
from coordbench.harness.profiling.text import json_ready, profile_text

if TYPE_CHECKING:
    import pandas as pd

    from coordbench.harness.profiling.recorded.fingerprint import Fingerprint

T = TypeVar("T")
NO_BASELINE = "none"


@dataclass(frozen=True)
class Asked:
    """What is to be profiled, as a user wrote it."""

    layer: str | None
    against: str
    shape: str
    kernel: int
    stride: int
    phase: Phase
    task: str | None
    backbone: str | None
    device: str
    plugins: tuple[str, ...]
    out: Path

    @property
    def name(self) -> str:
        """What the files of this profile are called."""
        return page_name(self.task, self.backbone, self.layer)


@dataclass(frozen=True)
class Profiled:
    """Where a layer's step spends its time and memory, beside a baseline if there is one; its page and its trace."""

    measured: StepProfile
    base: StepProfile | None
    page: Path
    trace: Path

    @property
    def text(self) -> str:
        """The profile as a table of 80 columns."""
        return profile_text(self.measured, self.base)

    @property
    def plain(self) -> list[dict[str, object]]:
        """Everything that was measured, as plain values."""
        return json_ready([self.measured, *([self.base] if self.base else [])])

    @property
    def operators(self) -> pd.DataFrame:
        """One row per operator and place, the longest first; times in `seconds`, memory in bytes."""
        import pandas as pd

        return pd.DataFrame([vars(row) for row in self.measured.rows])

    def __repr__(self) -> str:
        return f"{self.text}\npage: {self.page}"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre><p>page: <code>{html.escape(str(self.page))}</code></p>"


def fingerprints(asked: Asked) -> list[Fingerprint]:
    """The exact counts of a step, and of the baseline's; raise ProfileError where the step fails."""
    from coordbench.harness.profiling.work import fingerprints

    return _done(in_fresh_process(fingerprints, _request(asked)))


def profile(asked: Asked) -> Profiled:
    """Measure where a step's time goes, and write its page and its trace; raise ProfileError where the step fails."""
    from coordbench.harness.profiling.work import profiles
    from coordbench.reports.profiles.page import write_profile

    folder = asked.out / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    trace = folder / f"{asked.name}.trace.json"
    request = replace(_request(asked), trace=str(trace.resolve()))
    measured, *others = _done(in_fresh_process(profiles, request))
    base = others[0] if others else None
    title = measured.label + (f" against {base.label}" if base else "") + f", {request.described}"
    page = write_profile(measured, base, title, folder / f"{asked.name}.html")
    return Profiled(measured, base, page, trace)


def profile_networks(
    cells: Sequence[Cell], baseline: str, plugins: tuple[str, ...], out: Path, say: Callable[[str], None]
) -> None:
    """Write the page of each network's whole training step beside the baseline's; say in one line which failed."""
    from coordbench.harness.profiling.work import profiles
    from coordbench.reports.profiles.page import write_profile

    for cell in dict.fromkeys(cells):
        base = replace(cell, variant=Selector.parse(baseline))
        request = ProfileRequest(cells=(cell, base) if base != cell else (cell,), plugins=plugins, seconds=0.5)
        try:
            measured, *others = _done(in_fresh_process(profiles, request))
        except (ProfileError, UsageError) as error:
            say(str(error))
            continue
        path = out / "profiles" / f"{page_name(cell.task, cell.backbone, cell.variant)}.html"
        write_profile(measured, others[0] if others else None, f"{measured.label}, a whole training step", path)


def _done(result: list[T] | UsageError) -> list[T]:
    if isinstance(result, UsageError):
        raise result
    return result


def _request(asked: Asked) -> ProfileRequest:
    if asked.layer is None:
        raise UsageError("profile needs a LAYER, such as coordconv; `coordbench list variants` shows them")
    layers = [asked.layer, *([] if asked.against == NO_BASELINE else [asked.against])]
    labels = tuple(str(registry.select("variant", layer).selector) for layer in layers)
    common = ProfileRequest(plugins=asked.plugins)
    if asked.task is None:
        return replace(common, layers=labels, shape=_shape(asked))
    task = registry.select("task", asked.task)
    allowed = task.entry.backbones
    backbone = asked.backbone or allowed[0]
    network = registry.select("backbone", backbone)
    if network.entry.name not in allowed:
        raise UsageError(f"task {asked.task!r} takes no backbone {backbone!r}; valid: {', '.join(allowed)}")
    cells = [
        Cell.of(str(task.selector), str(network.selector), label, device=environment.device(asked.device))
        for label in labels
    ]
    return replace(common, cells=tuple(cells))


def _shape(asked: Asked) -> LayerShape:
    try:
        sizes = tuple(int(part) for part in asked.shape.split(","))
    except ValueError:
        sizes = ()
    if len(sizes) < 3 or min(sizes, default=0) < 1:
        raise UsageError(f"--shape {asked.shape!r} is not valid; write N,C and one to three sizes, such as 32,32,64,64")
    if asked.kernel < 1 or asked.stride < 1:
        raise UsageError(f"--kernel {asked.kernel} and --stride {asked.stride} must be at least 1")
    return LayerShape(sizes, None, asked.kernel, asked.stride, asked.phase, environment.device(asked.device))
