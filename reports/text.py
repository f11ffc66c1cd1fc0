"""Numbers and names as people read them. What is missing, or is no number at all, reads as a dash."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from urllib.parse import quote

from markupsafe import Markup, escape

MISSING = "–"
Reader = Callable[[object], str]
"""How a quantity is written."""


def known(value: object) -> float | None:
    """The value as a number; None where it is missing or is no number."""
    try:
        number = float(value)  # type: ignore[arg-type]  # what is no number raises, and so does pandas' NA
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def finite(value: object) -> float | None:
    """The value as a finite number, else None."""
    number = known(value)
    return None if number is None or math.isinf(number) else number


def words(value: object) -> str:
    """A text that may be missing."""
    return "" if str(value) in ("nan", "<NA>", "None") else str(value)


def link(name: object) -> str:
    """The name of a file as a link to it: `#`, `?` and `%` would mean something else there."""
    return quote(str(name), safe="")


def breakable(name: object) -> Markup:
    """Let a long selector break where its parts meet, and nowhere else."""
    return Markup(re.sub(r"([\[=_]|, )", r"\1<wbr>", str(escape(name))))


def number(value: object, digits: int = 3) -> str:
    """Write a number with so many significant digits; integers below 10^7 in full."""
    amount = known(value)
    if amount is None:
        return MISSING
    if math.isinf(amount):
        return "∞" if amount > 0 else "-∞"
    if amount == 0:
        return "0"
    if amount.is_integer() and abs(amount) < 1e7:
        return f"{int(amount):,}"
    if not 1e-3 <= abs(amount) < 1e7:
        return f"{amount:.{digits - 1}e}".replace("e-0", "e-").replace("e+0", "e")
    places = max(0, digits - 1 - math.floor(math.log10(abs(amount))))
    return f"{amount:,.{places}f}"


def rounded(value: object) -> str:
    """Write a relative error with two digits; below 10^-6 it is rounding, and 0."""
    amount = known(value)
    return "0" if amount is not None and abs(amount) < 1e-6 else number(amount, 2)


def signed(value: object, digits: int = 3) -> str:
    """Write a difference with its sign."""
    text = number(value, digits)
    return text if text in (MISSING, "0") or text.startswith("-") else f"+{text}"


def percent(value: object) -> str:
    """Write a share of 1 in percent."""
    amount = finite(value)
    return MISSING if amount is None else f"{100 * amount:.0f} %"


def interval(low: object, high: object, digits: int = 3) -> str:
    """Write an interval, or nothing where there is none."""
    if known(low) is None or known(high) is None:
        return ""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def with_interval(value: object, low: object, high: object, digits: int = 3) -> str:
    """Write a number and its interval."""
    return f"{number(value, digits)} {interval(low, high, digits)}".strip()


def big(value: object) -> str:
    """Write a count in thousands, millions or billions."""
    amount = finite(value)
    if amount is None:
        return number(value)
    for unit, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(amount) >= unit:
            return f"{amount / (1e3 if sign == 'k' else unit):.3g} {sign}"
    return number(amount)


def seconds(value: object) -> str:
    """Write a duration."""
    amount = finite(value)
    if amount is None:
        return number(value)
    for unit, name in ((3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
        if abs(amount) >= unit:
            return f"{_three(amount / unit)} {name}"
    return f"{amount * 1e6:.3g} µs" if amount else "0 s"


def size(value: object) -> str:
    """Write a number of bytes."""
    amount = finite(value)
    if amount is None:
        return number(value)
    for name, exponent in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if abs(amount) >= 2**exponent:
            return f"{_three(amount / 2**exponent)} {name}"
    return f"{int(amount)} B"


def _three(amount: float) -> str:
    """Three digits, or all of those before the point: never a power of ten."""
    return f"{amount:.3g}" if abs(amount) < 999.5 else f"{amount:,.0f}"


def cost_reader(cost: str) -> Reader:
    """How a cost is written: seconds, bytes, or a count."""
    return seconds if cost.endswith("_seconds") else size if cost.endswith("_bytes") else big


def ticks(values: Sequence[float]) -> list[str]:
    """Write the numbers beside an axis with as many digits as it takes to tell them apart."""
    texts: list[str] = []
    for digits in range(3, 9):
        texts = [_trimmed(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def _trimmed(value: float, digits: int) -> str:
    text = big(value) if abs(value) >= 1e4 and digits == 3 else number(float(f"{value:.6g}"), digits)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text and " " not in text else text


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
