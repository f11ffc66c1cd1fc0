"""What a name may be: anybody's text that stands in one line of a page, a file, a terminal and a database."""

from __future__ import annotations

from coordbench.harness.core.errors import UsageError

MOST = 100
"""Characters of a name at most: it stands in a table's cell and in the names of files."""
MOST_OF_TEXT = 500
"""Characters of an option's text at most."""


def is_line(text: object, most: int = MOST) -> bool:
    """Whether a text can be read in one line: no line breaks, no signs that turn the reading direction, no edges.

    >>> is_line("a <b> | c"), is_line("two\\nlines"), is_line("\\u202eturned"), is_line("")
    (True, False, False, False)
    """
    return isinstance(text, str) and 0 < len(text) <= most and text.isprintable() and text == text.strip()


def check_line(what: str, text: object) -> None:
    """Refuse a name that cannot be read in one line; `what` says whose it is."""
    if not is_line(text):
        shown = repr(text)
        shown = shown if len(shown) <= MOST else f"{shown[:MOST]}..."
        raise UsageError(f"{what} {shown} is not valid; write 1 to {MOST} printable characters in one line")
