"""The templates of the pages, and writing them."""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup

from coordbench.harness.core.errors import UsageError
from coordbench.reports import text

TEMPLATES = Path(__file__).parents[1] / "templates"
_FILTERS = (
    *("breakable", "number", "rounded", "signed", "interval", "big", "seconds", "size", "plural", "percent"),
    *("with_interval", "finite", "words", "link"),
)


def environment() -> jinja2.Environment:
    """The templates; whatever they are given is escaped."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    templates.filters |= {name: getattr(text, name) for name in _FILTERS}
    templates.globals["include_raw"] = include_raw
    return templates


def include_raw(name: str) -> Markup:
    """A file of the templates as it stands, to be put inside a page."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def write(html: str, path: Path) -> Path:
    """Write a page; raise UsageError where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"page {str(path)!r} cannot be written: {error.strerror or error}") from error
    return path
