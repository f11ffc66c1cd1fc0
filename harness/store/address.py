"""Where a store is: read from what the user wrote, and shown without its password."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sql

from coordbench.harness.core.errors import UsageError

FILE = "results.sqlite"
"""The store in a folder of results."""

_USER = re.compile(r"(?<=//)([^/@\s:'\"]*):([^\s'\"]*)@")
_OPTION = re.compile(r"(?i)\b((?:ssl)?password|passwd|passfile|secret|token)=([^&\s'\"]+)")


class StoreError(UsageError):
    """A store that cannot be opened, read or written; the message says which and why."""


def of_folder(out: Path) -> sql.URL:
    """The SQLite file in a folder of results; a `?` in the folder's name is no option."""
    return sql.URL.create("sqlite", database=str(out / FILE))


def parse(text: str) -> sql.URL:
    """Read a URL; raise StoreError where it is none."""
    try:
        return sql.make_url(text)
    except (sql.exc.ArgumentError, ValueError) as error:
        raise StoreError(
            f"store {mask(text)!r} cannot be opened: it is no URL; write sqlite:///FILE or postgresql+psycopg://.."
        ) from error


def mask(text: str) -> str:
    """Any text without the passwords of the URLs in it: `postgresql://me:***@host/name`."""
    return _OPTION.sub(r"\1=***", _USER.sub(r"\1:***@", text))


def show(url: sql.URL) -> str:
    """A URL without its password."""
    return mask(url.render_as_string(hide_password=True))


def file_of(url: sql.URL) -> Path | None:
    """The file of an SQLite store; None where it is in memory, opened by SQLite's own URI, or of another database."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name)
