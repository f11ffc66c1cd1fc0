"""The templates of the pages."""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup

from coordbench.reports import text

TEMPLATES = Path(__file__).parents[1] / "templates"
_FILTERS = ("breakable", "number", "rounded", "signed", "interval", "big", "seconds", "size", "plural")


def environment() -> jinja2.Environment:
    """The templates; whatever they are given is escaped."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    made.filters |= {name: getattr(text, name) for name in _FILTERS}
    made.globals["include_raw"] = lambda name: Markup((TEMPLATES / name).read_text(encoding="utf-8"))
    return made
