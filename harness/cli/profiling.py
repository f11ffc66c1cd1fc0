"""What `coordbench profile` prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence

from coordbench.harness.api import profiling
from coordbench.harness.api.profiling import Asked
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.profiling.recorded.fingerprint import Fingerprint
from coordbench.harness.profiling.request import ProfileError


def fingerprint(asked: Asked, *, as_json: bool) -> int:
    """Print the exact count of a step, and how it differs from the baseline's."""
    return _guarded(lambda: _print_fingerprints(profiling.fingerprints(asked), as_json))


def profile(asked: Asked, *, as_json: bool) -> int:
    """Print where a step's time goes, and where its page and its trace are."""

    def act() -> None:
        profiled = profiling.profile(asked)
        print(json.dumps(profiled.plain, indent=1) if as_json else profiled.text)
        places = f"trace: {profiled.trace} (opens in Perfetto)\npage: {profiled.page}"
        print(places, file=sys.stderr if as_json else sys.stdout)

    return _guarded(act)


def _guarded(act: Callable[[], None]) -> int:
    try:
        act()
    except ProfileError as error:
        print(f"coordbench: {error}", file=sys.stderr)
        return ExitCode.TRIALS_FAILED
    return ExitCode.OK


def _print_fingerprints(counted: Sequence[Fingerprint], as_json: bool) -> None:
    first, *others = counted
    changes = first.against(others[0]) if others else []
    if as_json:
        print(json.dumps({"digest": first.digest, "lines": dict(first.lines), "against": changes}, indent=1))
        return
    print(first.digest)
    for line in changes if others else [f"{count} {line}" for line, count in sorted(first.lines.items())]:
        print(f"  {line}")
