"""A database of any kind: opened, its transactions, its errors in one line that tells no password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Row

from coordbench.harness.store.address import StoreError, mask, parse, show
from coordbench.harness.store.damage import readable
from coordbench.harness.store.engine import open_engine
from coordbench.harness.store.schema import SCHEMA_VERSION, meta, metadata

_LOCK = 0x636F6F7264  # any number that is the same for all of us


class Database:
    """A store's database; use it as a context manager."""

    def __init__(self, url: str | sql.URL) -> None:
        self.address = parse(url) if isinstance(url, str) else url
        self.name = show(self.address)
        """The URL without its password: what messages may tell."""
        self.engine = open_engine(self.address)
        self.writer = self.engine.execution_options(immediate=True)
        try:
            with self.writing() as connection:
                _prepare(connection, self.name)
        except StoreError:
            self.engine.dispose()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.engine.dispose()

    @property
    def url(self) -> str:
        """The whole URL, password included, for a process that must open the store too; never to be shown."""
        return self.address.render_as_string(hide_password=False)

    def read(self, query: sql.Select[Any]) -> list[Row[Any]]:
        """The rows of a query."""
        with self.reading() as connection:
            return list(connection.execute(query).all())

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes."""
        with self.errors(), self.writer.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads."""
        with self.errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what a refusing or damaged database raises, JSON or bytes that are none included, into a StoreError."""
        try:
            yield
        except sql.exc.StatementError as error:
            reason = " ".join(str(error.orig or error).split())
            rest = f"; still readable: {readable(self.engine)}" if "malformed" in reason else ""
            raise StoreError(f"store {self.name}: {mask(reason)}{rest}") from error
        except ValueError as error:  # of json.loads and numpy.frombuffer
            if isinstance(error, StoreError):
                raise
            reason = f"a row is no longer what was stored ({error})"
            raise StoreError(f"store {self.name} is damaged: {reason}; {readable(self.engine)}") from error


def _prepare(connection: Connection, name: str) -> None:
    """Create the tables, or check that this version can read them."""
    if connection.dialect.name == "postgresql":
        connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_LOCK)))  # two runs may be the first at once
    if not sql.inspect(connection).has_table("meta"):
        metadata.create_all(connection, checkfirst=True)
        connection.execute(meta.insert().values(name="schema_version", value=str(SCHEMA_VERSION)))
        return
    version = int(connection.scalar(sql.select(meta.c.value).where(meta.c.name == "schema_version")) or 0)
    if version > SCHEMA_VERSION:
        raise StoreError(f"store {name} has schema version {version}, newer than {SCHEMA_VERSION}; update coordbench")
    if version < SCHEMA_VERSION:
        raise StoreError(
            f"store {name} has schema version {version}, older than {SCHEMA_VERSION}; give another by --store or "
            "--out, or export it with the version of coordbench that wrote it"
        )
