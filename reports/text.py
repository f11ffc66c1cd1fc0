"""Numbers and names as people read them."""

from __future__ import annotations

import math
import re
from typing import Any

from markupsafe import Markup, escape

MISSING = "–"


def breakable(name: str) -> Markup:
    """Let a long selector break where its parts meet, and nowhere else."""
    return Markup(re.sub(r"([\[=_]|, )", r"\1<wbr>", str(escape(name))))


def number(value: Any, digits: int = 3) -> str:
    """Write a number with so many significant digits; integers below 10^7 in full."""
    if _missing(value):
        return MISSING
    value = float(value)
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    if value.is_integer() and abs(value) < 1e7:
        return f"{int(value):,}"
    if not 1e-3 <= abs(value) < 1e7:
        return f"{value:.{digits - 1}e}".replace("e-0", "e-").replace("e+0", "e")
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def rounded(value: Any) -> str:
    """Write a relative error with two digits; below 10^-6 it is rounding, and 0."""
    return "0" if not _missing(value) and abs(value) < 1e-6 else number(value, 2)


def signed(value: Any, digits: int = 3) -> str:
    """Write a difference with its sign."""
    text = number(value, digits)
    return text if text in (MISSING, "0") or text.startswith("-") else f"+{text}"


def interval(low: Any, high: Any, digits: int = 3) -> str:
    """Write an interval, or nothing where there is none."""
    return "" if _missing(low) else f"[{number(low, digits)}, {number(high, digits)}]"


def big(value: Any) -> str:
    """Write a count in thousands, millions or billions."""
    if _missing(value):
        return MISSING
    for size, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{float(value) / (1e3 if sign == 'k' else size):.3g} {sign}"
    return number(value)


def tick(value: Any) -> str:
    """Write a number beside an axis."""
    return big(value) if abs(value) >= 1e4 else number(value)


def seconds(value: Any) -> str:
    """Write a duration."""
    if _missing(value):
        return MISSING
    for size, unit in ((60, "min"), (1, "s"), (1e-3, "ms")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.3g} µs" if value else "0 s"


def size(value: Any) -> str:
    """Write a number of bytes."""
    if _missing(value):
        return MISSING
    for unit, exponent in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if value >= 2**exponent:
            return f"{value / 2**exponent:.3g} {unit}"
    return f"{int(value)} B"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas' NA compares to NA
        return True
