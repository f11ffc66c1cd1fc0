"""The page of a profile in a real browser: its flame graph zooms, is searched, and is worked by keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from coordbench.reports.profiles.page import write_profile
from tests.reports.pages.test_browser import BROWSER, DRIVER, browser
from tests.reports.profiles.test_profile_page import example

__all__ = ["browser"]  # a fixture
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="chromium and chromedriver are not installed"),
]


@pytest.fixture
def page(browser: webdriver.Chrome, tmp_path: Path) -> webdriver.Chrome:
    path = write_profile(example("mine", 2.0), example("conv", 1.0), "mine against conv", tmp_path / "page.html")
    browser.get(path.as_uri())
    return browser


def _boxes(page: webdriver.Chrome) -> dict[str, float]:
    """Name -> width as a share of the graph."""
    script = """return [...document.querySelectorAll('#flame button')].map(
        (b) => [b.textContent, parseFloat(b.style.width)])"""
    return {str(name): float(width) / 100 for name, width in page.execute_script(script)}


def test_the_flame_graph_is_zoomed_searched_and_worked_by_keys(page: webdriver.Chrome) -> None:
    assert _boxes(page) == {"mine": 1.0, "forward": 1.0, "aten::mm": 0.5}
    box = page.find_element(By.XPATH, "//div[@id='flame']/button[.='aten::mm']")
    page.execute_script("arguments[0].focus()", box)
    assert "aten::mm: 1000 ms, 50.0 % of the step, +1000 ms" in page.find_element(By.ID, "value").text
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert _boxes(page)["aten::mm"] == 1.0  # zoomed
    first = page.find_element(By.XPATH, "//div[@id='flame']/button[.='mine']")
    page.execute_script("arguments[0].focus()", first)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert _boxes(page)["aten::mm"] == 0.5
    page.find_element(By.ID, "query").send_keys("MM")
    hits = page.find_elements(By.CSS_SELECTOR, "#flame button.hit")
    assert [hit.text for hit in hits] == ["aten::mm"]
    assert page.get_log("browser") == []


def test_the_page_fits_a_phone_and_prints_without_the_search(page: webdriver.Chrome) -> None:
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = {name: page.find_element(By.ID, name).is_displayed() for name in ("search", "flame", "operators")}
    assert shown == {"search": False, "flame": True, "operators": True}
