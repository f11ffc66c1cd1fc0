"""A report as JUnit XML: a test case per row, so that any CI server lists what failed, and why."""

from __future__ import annotations

from xml.etree import ElementTree

from coordbench.harness.gate.output import change, headline, quantity, tolerated
from coordbench.harness.gate.pull.markdown import plain
from coordbench.harness.gate.rows import CODES, GateRow, Report

_LONGEST = 1000


def junit(report: Report) -> str:
    """One suite; what regressed is a failure, what could not be compared is an error, what was not is skipped."""
    counted = {kind: sum(_kind(row) == kind for row in report.rows) for kind in ("failure", "error", "skipped")}
    suite = ElementTree.Element(
        "testsuite", name="coordbench gate", tests=str(len(report.rows)), failures=str(counted["failure"]),
        errors=str(counted["error"]), skipped=str(counted["skipped"]), time="0",
    )  # fmt: skip
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("compared", headline(report)), *(("note", note) for note in report.notes)):
        ElementTree.SubElement(properties, "property", name=name, value=plain(value, _LONGEST))
    for row in report.rows:
        _case(suite, row)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, row: GateRow) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", classname=plain(row.layer), name=plain(f"{row.stage}: {row.quantity}"), time="0"
    )
    if kind := _kind(row):
        result = ElementTree.SubElement(case, kind, message=plain(" ".join(filter(None, (row.outcome, change(row))))))
        if kind != "skipped":
            result.set("type", row.outcome)
            result.text = _reason(row)
        return
    ElementTree.SubElement(case, "system-out").text = _reason(row)


def _kind(row: GateRow) -> str:
    """The element that says how a test case ended; none where it passed."""
    if row.outcome == "listed":
        return "skipped"
    if row.outcome == "regressed":
        return "failure"
    return "error" if row.outcome in CODES else ""


def _reason(row: GateRow) -> str:
    sides = " -> ".join(filter(None, (quantity(row.base, row.unit), quantity(row.candidate, row.unit))))
    margin = f"up to {tolerated(row)} is tolerated" if tolerated(row) else ""
    lines = (sides, change(row), margin, row.note, *(f"why: {reason}" for reason in row.why))
    return "\n".join(plain(line, _LONGEST) for line in lines if line)
