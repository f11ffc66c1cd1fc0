"""Links lead to the files that they name, whatever signs stand in the names of runs and folders."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from coordbench.harness.core.errors import UsageError
from coordbench.harness.store.schema import items, runs
from coordbench.harness.store.store import Store, open_store
from coordbench.harness.store.travel.merge import merge
from coordbench.reports.pages.comparison import write_comparison
from coordbench.reports.pages.index import write_index
from coordbench.reports.pages.page import write_report


class Links(HTMLParser):
    """Collects where a page leads to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value for name, value in attrs if tag == "a" and name == "href" and value]


def followed(page: Path) -> list[Path]:
    """The files that a browser opens for the links of a page, but for those within it."""
    targets = [urlsplit(urljoin(page.absolute().as_uri(), target)) for target in Links(page).targets]
    return [Path(unquote(target.path)) for target in targets if not target.fragment]


def rename(store: Store, old: str, new: str) -> None:
    with store.writing() as connection:
        connection.execute(runs.update().where(runs.c.id == old).values(id=new))
        connection.execute(items.update().where(items.c.run == old).values(run=new))


def test_links_are_quoted(fill: Any, store: Store, tmp_path: Path) -> None:
    out = tmp_path / "o#u?t %20 'é\""
    names = ["a#b?c=1&d%20e", 'x "quoted" <b>']
    for name in names:
        rename(store, fill(["conv"], 1, ["beta"], costs=False), name)
    pages = [write_report(store, name, out) for name in names]
    pages.append(write_comparison(store, *names, out))
    targets = set(followed(write_index(store, out)))
    assert targets == {page.absolute() for page in pages}
    assert all(page.is_file() for page in targets)
    assert set(followed(pages[-1])) == {*targets - {pages[-1].absolute()}, (out / "index.html").absolute()}


@pytest.mark.parametrize("preset", ["a#b?c%20d", "two\nlines", "x" * 300, "../../above", "\u202eturned"])
def test_the_name_of_a_run_is_that_of_a_file(preset: str, store: Store) -> None:
    name = store.start_run(preset, "coordbench run", {}, {})
    assert name.isprintable()
    assert len(name) < 100
    assert not set(name) & set("#?%/\\ ")


@pytest.mark.parametrize("name", ["../../above", ".hidden", "two\nlines", "x" * 300, "\u202eturned"])
def test_a_run_of_another_store_lies_beside_the_others(name: str, fill: Any, store: Store, tmp_path: Path) -> None:
    rename(store, fill(["conv"], 1, ["beta"], costs=False), name)
    with open_store(None, tmp_path / "other") as other, pytest.raises(UsageError, match="is no name of a file") as told:
        merge(store, other)
    assert "\n" not in str(told.value)
