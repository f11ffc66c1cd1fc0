"""What `coordbench profile` does: read what is asked for, profile it in a process of its own, print and write."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.selector import Selector
from coordbench.harness.profiling.request import ProfileError, ProfileRequest, in_fresh_process
from coordbench.harness.profiling.shape import LayerShape, Phase, page_name

if TYPE_CHECKING:
    from coordbench.harness.profiling.recorded.fingerprint import Fingerprint

T = TypeVar("T")
NO_BASELINE = "none"


@dataclass(frozen=True)
class Asked:
    """The command line of `coordbench profile`."""

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


def fingerprint(asked: Asked, *, as_json: bool) -> int:
    """Print the exact count of a step, and how it differs from the baseline's."""
    from coordbench.harness.profiling.work import fingerprints

    return _guarded(lambda: _print_fingerprints(_done(in_fresh_process(fingerprints, _request(asked))), as_json))


def profile(asked: Asked, *, as_json: bool) -> int:
    """Print where a step's time goes, and write its page and its trace."""
    from coordbench.harness.profiling.text import json_ready, profile_text
    from coordbench.harness.profiling.work import profiles
    from coordbench.reports.profiles.page import write_profile

    def act() -> None:
        folder = asked.out / "profiles"
        folder.mkdir(parents=True, exist_ok=True)
        trace = folder / f"{asked.name}.trace.json"
        request = replace(_request(asked), trace=str(trace.resolve()))
        measured, base, *_ = [*_done(in_fresh_process(profiles, request)), None]
        assert measured is not None
        pair = [measured, *([base] if base else [])]
        title = measured.label + (f" against {base.label}" if base else "") + f", {request.described}"
        page = write_profile(measured, base, title, folder / f"{asked.name}.html")
        print(json.dumps(json_ready(pair), indent=1) if as_json else profile_text(measured, base))
        print(f"trace: {trace} (opens in Perfetto)\npage: {page}", file=sys.stderr if as_json else sys.stdout)

    return _guarded(act)


def profile_networks(cells: Sequence[Cell], baseline: str, plugins: tuple[str, ...], out: Path) -> None:
    """Write the page of each network's whole training step beside the baseline's; say in one line which failed."""
    from coordbench.harness.profiling.work import profiles
    from coordbench.reports.profiles.page import write_profile

    for cell in dict.fromkeys(cells):
        base = replace(cell, variant=Selector.parse(baseline))
        request = ProfileRequest(cells=(cell, base) if base != cell else (cell,), plugins=plugins, seconds=0.5)
        try:
            measured, *others = _done(in_fresh_process(profiles, request))
        except (ProfileError, UsageError) as error:
            print(f"coordbench: {error}", file=sys.stderr)
            continue
        path = out / "profiles" / f"{page_name(cell.task, cell.backbone, cell.variant)}.html"
        write_profile(measured, others[0] if others else None, f"{measured.label}, a whole training step", path)


def _guarded(act: Callable[[], None]) -> int:
    try:
        act()
    except ProfileError as error:
        print(f"coordbench: {error}", file=sys.stderr)
        return ExitCode.TRIALS_FAILED
    return ExitCode.OK


def _done(result: list[T] | UsageError) -> list[T]:
    if isinstance(result, UsageError):
        raise result
    return result


def _print_fingerprints(counted: list[Fingerprint], as_json: bool) -> None:
    first, *others = counted
    changes = first.against(others[0]) if others else []
    if as_json:
        print(json.dumps({"digest": first.digest, "lines": dict(first.lines), "against": changes}, indent=1))
        return
    print(first.digest)
    for line in changes if others else [f"{count} {line}" for line, count in sorted(first.lines.items())]:
        print(f"  {line}")


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
    cells = [Cell.of(str(task.selector), str(network.selector), label, device=asked.device) for label in labels]
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
    return LayerShape(sizes, None, asked.kernel, asked.stride, asked.phase, asked.device)
