"""One suite, two databases: `store` is a fresh, migrated database of each kind."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import schema
from store.engine import Store, open_store
from store.keys import KeyRing
from store.vault import Vault
from tests.store.postgresql import NoServer, Server

_TEMPLATE = "carebell_template"
_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server with one migrated database to copy from."""
    try:
        server = Server()
    except (NoServer, OSError) as fault:
        pytest.skip(f"no PostgreSQL here: {fault}")
    try:
        server.run(f"CREATE DATABASE {_TEMPLATE}")
        store = open_store(server.url(_TEMPLATE))
        schema.upgrade(store)
        store.close()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database to copy from; closed, so that the one file is all of it."""
    file = tmp_path_factory.mktemp("template") / "carebell.db"
    store = open_store(f"sqlite:///{file}")
    schema.upgrade(store)
    store.close()
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    yield from _database(backend, request, tmp_path, template="template1")


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database."""
    if backend == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "carebell.db")
    yield from _database(backend, request, tmp_path, template=_TEMPLATE)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def vault() -> Vault:
    return Vault(KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"p" * 32))


def _database(backend: str, request: pytest.FixtureRequest, tmp_path: Path, *, template: str) -> Iterator[str]:
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'carebell.db'}"
        return
    server: Server = request.getfixturevalue("postgresql")
    name = f"test_{os.getpid()}_{next(_NUMBERS)}"
    server.run(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.url(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")
