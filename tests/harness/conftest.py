"""What a test registers is gone after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coordbench.harness.core import registry
from coordbench.harness.core.entries import Entry
from coordbench.harness.core.registry import catalog, plugins


@pytest.fixture(autouse=True)
def _restored_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    registry.load()
    monkeypatch.setattr(plugins, "_loaded", set(plugins._loaded))
    catalogs: list[dict[str, Entry]] = [catalog.VARIANTS, catalog.TASKS, catalog.BACKBONES, catalog.REFERENCES]  # type: ignore[list-item]
    before = [dict(names) for names in catalogs]
    yield
    for names, known in zip(catalogs, before, strict=True):
        names.clear()
        names.update(known)
