"""The page in a real browser: no request, no error, and its controls do what they say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from coordbench.harness.store.store import Store
from coordbench.reports.data import tables
from coordbench.reports.pages.comparison import write_comparison
from coordbench.reports.pages.page import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--window-size=1280,900",
)  # fmt: skip
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="chromium and chromedriver are not installed"),
]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'preset'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    made.get("about:blank")
    made.get_log("performance")  # forget what the browser's own first tab did
    yield made
    made.quit()


def _cells(browser: webdriver.Chrome) -> dict[tuple[str, str], str]:
    """(contest, variant) -> kind of verdict, as the page shows it."""
    script = """return [...document.querySelectorAll('.matrix tr[data-contest] td')].map(
        (td) => [td.parentElement.dataset.contest, td.dataset.column, td.className.replace('best', '').trim()])"""
    return {(contest, variant): kind for contest, variant, kind in browser.execute_script(script)}


def _click(browser: webdriver.Chrome, selector: str) -> None:
    element = browser.find_element(By.CSS_SELECTOR, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def test_page_in_a_browser(browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path) -> None:
    name = fill(seeds=5)
    run = tables.load(name, store=store)
    browser.get(write_report(store, name, tmp_path).as_uri())
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
    static = _cells(browser)
    assert static["0", "coordconv"] == "better"

    # another baseline gives the verdicts of the tables, and back again the page as it was written
    chosen = Select(browser.find_element(By.ID, "baseline"))
    for base in ("coordconv", "conv"):
        chosen.select_by_visible_text(base)
        shown = _cells(browser)
        judged = tables.verdicts(run, base)
        assert {(str(r.contest), r.variant): r.verdict for r in judged.itertuples()} == {
            cell: kind for cell, kind in shown.items() if kind != "baseline"
        }
    assert _cells(browser) == static

    # filter, sort, select; the link holds the view
    Select(browser.find_element(By.ID, "suite")).select_by_value("second_suite")
    visible = [e for e in browser.find_elements(By.CSS_SELECTOR, ".matrix tr[data-contest]") if e.is_displayed()]
    assert [row.get_attribute("data-contest") for row in visible] == ["1"]
    told = browser.find_element(By.ID, "count").text
    assert told.startswith("25 of 55 trials")  # 5 names x 5 seeds of one task
    _click(browser, '#trial-table [data-sort="score"]')
    scores = [float(e.text) for e in browser.find_elements(By.CSS_SELECTOR, "#trial-table tbody td:nth-child(7)")]
    assert scores == sorted(scores)
    _click(browser, '[data-pick="coordconv"]')
    assert browser.find_elements(By.CSS_SELECTOR, "svg.dim .lit")
    _click(browser, "#link")
    link = browser.current_url
    browser.get("about:blank")
    browser.get(link)
    assert Select(browser.find_element(By.ID, "suite")).first_selected_option.get_attribute("value") == "second_suite"
    assert browser.find_element(By.CSS_SELECTOR, '[data-pick="coordconv"]').get_attribute("aria-pressed") == "true"

    _quiet(browser)


def _quiet(browser: webdriver.Chrome) -> None:
    """Nothing was fetched, nothing complained, no text of the store was run."""
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert {url.split(":")[0] for url in sent} <= {"file", "data", "about"}


def _choices(browser: webdriver.Chrome) -> list[tuple[str, str]]:
    """(variant, standing) as the view of choices shows them."""
    script = """return [...document.querySelectorAll('#choices tbody tr')].map(
        (row) => [row.cells[0].textContent, row.cells[4].textContent])"""
    return [(variant, standing) for variant, standing in browser.execute_script(script)]


def test_limits_change_what_is_chosen(browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path) -> None:
    name = fill(seeds=6)
    run = tables.load(name, store=store)
    browser.get(write_report(store, name, tmp_path).as_uri())
    wanted = Select(browser.find_element(By.ID, "chosen"))
    steps = browser.find_element(By.ID, "limit-step")
    for contest, task in (("0", "alpha"), ("1", "beta")):
        wanted.select_by_value(contest)
        for limit, seconds in (("", None), ("6", 0.006), ("2.5", 0.0025)):
            steps.clear()
            steps.send_keys(limit or " ")
            found = tables.choose(run, task=task, step=seconds)
            shown = _choices(browser)
            assert shown[: len(found)] == list(zip(found["variant"], found["standing"], strict=True))
            assert [standing for _, standing in shown[len(found) :]] == ["over the limit"] * (4 - len(found))
    said = browser.find_element(By.ID, "choice")
    assert said.text.startswith("Within training step ≤ 2.50 ms: conv, mse 0.70")
    assert said.text.endswith("nothing else fits.")
    steps.clear()
    steps.send_keys("0.1")
    assert said.text == "Nothing fits training step ≤ 0.100 ms."

    # the link holds contest and limits
    _click(browser, "#link")
    link = browser.current_url
    browser.get("about:blank")
    browser.get(link)
    assert browser.find_element(By.ID, "limit-step").get_attribute("value") == "0.1"
    assert Select(browser.find_element(By.ID, "chosen")).first_selected_option.get_attribute("value") == "1"
    _quiet(browser)


def test_few_seeds_never_give_a_verdict(browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path) -> None:
    name = fill(seeds=4)
    browser.get(write_report(store, name, tmp_path).as_uri())
    chosen = Select(browser.find_element(By.ID, "baseline"))
    for base in ("coordconv", "conv"):
        chosen.select_by_visible_text(base)
        assert set(_cells(browser).values()) == {"open", "baseline"}
    cell = browser.find_element(By.CSS_SELECTOR, '.matrix tr[data-contest="0"] td[data-column="coordconv"] small')
    assert cell.text == "△ 1 more"


def test_two_runs_side_by_side_in_a_browser(browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path) -> None:
    browser.get(write_comparison(store, fill(), fill(), tmp_path).as_uri())
    assert "exact costs 0 changed" in browser.find_element(By.CSS_SELECTOR, ".found").text
    _quiet(browser)


def test_narrow_screens_scroll_tables_not_the_page(
    browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path
) -> None:
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(write_report(store, fill(seeds=2), tmp_path).as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
