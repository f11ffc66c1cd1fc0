"""A page of a thousand records stays small enough to be sent by mail."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordbench.harness.store.store import Store
from coordbench.reports.pages.page import write_report
from tests.benchmarks.report import Size, fill


@pytest.mark.slow
def test_a_thousand_records_make_a_page_of_five_megabytes_at_the_most(store: Store, tmp_path: Path) -> None:
    path = write_report(store, fill(store, Size()), tmp_path)
    assert path.stat().st_size < 5e6
    assert "Altered after it was stored" not in path.read_text(encoding="utf-8")
