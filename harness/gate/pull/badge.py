"""A report as a badge: the JSON of a shields.io endpoint, https://shields.io/badges/endpoint-badge."""

from __future__ import annotations

import json

from coordbench.harness.gate.rows import Outcome, Report

COLORS: dict[Outcome, str] = {
    "pass": "brightgreen",
    "regressed": "red",
    "not comparable": "red",
    "inconclusive": "yellow",
    "not measured": "lightgrey",
}


def badge(report: Report) -> str:
    """The outcome and its color."""
    color = COLORS[report.outcome]
    return (
        json.dumps({"schemaVersion": 1, "label": "coordbench gate", "message": report.outcome, "color": color}) + "\n"
    )
