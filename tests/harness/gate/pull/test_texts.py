"""What a gate writes for a pull request: Markdown that does nothing, however hostile, JUnit XML, a badge."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import junitparser
import pytest
from markdown_it import MarkdownIt

from coordbench.harness.gate.pull.badge import badge
from coordbench.harness.gate.pull.comment import body
from coordbench.harness.gate.pull.junit import junit
from coordbench.harness.gate.pull.markdown import LONGEST, markdown, plain
from coordbench.harness.gate.rows import CODES, GateRow, Outcome, Report

HOSTILE = [
    "</details>", "<!-- x -->", "@everyone", "@org/team", "owner/name#1", "#1", "GH-1", "https://evil.example/x",
    "www.evil.example", "HTTP://evil.example", "someone@evil.example", "| a | b |", "```", "~~~", "- [ ] a task",
    "![x](https://evil.example/pixel)", "\u202eesrever", "\x1b[31mred", "a\n\n# title\n\n> quote", "$\\frac{1}{2}$",
    "<img src=x onerror=alert(1)>", "&lt;script&gt;", "\u2028line", "\x00null", "[^1]: note", "\ufeffbom",
]  # fmt: skip


def hostile(text: str, outcome: Outcome = "regressed") -> Report:
    row = GateRow(text, "speed", text, outcome, text, text, 0.1, unit=text, note=text, why=(text, text))
    return Report(text, text, [row], [text])


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("outcome", ["regressed", "pass"])
def test_hostile_text_is_text(text: str, outcome: Outcome) -> None:
    comment = body(hostile(text, outcome))
    tokens = MarkdownIt("commonmark").enable("table").parse(comment)
    inner = [child for token in tokens for child in (token, *(token.children or ()))]
    html = [token.content.strip() for token in inner if token.type in ("html_block", "html_inline")]
    assert set(html) <= {"<!-- coordbench gate -->", "</details>", "<details><summary>1 other rows</summary>"}
    assert html.count("</details>") == html.count("<details><summary>1 other rows</summary>")
    assert not {token.type for token in inner} & {"link_open", "image", "code_inline", "fence", "code_block", "em_open"}
    shown = "".join(token.content for token in inner if token.type == "text")
    assert not re.search(r"@\w|#\d|\bGH-\d|://|www\.|[\x00-\x1f\u202e\u2028\ufeff]", shown, re.IGNORECASE), shown


@pytest.mark.parametrize("rows", [3, 300, 2_000])
@pytest.mark.parametrize("text", ["x", "@" * 5_000, "<a|b>" * 1_000_000], ids=["short", "long", "huge"])
def test_a_comment_is_never_too_long_and_says_what_is_left_out(rows: int, text: str) -> None:
    row = GateRow(text, "speed", text, "regressed", text, text, 0.1, note=text, why=(text,) * 9)
    more = [GateRow(f"{i}{text[:50]}", "speed", "forward", "regressed", why=(text[:50],)) for i in range(rows)]
    comment = body(Report(text, text, [row, *more], [text] * 40))
    assert len(comment) <= LONGEST + 100 < 65_536
    assert "regressed" in comment[:100]
    assert rows < 300 or re.search(r"and [\d,]+ more rows, which the report holds|too long for a comment", comment)


def test_a_table_has_as_many_cells_as_it_has_columns_whatever_is_in_them() -> None:
    lines = [line for line in markdown(hostile("a | b \\| c")).splitlines() if line.startswith("|")]
    assert len(lines) == 3
    assert {line.count("|") for line in lines} == {9}


def test_plain_text_is_one_line() -> None:
    assert plain("a\tb\r\nc\x1b[0m d\u200b") == "a b c [0m d"
    assert plain("x" * 400) == "x" * 300 + ".."


ROWS = [
    GateRow(
        "mine", "speed", "forward", "regressed", 1e-3, 1.1e-3, 0.1, 0.08, 0.12, 0.05, "s", "8 pairs", why=("+1 cat",)
    ),
    GateRow("mine", "costs", "parameters", "pass", 10, 10, 0.0),
    GateRow("mine", "speed", "backward", "inconclusive", note="3 of 8 pairs were disturbed"),
    GateRow("other", "layer", "layer", "listed", note="new"),
    GateRow("third", "costs", "layer", "not measured", note="the base side raised E"),
]


def test_junit_has_a_case_per_row_and_the_reason_of_each_failure(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(junit(Report("main", "work tree", ROWS, ["a note"])), encoding="utf-8")
    suite: Any = junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 1, 2, 1)
    cases = {f"{case.classname} {case.name}": case for case in next(iter(suite))}
    failure = cases["mine speed: forward"].result[0]
    assert isinstance(failure, junitparser.Failure)
    assert failure.message == "regressed +10.0 % (+8.0 % .. +12.0 %)"
    assert failure.text.splitlines() == [
        "1.000 ms -> 1.100 ms", "+10.0 % (+8.0 % .. +12.0 %)", "up to 5 % is tolerated", "8 pairs", "why: +1 cat"
    ]  # fmt: skip
    assert isinstance(cases["third costs: layer"].result[0], junitparser.Error)
    assert isinstance(cases["other layer: layer"].result[0], junitparser.Skipped)
    assert cases["mine costs: parameters"].is_passed


@pytest.mark.parametrize("text", HOSTILE)
def test_junit_is_xml_whatever_a_layer_is_called(text: str) -> None:
    for outcome in ("pass", "regressed", "listed"):
        suite = ElementTree.fromstring(junit(hostile(text, outcome)))  # type: ignore[arg-type]
        (case,) = suite.findall("testcase")
        assert case.get("classname") == plain(text)


@pytest.mark.parametrize("outcome", ["pass", *CODES])
def test_a_badge_is_what_an_endpoint_of_shields_io_gives(outcome: Outcome) -> None:
    written = json.loads(badge(Report("main", "work tree", [GateRow("a", "speed", "b", outcome)])))
    assert (written["schemaVersion"], written["label"], written["message"]) == (1, "coordbench gate", outcome)
    assert (written["color"] == "brightgreen") == (outcome == "pass")
