"""New databases: SQLite always, PostgreSQL where COORDBENCH_TEST_POSTGRES names a server."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sql

POSTGRES = os.environ.get("COORDBENCH_TEST_POSTGRES")
NO_SERVER = pytest.mark.skipif(not POSTGRES, reason="COORDBENCH_TEST_POSTGRES names no server")


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a new database on the server, which is gone afterwards."""
    assert POSTGRES
    engine = sql.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    name = f"test_{os.getpid()}_{time.monotonic_ns()}"
    with engine.connect() as connection:
        connection.execute(sql.text(f"CREATE DATABASE {name}"))
    yield engine.url.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sql.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=NO_SERVER)])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Make the URL of a new, empty database."""
    numbers = itertools.count()
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield lambda: f"sqlite:///{tmp_path / f'results{next(numbers)}.sqlite'}"
        else:
            yield lambda: stack.enter_context(postgres())


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """The URL of a new, empty database."""
    return new_url()
