"""What a test registers is gone after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from coordbench.harness.core import registry
from coordbench.harness.core.entries import Entry
from coordbench.harness.core.registry import catalog, plugins


@contextlib.contextmanager
def restored_registry() -> Iterator[None]:
    """Forget at the end what was registered meanwhile; a fixture of a whole module needs it for itself."""
    registry.load()
    loaded = set(plugins._loaded)
    catalogs: list[dict[str, Entry]] = [catalog.VARIANTS, catalog.TASKS, catalog.BACKBONES, catalog.REFERENCES]  # type: ignore[list-item]
    before = [dict(names) for names in catalogs]
    yield
    for names, known in zip(catalogs, before, strict=True):
        names.clear()
        names.update(known)
    plugins._loaded = loaded


@pytest.fixture(autouse=True)
def _restored_registry() -> Iterator[None]:
    with restored_registry():
        yield
