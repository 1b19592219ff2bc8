"""A real PostgreSQL and an empty database of it for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.carebell.conftest import carebell
from tests.faults.node import kill_all
from tests.store.postgresql import NoServer, Server
from tests.story.folder import make

__all__ = ["carebell"]

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    try:
        running = Server()
    except (NoServer, OSError) as reason:
        pytest.skip(f"no PostgreSQL here: {reason}")
    yield running
    running.stop()


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """The name of an empty database."""
    name = f"nodes_{next(_NUMBERS)}"
    server.run(f"CREATE DATABASE {name}")
    yield name
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def url(server: Server, database: str) -> str:
    return server.url(database)


@pytest.fixture
def configuration(tmp_path: Path, url: str) -> Path:
    """A clinic's folder whose database is on the server."""
    return make(tmp_path / "one", {"storage": {"url": url}})


@pytest.fixture(autouse=True)
def _no_node_is_left_behind() -> Iterator[None]:
    yield
    kill_all()
