"""Every registered layer, with every choice that its options offer, obeys every law."""

from __future__ import annotations

import typing
from collections.abc import Iterator

import pytest

from coordbench.harness import laws
from coordbench.harness.core import registry

COMBINATIONS = (
    "conv[antialias=aps, padding=circular]",
    "coordconv[padding=circular, radius=true, shift=0.3]",
    "coordconv[padding=extended, per=batch, shift=0.3]",
    "geoconv[merge=product, padding=extended, shift_at_evaluation=true]",
    "geoconv[merge=radix, padding=reflect, per=batch, shared=true]",
    "coordgate[combine=affine, encoder=map, order=gate_first]",
    "coordgate[combine=add, encoder=fourier, order=gate_first, project=true]",
)
"""Options that meet each other in the code; options alone are enumerated."""


def selectors() -> Iterator[str]:
    """The default of each variant, then each of its other choices, one at a time; of the paddings, which share their
    code, all with `conv` and one with the others."""
    for entry in registry.entries("variant"):
        yield entry.name
        for option in entry.options:
            chosen = [choice for choice in _choices(option.annotation) if choice != option.default]
            shared = option.name == "padding" and entry.name != "conv"
            yield from (str(entry.selector({option.name: choice})) for choice in (chosen[:1] if shared else chosen))


def _choices(annotation: typing.Any) -> list[str | bool]:
    if annotation is bool:
        return [True, False]
    parts = typing.get_args(annotation)
    return [part for part in parts if isinstance(part, str)] + [c for part in parts for c in _choices(part)]


@pytest.mark.parametrize("selector", [*dict.fromkeys([*selectors(), *COMBINATIONS])])
def test_laws(selector: str) -> None:
    broken = {v.law: v.detail for v in laws.check(selector) if not v.passed}
    draws = "geoconv" in selector and "shift_at_evaluation=true" in selector  # one shift per image, on purpose
    assert set(broken) == ({"images_apart"} if draws else set()), broken
