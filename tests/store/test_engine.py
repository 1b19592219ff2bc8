"""Settings that make a commit durable, refusals in one clear sentence, and instants that must say where they are."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import StatementError

from store import engine
from store.engine import Store, check_server, open_store
from store.faults import StoreFault, classify, is_fatal, is_transient
from store.instants import NaiveInstant, from_microseconds, to_microseconds
from store.tables import leases, meta
from tests.store.postgresql import Server
from tests.store.samples import NOW


def test_sqlite_s_settings_are_the_promised_ones(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'x.db'}")
    with store.read() as conn:
        found = {
            name: conn.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "busy_timeout")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }
    with store.write() as conn:
        conn.execute(text("CREATE TABLE x (y)"))
        assert [file.stat().st_mode & 0o777 for file in store.files if file.exists()] == [0o600] * 3
    store.close()


def test_a_writing_transaction_holds_the_lock_from_its_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_PRAGMAS", ("busy_timeout=1", *engine._PRAGMAS[1:]))
    file = tmp_path / "x.db"
    one, two = (open_store(f"sqlite:///{file}") for _ in range(2))
    monkeypatch.setattr(engine, "_BUSY_MS", 1)
    hasty = open_store(f"sqlite:///{file}")
    with one.write(), pytest.raises(StoreFault) as caught, hasty.write():
        pass
    hasty.close()
    assert (caught.value.code, is_transient(caught.value)) == ("STORE_LOCKED", True)
    with one.write(), two.read() as conn:  # readers do not wait
        assert conn.execute(text("SELECT 1")).scalar_one() == 1
    foreign = sqlite3.connect(file, isolation_level=None)  # it does not know of our turns
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(Exception, match="locked") as locked, two.write():
        pass
    assert is_transient(locked.value)
    foreign.close()
    with two.write():  # and the turn was given back
        pass
    one.close()
    two.close()


def test_an_exception_rolls_back(store: Store) -> None:
    def fail() -> None:
        with store.write() as conn:
            conn.execute(leases.insert().values(job="j", holder="h", until=NOW))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.read() as conn:
        assert conn.execute(select(leases)).all() == []


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, whatever its name says\n" * 50)
    refusals = {
        f"sqlite:///{tmp_path}": "STORE_UNREADABLE",
        f"sqlite:///{tmp_path / 'none' / 'x.db'}": "STORE_UNREADABLE",
        f"sqlite:///{tmp_path / 'text.db'}": "STORE_NOT_OURS",
        "sqlite://": "STORE_UNREADABLE",
        "mysql://localhost/x": "STORE_UNREADABLE",
        "nonsense": "STORE_UNREADABLE",
        f"postgresql://postgres@/x?host={tmp_path}": "STORE_DOWN",
    }
    for url, code in refusals.items():
        with pytest.raises(StoreFault) as caught:
            open_store(url)
        assert (url, caught.value.code) == (url, code)


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgresql://u@one:5432,two:5433/db?target_session_attrs=read-write", "one,two", "5432,5433"),
        ("postgresql+psycopg://u@one,two:5433/db?target_session_attrs=read-write", "one,two", ",5433"),
        ("postgresql://u@[::1]:5432,[fe80::2]/db?target_session_attrs=read-write", "::1,fe80::2", "5432,"),
        ("postgresql://u@%2Frun%2Fone,%2Frun%2Ftwo/db?target_session_attrs=read-write", "/run/one,/run/two", ","),
        ("postgresql://u@/db?host=one,two&port=1,2&target_session_attrs=read-write", "one,two", "1,2"),
    ],
)
def test_several_hosts_reach_libpq_as_it_wants_them(url: str, hosts: str, ports: str) -> None:
    _, given = PGDialect_psycopg().create_connect_args(engine._target(url))  # type: ignore[no-untyped-call]
    assert given == {"host": hosts, "port": ports, "user": "u", "dbname": "db", "target_session_attrs": "read-write"}


@pytest.mark.parametrize("url", ["postgresql://u@host:none/db", "postgresql://u@one:x,two/db"])
def test_a_url_with_a_port_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StoreFault, match="is not a database URL"):
        open_store(url)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (5, "STORE_LOCKED"),
        (13, "STORE_FULL"),
        (1034, "STORE_IO"),
        (778, "STORE_IO"),
        (8, "STORE_UNREADABLE"),
        (1, None),
    ],
)
def test_sqlite_s_codes_are_ours(number: int, code: str | None) -> None:
    fault = sqlite3.OperationalError("a fake fault")
    fault.sqlite_errorcode = number
    found = classify(fault)
    assert (found.code if found else None) == code
    assert is_transient(fault) == (code in ("STORE_LOCKED", "STORE_FULL"))
    assert is_fatal(fault) == (code == "STORE_IO")


class _Setting(Exception):
    def __init__(self, sqlstate: str) -> None:
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("40P01", "STORE_LOCKED"),
        ("53100", "STORE_FULL"),
        ("57P01", "STORE_DOWN"),
        ("08006", "STORE_DOWN"),
        ("23505", None),
    ],
)
def test_postgresql_s_codes_are_ours(state: str, code: str | None) -> None:
    found = classify(_Setting(state))
    assert (found.code if found else None) == code


@pytest.mark.parametrize("setting", ["synchronous_commit = off", "synchronous_commit = local"])
def test_a_server_that_acknowledges_too_early_is_refused(postgresql: Server, setting: str) -> None:
    store = open_store(postgresql.url("carebell_template"))
    with store.read() as conn:
        check_server(conn)
        conn.execute(text(f"SET LOCAL {setting}"))
        with pytest.raises(StoreFault) as caught:
            check_server(conn)
    assert caught.value.code == "STORE_UNSAFE"
    store.close()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("server_version_num", "130012", "STORE_VERSION"),
        ("fsync", "off", "STORE_UNSAFE"),
        ("full_page_writes", "off", "STORE_UNSAFE"),
        ("server_encoding", "SQL_ASCII", "STORE_UNSAFE"),
    ],
)
def test_a_server_of_the_wrong_kind_is_refused(
    postgresql: Server, monkeypatch: pytest.MonkeyPatch, name: str, value: str, code: str
) -> None:
    store = open_store(postgresql.url("carebell_template"))
    asked = engine._setting

    def answer(conn: Connection, wanted: str) -> str:
        return value if wanted == name else asked(conn, wanted)

    monkeypatch.setattr(engine, "_setting", answer)
    with store.read() as conn, pytest.raises(StoreFault) as caught:
        check_server(conn)
    assert caught.value.code == code
    store.close()


def test_instants_keep_their_microsecond_and_come_back_in_utc(store: Store) -> None:
    written = datetime(2026, 3, 8, 9, 0, 0, 123456, tzinfo=timezone(timedelta(hours=-7)))
    with store.write() as conn:
        conn.execute(leases.insert().values(job="j", holder="h", until=written))
        read = conn.execute(select(leases.c.until)).scalar_one()
    assert (read, read.tzinfo) == (written, UTC)
    assert from_microseconds(to_microseconds(written)) == written


def test_a_naive_instant_is_refused(store: Store) -> None:
    naive = NOW.replace(tzinfo=None)
    with store.write() as conn, pytest.raises((NaiveInstant, StatementError), match="without a UTC offset"):
        conn.execute(leases.insert().values(job="j", holder="h", until=naive))
    with pytest.raises(NaiveInstant):
        to_microseconds(naive)


def test_a_server_has_a_clock_of_its_own_and_a_file_has_none(store: Store, backend: str) -> None:
    told = store.server_time()
    if backend == "sqlite":
        assert told is None
    else:  # the server of the tests runs on this machine; a day allows for one that is suspended in between
        assert told is not None
        assert told.tzinfo is UTC
        assert abs(told - datetime.now(UTC)) < timedelta(days=1)


@pytest.mark.parametrize("backend", ["sqlite"])
def test_writers_keep_one_connection_whatever_happened_before(store: Store) -> None:
    def write(name: str, fault: Exception | None = None) -> None:
        with store.write(at_once=name == "at once") as conn:
            conn.execute(meta.insert().values(name=name, value="x"))
            used.append(id(conn.connection.driver_connection))
            if fault is not None:
                raise fault

    used: list[int] = []
    write("first")
    write("at once")
    with pytest.raises(ValueError, match="no"):
        write("undone", ValueError("no"))
    write("last")
    assert len(set(used[:3])) == 1
    with store.read() as conn:
        assert set(conn.execute(select(meta.c.name)).scalars()) >= {"first", "at once", "last"}
        assert "undone" not in set(conn.execute(select(meta.c.name)).scalars())


def test_closing_closes_the_writers_connection_too(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'x.db'}")
    with store.write() as conn:
        conn.execute(text("CREATE TABLE x (y)"))
    assert store.files[1].exists()
    store.close()
    assert not store.files[1].exists()  # the last connection to close removes the write-ahead log
