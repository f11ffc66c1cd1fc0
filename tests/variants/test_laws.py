"""Every registered layer, with every choice that its options offer, obeys every law."""

from __future__ import annotations

import typing
from collections.abc import Iterator

import pytest
import torch

from harness import laws, registry

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
    """The default of each variant, then each of its other choices, one at a time."""
    for entry in registry.entries("variant"):
        yield entry.name
        for option in entry.options:
            for kind in getattr(option.annotation, "__args__", [option.annotation]):
                choices = (True, False) if kind is bool else typing.get_args(kind) or [kind]
                chosen = (c for c in choices if isinstance(c, str | bool) and c != option.default)
                yield from (entry.label({option.name: choice}) for choice in chosen)


@pytest.mark.parametrize("selector", [*dict.fromkeys([*selectors(), *COMBINATIONS])])
def test_laws(selector: str) -> None:
    torch.set_num_threads(1)
    broken = {v.law: v.detail for v in laws.check(selector) if not v.passed}
    draws = "geoconv" in selector and "shift_at_evaluation=true" in selector  # one shift per image, on purpose
    assert set(broken) == ({"images_apart"} if draws else set()), broken
