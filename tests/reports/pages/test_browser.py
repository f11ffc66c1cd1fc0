"""The page in a real browser: no request, no error, and its controls do what they say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from coordbench.harness.analysis.history import history
from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.gate.rows import GateRow, OperatorUse, Report
from coordbench.harness.store.store import Store
from coordbench.harness.store.travel.archive import open_archive
from coordbench.reports.data.choice import choose
from coordbench.reports.data.ranking import verdicts
from coordbench.reports.data.run import load
from coordbench.reports.joined.page import write_joined
from coordbench.reports.pages.comparison import write_comparison
from coordbench.reports.pages.gate import write_gate
from coordbench.reports.pages.history import write_history
from coordbench.reports.pages.page import write_report
from tests.reports.conftest import outcome

SLOW_ROW: Any = (
    "speed", "forward", "regressed", 1e-3, 2.277e-3, 1.277, 1.2, 1.33, 0.05, "s", "8 pairs",
    (1.2, 1.25, 1.277, 1.28, 1.3, 1.31, 1.33, 1.22),
)  # fmt: skip
RECORDS = Path(__file__).parents[3] / "results" / "quick"
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
    made.execute_cdp_cmd(
        "Emulation.setFocusEmulationEnabled", {"enabled": True}
    )  # no window is in front, nor needs to be
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


def test_the_page_of_the_run_of_record_opens_short_enough_to_be_read(browser: webdriver.Chrome, tmp_path: Path) -> None:
    with open_archive(RECORDS) as store:
        page = write_report(store, store.resolve_run(None), tmp_path)
    browser.get(page.as_uri())
    assert 2000 < browser.execute_script("return document.documentElement.scrollHeight") <= 8000
    assert browser.get_log("browser") == []


def test_page_in_a_browser(browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path) -> None:
    name = fill(seeds=5)
    run = load(name, store=store)
    browser.get(write_report(store, name, tmp_path).as_uri())
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
    static = _cells(browser)
    assert static["0", "coordconv"] == "better"

    _click(browser, "details.filters > summary")
    # another baseline gives the verdicts of the tables, and back again the page as it was written
    chosen = Select(browser.find_element(By.ID, "baseline"))
    for base in ("coordconv", "conv"):
        chosen.select_by_visible_text(base)
        shown = _cells(browser)
        judged = verdicts(run, base)
        assert {(str(r.contest), r.variant): r.verdict for r in judged.itertuples()} == {
            cell: kind for cell, kind in shown.items() if kind != "baseline"
        }
    assert _cells(browser) == static

    # filter, sort, select; the link holds the view
    Select(browser.find_element(By.ID, "suite")).select_by_value("second_suite")
    visible = [e for e in browser.find_elements(By.CSS_SELECTOR, ".matrix tr[data-contest]") if e.is_displayed()]
    assert [row.get_attribute("data-contest") for row in visible] == ["1"]
    counted = browser.find_element(By.ID, "count").text
    assert counted.startswith("25 of 55 trials, page 1 of 2")  # 5 names x 5 seeds of one task
    _click(browser, '#trial-table [data-sort="score"]')
    scores = [float(e.text) for e in browser.find_elements(By.CSS_SELECTOR, "#trial-table tbody td:nth-child(6)")]
    assert scores == sorted(scores)
    _click(browser, '[data-pick="coordconv"]')
    assert browser.find_elements(By.CSS_SELECTOR, "svg.dim .lit")
    link = _link(browser)
    browser.get("about:blank")
    browser.get(link)
    assert Select(browser.find_element(By.ID, "suite")).first_selected_option.get_attribute("value") == "second_suite"
    assert browser.find_element(By.CSS_SELECTOR, '[data-pick="coordconv"]').get_attribute("aria-pressed") == "true"

    _quiet(browser)


def _link(browser: webdriver.Chrome) -> str:
    """The address of what is shown."""
    _click(browser, "details.filters > summary")
    _click(browser, "#link")
    return browser.current_url


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
    run = load(name, store=store)
    browser.get(write_report(store, name, tmp_path).as_uri())
    wanted = Select(browser.find_element(By.ID, "chosen"))
    steps = browser.find_element(By.ID, "limit-step")
    for contest, task in (("0", "alpha"), ("1", "beta")):
        wanted.select_by_value(contest)
        for limit, seconds in (("", None), ("6", 0.006), ("2.5", 0.0025)):
            steps.clear()
            steps.send_keys(limit or " ")
            found = choose(run, task=task, step=seconds)
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
    link = _link(browser)
    browser.get("about:blank")
    browser.get(link)
    assert browser.find_element(By.ID, "limit-step").get_attribute("value") == "0.1"
    assert Select(browser.find_element(By.ID, "chosen")).first_selected_option.get_attribute("value") == "1"
    _quiet(browser)


def test_few_seeds_never_give_a_verdict(browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path) -> None:
    name = fill(seeds=4)
    browser.get(write_report(store, name, tmp_path).as_uri())
    _click(browser, "details.filters > summary")
    chosen = Select(browser.find_element(By.ID, "baseline"))
    for base in ("coordconv", "conv"):
        chosen.select_by_visible_text(base)
        assert set(_cells(browser).values()) == {"open", "baseline"}
    cell = browser.find_element(By.CSS_SELECTOR, '.matrix tr[data-contest="0"] td[data-column="coordconv"] small')
    assert cell.text == "△ open"  # no further look is planned, so none is invited


def test_two_runs_side_by_side_in_a_browser(browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path) -> None:
    browser.get(write_comparison(store, fill(), fill(), tmp_path).as_uri())
    assert "exact costs 0 changed" in browser.find_element(By.CSS_SELECTOR, ".sentences").text
    _quiet(browser)


def _pages(store: Store, fill: Any, out: Path) -> list[Path]:
    """One page of each kind."""
    first, second = fill(seeds=2), fill(seeds=2, record=_some_fail)
    long = [GateRow(f"{name}[width=64, order=2, padding=circular]", *SLOW_ROW) for name in ("mine", "another_layer")]
    use = OperatorUse("forward", "aten::convolution_backward", 0, 2, 0, 4096, "a_folder/of_layers/mine.py:7 forward")
    points = history(store, "latency_step_seconds")
    return [
        write_report(store, second, out),
        write_comparison(store, first, second, out),
        write_history(points, "latency_step_seconds", out),
        write_gate(Report("origin/a-branch-of-a-long-name", "work tree", long, steps={long[0].layer: (use,)}), out),
        write_joined(store, out),
        out / "index.html",
    ]


def _some_fail(trial: Trial) -> Record:
    failing = trial.cell.label == "geoconv"
    return Record("error", "it broke: " + "a_word_that_has_no_place_to_break/" * 6) if failing else outcome(trial)


def test_every_kind_of_page_fits_a_phone_in_light_and_dark(
    browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path
) -> None:
    """Tables scroll, the page does not; the background follows the system's choice."""
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for page in _pages(store, fill, tmp_path):
        grounds = []
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            browser.get(page.as_uri())
            browser.execute_script("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 390, page.name
            grounds.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        assert len(set(grounds)) == 2, page.name
    _quiet(browser)


def test_every_cell_and_trial_opens_its_drawer(
    browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path
) -> None:
    """One dot per seed, the margin, what these seeds could detect, and a command; errors and curves of trials."""

    def record(trial: Trial) -> Record | None:
        failing = trial.cell.label == "geoconv" and trial.seed == 0
        notes = {"log": "Traceback:\n  line 7, in forward"}
        return Record("error", "it broke <b>badly</b>", notes=notes) if failing else outcome(trial)

    browser.get(write_report(store, fill(seeds=5, record=record), tmp_path).as_uri())
    cells = browser.find_elements(By.CSS_SELECTOR, ".matrix td[data-column]:not(.absent)")
    assert len(cells) == 8
    for cell in cells:
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
        cell.click()
        body = browser.find_element(By.ID, "drawer-body")
        assert "coordbench run '<p>' --tasks" in body.text
        if "baseline" not in str(cell.get_attribute("class")):
            assert len(body.find_elements(By.CSS_SELECTOR, "svg.pairs circle:not(.mean)")) == 5
            assert "these seeds could detect" in body.text
        _click(browser, "#drawer-close")
    browser.execute_script("arguments[0].value = 'broke'; arguments[0].dispatchEvent(new Event('input'))",
                           browser.find_element(By.ID, "search"))  # fmt: skip
    _click(browser, "#trial-table tr[data-trial]")
    text = browser.find_element(By.ID, "drawer-body").text
    assert "it broke <b>badly</b>" in text
    assert "line 7, in forward" in text
    assert "--variants geoconv --seeds 1" in text
    _click(browser, "#drawer-close")
    browser.execute_script("arguments[0].value = 'coordconv'; arguments[0].dispatchEvent(new Event('input'))",
                           browser.find_element(By.ID, "search"))  # fmt: skip
    _click(browser, "#trial-table tr[data-trial]")
    assert browser.find_elements(By.CSS_SELECTOR, "#drawer-body svg.pairs polyline")
    _quiet(browser)


def test_every_table_is_copied_and_every_entry_of_the_contents_is_reached(
    browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path
) -> None:
    browser.get(write_report(store, fill(seeds=5), tmp_path).as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    bars = browser.find_elements(By.CSS_SELECTOR, ".copies")
    assert len(bars) == len(browser.find_elements(By.CSS_SELECTOR, "table[data-copy]")) >= 8
    for bar in bars:
        for button in bar.find_elements(By.TAG_NAME, "button"):
            form = button.text
            browser.execute_script("arguments[0].click()", button)
            text = str(browser.execute_script("return document.documentElement.dataset.copied"))
            start = {"Markdown": "| ", "LaTeX": "\\begin{tabular}{l", "CSV": ""}[form]
            assert text.startswith(start), form
            assert len(text.splitlines()) > 2, form
    entries = browser.find_elements(By.CSS_SELECTOR, "nav.contents a")
    assert len(entries) >= 8
    for entry in entries:
        target = str(entry.get_attribute("href")).rpartition("#")[2]
        browser.execute_script("arguments[0].click()", entry)
        section = browser.find_element(By.ID, target)
        top = browser.execute_script("return arguments[0].getBoundingClientRect().top", section)
        bottom = browser.execute_script("return innerHeight + scrollY >= document.documentElement.scrollHeight - 2")
        assert bottom or 0 <= top < 120, target
    _quiet(browser)


def test_curves_are_drawn_and_tell_their_values(
    browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path
) -> None:
    browser.get(write_report(store, fill(seeds=5), tmp_path).as_uri())
    plots = browser.find_elements(By.CSS_SELECTOR, "figure.plot canvas")
    assert len(plots) == 1  # those of the first contest; the others are folded
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plots[0])
    ActionChains(browser).move_to_element(plots[0]).perform()
    values = browser.find_element(By.CSS_SELECTOR, ".values").text
    assert values.startswith("step ")
    assert "coordconv" in values
    _click(browser, "#contest-1 > summary")
    assert len(browser.find_elements(By.CSS_SELECTOR, "figure.plot canvas")) == 2
    _quiet(browser)


def test_the_history_tells_values_dates_and_commits(
    browser: webdriver.Chrome, store: Store, fill: Any, tmp_path: Path
) -> None:
    fill(seeds=2)
    fill(seeds=2)
    points = history(store, "latency_step_seconds")
    browser.get(write_history(points, "latency_step_seconds", tmp_path).as_uri())
    plots = browser.find_elements(By.CSS_SELECTOR, "figure.plot canvas")
    assert len(plots) == 2  # one per task
    ActionChains(browser).move_to_element(plots[0]).perform()
    values = browser.find_element(By.CSS_SELECTOR, ".values").text
    assert "coordconv 4 ms" in values
    assert str(points["started"].iloc[0])[:10] in values
    _quiet(browser)
