"""What a node looks at before it starts on PostgreSQL: one sentence and an exit code for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from store import schema
from store.engine import open_store
from tests.carebell.conftest import Carebell, Ended
from tests.store.postgresql import Server
from tests.story.folder import change


def test_db_upgrade_makes_the_tables_once(configuration: Path, carebell: Carebell) -> None:
    first, second = carebell("db", "upgrade", "-c", configuration), carebell("db", "upgrade", "-c", configuration)
    assert (first.code, first.out) == (0, f"the database is at version {schema.head()} (was empty)\n")
    assert (second.code, second.out) == (0, f"the database is at version {schema.head()}\n")


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_may_lose_data_in_a_power_cut_is_refused(
    server: Server, configuration: Path, carebell: Carebell, setting: str
) -> None:
    with _changed(server, f"ALTER SYSTEM SET {setting} = off", f"ALTER SYSTEM RESET {setting}"):
        ended = carebell("serve", "-c", configuration)
    assert (ended.code, f"{setting}=off" in _last(ended), "STORE_UNSAFE" in _last(ended)) == (78, True, True)


@pytest.mark.parametrize("value", ["off", "local"])
def test_a_database_that_acknowledges_too_early_is_refused(
    server: Server, database: str, configuration: Path, carebell: Carebell, value: str
) -> None:
    server.run(f"ALTER DATABASE {database} SET synchronous_commit = {value}")
    ended = carebell("serve", "-c", configuration)
    assert (ended.code, "synchronous_commit" in _last(ended)) == (78, True)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_in_another_encoding_is_refused(
    server: Server, configuration: Path, carebell: Carebell, encoding: str
) -> None:
    name = f"nodes_{encoding.lower()}"
    server.run(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
    change(configuration, {"storage": {"url": server.url(name)}})
    ended = carebell("serve", "-c", configuration)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")
    assert (ended.code, "not encoded in UTF8" in _last(ended)) == (78, True)


def test_tables_of_an_older_version_wait_for_db_upgrade(
    url: str, configuration: Path, carebell: Carebell, monkeypatch: pytest.MonkeyPatch
) -> None:
    _upgrade(url)
    monkeypatch.setattr(schema, "head", lambda: "9999")  # of a program that is newer than the tables
    ended = carebell("serve", "-c", configuration)
    assert (ended.code, "run `carebell db upgrade`" in _last(ended)) == (78, True)


def test_tables_of_a_newer_version_are_left_alone(url: str, configuration: Path, carebell: Carebell) -> None:
    _upgrade(url)
    with psycopg.connect(url.replace("+psycopg", "")) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    for words in (("serve",), ("db", "upgrade")):
        ended = carebell(*words, "-c", configuration)
        assert (ended.code, "by a newer Carebell" in _last(ended)) == (78, True)


def test_a_server_that_is_not_there_may_come_back(configuration: Path, carebell: Carebell, tmp_path: Path) -> None:
    change(configuration, {"storage": {"url": f"postgresql+psycopg://postgres@/none?host={tmp_path}"}})
    ended = carebell("serve", "-c", configuration)
    assert (ended.code, "STORE_DOWN" in _last(ended)) == (75, True)


def test_a_database_that_is_not_there_is_named(server: Server, configuration: Path, carebell: Carebell) -> None:
    change(configuration, {"storage": {"url": server.url("nodes_none")}})
    ended = carebell("serve", "-c", configuration)
    assert ended.code == 75
    assert 'database "nodes_none" does not exist' in _last(ended)


def _last(ended: Ended) -> str:
    """The sentence, after what the log said on the terminal."""
    last = ended.err.splitlines()[-1]
    assert last.startswith("carebell: ")
    return last


def _upgrade(url: str) -> None:
    store = open_store(url)
    schema.upgrade(store)
    store.close()


@contextmanager
def _changed(server: Server, statement: str, back: str) -> Iterator[None]:
    """A server-wide setting for a moment; a new connection sees it when `pg_reload_conf` has been carried out."""
    try:
        _reloaded(server, statement)
        yield
    finally:
        _reloaded(server, back)


def _reloaded(server: Server, statement: str) -> None:
    name = statement.split()[3]
    wanted = "off" if statement.endswith("off") else "on"
    server.run(statement)
    server.run("SELECT pg_reload_conf()")
    for _ in range(600):
        with psycopg.connect(server.url("postgres").replace("+psycopg", "")) as conn:
            row = conn.execute("SELECT current_setting(%s), pg_sleep(0.05)", [name]).fetchone()
        if row is not None and row[0] == wanted:
            return
    raise AssertionError("the server did not take the setting")
