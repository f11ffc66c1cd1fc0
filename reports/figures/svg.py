"""Figures as SVG inside a page, or as files.

Inside a page colors become the page's own (light or dark), each variant's marks carry its name, and nothing in a
figure can collide with another figure of the same page.
"""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.text import Text

from coordbench.reports.figures.style import INK, LINE, MUTED, PALETTE, STYLE

SMALLEST = 0.75
"""A figure is never drawn smaller than this share of itself, so that its text stays readable."""


def inline(figure: Figure, title: str) -> Markup:
    """Return a figure as SVG that stands inside a page beside others; `title` is what a screen reader says."""
    svg = _svg(figure)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.S)
    key = hashlib.sha256((title + svg).encode()).hexdigest()[:8]
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: _attribute(match[1], used, key), svg)
    svg = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{key}-", svg)
    return Markup(_opening(svg, title) + _themed(svg[svg.index(">") + 1 :]).strip())


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG or SVG, on white."""
    _take_literally(figure)
    with mpl.rc_context(STYLE):
        figure.savefig(path, dpi=160, facecolor="white", metadata={"Date": None} if path.suffix == ".svg" else None)
    return path


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    _take_literally(figure)
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return stream.getvalue()


def _take_literally(figure: Figure) -> None:
    """Draw every `$` of anybody's names as it is: two of them would be a formula, and often none that can be read."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)


def _themed(svg: str) -> str:
    """Colors as variables of the page; sizes in the page's own font, with no more digits than a screen shows."""
    for i, shade in enumerate(PALETTE):
        svg = svg.replace(shade, f"var(--c{i})")
    for name, shade in (("ink", INK), ("muted", MUTED), ("line", LINE)):
        svg = svg.replace(shade, f"var(--{name})")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    return re.sub(r"(\d+\.\d\d)\d+", r"\1", svg)


def _opening(svg: str, title: str) -> str:
    head = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if head is None:
        raise ValueError("matplotlib wrote no viewBox")
    width = round(float(head[1]))
    style = f"width:{width}pt;min-width:{round(SMALLEST * width)}pt"
    return f'<svg viewBox="0 0 {head[1]} {head[2]}" style="{style}" role="img" aria-label="{escape(title)}">'


def _attribute(identifier: str, used: set[str], key: str) -> str:
    if identifier.startswith("variant:"):
        return f' data-variant="{escape(identifier.removeprefix("variant:"))}"'
    return f' id="{key}-{identifier}"' if identifier in used else ""
