"""Open the database with settings that make a commit durable, and refuse a server whose commits are not.

SQLite: WAL with synchronous=FULL (a power cut after COMMIT loses nothing; in a test NORMAL lost every acknowledged row),
secure_delete (a deleted value is overwritten), and BEGIN IMMEDIATE for every transaction that writes (a transaction that reads
first and becomes a writer later loses updates between processes). The driver's own transaction control is switched off.

PostgreSQL: READ COMMITTED with row locks. No session state is used (no SET, no prepared statements, no advisory locks,
no LISTEN), so PgBouncer may pool by transaction. Instants are sent with their offset, so the server's TimeZone does not matter.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlencode

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import StaticPool

from store.checkpoints import SQLITE_ITSELF, Checkpoints
from store.fair_lock import FairLock
from store.faults import StoreFault, classify
from store.file_lock import LockFile

_BUSY_MS: Final = 5000
"""Longer than any commit of Carebell. If another process holds the lock longer, it is a transient fault."""

_CHECKED_BYTES: Final = 512 * 1024 * 1024
"""About two seconds at each start."""

_OLDEST_SQLITE: Final = (3, 35, 0)  # RETURNING
_OLDEST_POSTGRESQL: Final = 140000
_PRAGMAS: Final = (
    f"busy_timeout={_BUSY_MS}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "foreign_keys=ON",
    "temp_store=MEMORY",  # no temporary file may hold a patient's data
    f"wal_autocheckpoint={SQLITE_ITSELF}",
)
_SEVERAL_HOSTS: Final = re.compile(
    r"(?P<before>postgresql(?:\+psycopg)?://(?:[^@/?]*@)?)(?P<hosts>[^@/?]*,[^@/?]*)/(?P<database>[^?]*)(?:\?(?P<more>.*))?"
)
_HOST_AND_PORT: Final = re.compile(r"\[?(?P<host>(?<=\[)[^\[\]]+|[^\[\]:]+)\]?(?::(?P<port>\d+))?")


Transaction = Connection
"""The type that `Store.read` and `Store.write` yield: SQLAlchemy's connection. Other rooms only pass it on."""


class _Writer:
    """The connection of a process's SQLite writers, who write one after the other.

    It is kept from one transaction to the next: to take one from the pool and to give it back costs 0.1 ms. After a fault it goes
    back to the pool, whatever its state.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: Connection | None = None

    @contextmanager
    def transaction(self, *, at_once: bool) -> Iterator[Connection]:
        """For whoever has the turn."""
        conn, self._kept = self._kept or self._engine.connect(), None
        try:
            conn.info[_AT_ONCE] = at_once
            with conn.begin():
                yield conn
        except BaseException:
            with suppress(Exception):  # a connection that is lost
                _wait_for_locks(conn, _BUSY_MS)
            conn.close()
            raise
        self._kept = conn

    def close(self) -> None:
        conn, self._kept = self._kept, None
        if conn is not None:
            conn.close()


_AT_ONCE: Final = "carebell_at_once"
_WAITS: Final = "carebell_waits_milliseconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An open database.

    Attributes:
        engine: for reading; `write()` is the only way to change something.
        writing: for `write()`.
        file: SQLite's file; None on PostgreSQL.
        turns: the order of SQLite's writers, of all processes. None on PostgreSQL, whose server orders them, and in memory.
        locks: the lock file beside SQLite's; None on PostgreSQL and in memory.
        checkpoints: write SQLite's log back; None where nobody writes to a file.
    """

    engine: Engine
    writing: Engine
    file: Path | None
    turns: FairLock | None
    locks: LockFile | None
    checkpoints: Checkpoints | None = None
    _writer: _Writer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_writer", _Writer(self.writing))

    @property
    def backend(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view: one snapshot on SQLite, one for each statement on PostgreSQL. It never blocks a writer."""
        with self.engine.connect() as conn, conn.begin():
            yield conn

    @contextmanager
    def write(self, *, at_once: bool = False) -> Iterator[Connection]:
        """A transaction that may read and then write. It is committed at the end and rolled back on any exception.

        Args:
            at_once: on SQLite, wait for no lock: StoreFault STORE_LOCKED if another writer has it.
        """
        if self.turns is None:
            with self.writing.connect() as conn, conn.begin():
                yield conn
        else:
            with self.turns.turn(at_once=at_once), self._writer.transaction(at_once=at_once) as conn:
                yield conn
                if self.checkpoints is not None:
                    self.checkpoints.committing()

    def server_time(self) -> datetime | None:
        """The database server's time, UTC; None on SQLite, which has no clock of its own."""
        if self.file is not None:
            return None
        with self.read() as conn:
            instant: datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
        return instant.astimezone(UTC)

    def require_intact(self) -> None:
        """StoreFault STORE_NOT_OURS where SQLite finds a damaged page.

        Reads the whole file, some 300 MB a second: a larger one than `_CHECKED_BYTES` is left to be found damaged when it is
        used. PostgreSQL looks after its own pages.
        """
        if self.file is None or self.file.stat().st_size > _CHECKED_BYTES:
            return
        with self.read() as conn:
            verdict = conn.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if verdict != "ok":
            raise StoreFault("STORE_NOT_OURS")

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that SQLite may have, present or not; empty on PostgreSQL."""
        if self.file is None:
            return ()
        return (self.file, *(self.file.with_name(self.file.name + end) for end in ("-wal", "-shm", "-journal")))

    def close(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.close()
        self._writer.close()
        self.engine.dispose()
        if self.locks is not None:
            self.locks.close()


def open_store(url: str, *, echo: bool = False) -> Store:
    """Open and check. A new SQLite file is made with mode 0600. `schema.require_current` checks the schema.

    Args:
        url: `sqlite:///file` or `postgresql+psycopg://user@host/db`; `postgresql://` means the latter. Several hosts are written as
            for libpq: `postgresql://user@one:5432,two:5432/db?target_session_attrs=read-write` finds the primary.

    StoreFault: with a code and one sentence, see `faults`.
    """
    target = _target(url)
    try:
        return _open_sqlite(target, echo) if target.get_backend_name() == "sqlite" else _open_postgresql(target, echo)
    except (DBAPIError, sqlite3.Error) as error:
        raise _with_reason(classify(error) or StoreFault("STORE_UNREADABLE"), error) from None


def open_read_only(url: str) -> Store:
    """Open an existing database so that nothing can be changed in it, by whatever runs on it.

    Each `read()` is one snapshot, also on PostgreSQL, so it may take many statements.
    A SQLite file that does not exist is not made.

    Args:
        url: as `open_store`.

    StoreFault: as `open_store`.
    """
    target = _target(url)
    try:
        if target.get_backend_name() == "sqlite":
            return _open_sqlite_read_only(target)
        store = _open_postgresql(target, echo=False)
        engine = store.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return Store(engine=engine, writing=engine, file=None, turns=None, locks=None)
    except (DBAPIError, sqlite3.Error) as error:
        raise _with_reason(classify(error) or StoreFault("STORE_UNREADABLE"), error) from None


def _open_sqlite_read_only(target: URL) -> Store:
    file = Path(str(target.database))
    address = URL.create("sqlite", database=file.absolute().as_uri(), query={"mode": "ro", "uri": "true"})
    engine = create_engine(address, hide_parameters=True, connect_args={"timeout": _BUSY_MS / 1000})
    event.listen(engine, "connect", _prepare_sqlite_read_only)
    event.listen(engine, "begin", _begin_sqlite)
    store = Store(engine=engine, writing=engine, file=file, turns=None, locks=None)
    try:
        with store.read() as conn:
            conn.exec_driver_sql("SELECT count(*) FROM sqlite_master")
            return store
    except BaseException:
        store.close()
        raise


def open_in_memory() -> Store:
    """An empty SQLite database in this process's memory, for a rehearsal: nothing of it is ever written to a disk.

    It has one connection, so transactions must not be nested. `schema.upgrade` makes its tables.
    """
    engine = create_engine("sqlite://", poolclass=StaticPool, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    writing = engine.execution_options(carebell_writes=True)
    return Store(engine=engine, writing=writing, file=None, turns=None, locks=None)


def _with_reason(fault: StoreFault, error: DBAPIError | sqlite3.Error) -> StoreFault:
    """Add libpq's reason why a server cannot be opened; a wrong password or name does not become right by trying again."""
    if fault.code != "STORE_DOWN" or not isinstance(error, DBAPIError):
        return fault
    reasons = str(error.orig).strip().splitlines() or ["no reason given"]
    return StoreFault(
        fault.code, f"The database cannot be opened: {reasons[0].removeprefix('connection failed: ').rstrip('.')}."
    )


def _target(url: str) -> URL:
    try:
        target = make_url(_with_hosts_in_query(url))
    except (ArgumentError, ValueError):
        raise StoreFault("STORE_UNREADABLE", "storage.url is not a database URL.") from None
    backend = target.get_backend_name()
    if backend == "postgresql":
        return target.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not target.database or target.database == ":memory:":
        raise StoreFault("STORE_UNREADABLE", "storage.url must be sqlite:///file or postgresql+psycopg://user@host/db.")
    return target


def _with_hosts_in_query(url: str) -> str:
    """libpq's list of hosts in the form that SQLAlchemy passes on; any other URL is unchanged."""
    match = _SEVERAL_HOSTS.fullmatch(url)
    if match is None:
        return url
    pairs = [_HOST_AND_PORT.fullmatch(host) for host in match["hosts"].split(",")]
    if None in pairs:
        raise ValueError("a host in the list cannot be read")
    hosts, ports = (",".join(unquote(pair[name] or "") for pair in pairs if pair) for name in ("host", "port"))
    listed = urlencode({"host": hosts, "port": ports} if ports.strip(",") else {"host": hosts})
    return f"{match['before']}/{match['database']}?{listed}{'&' if match['more'] else ''}{match['more'] or ''}"


def _open_sqlite(target: URL, echo: bool) -> Store:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreFault("STORE_VERSION", f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or later is needed.")
    file = Path(str(target.database))
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        os.close(descriptor)
        if not is_file:
            raise OSError(errno.EINVAL, "It is a named pipe or a device, not a file")
    except OSError as fault:
        why = (fault.strerror or "no reason given").lower()
        raise StoreFault("STORE_UNREADABLE", f"The database {file} cannot be opened: {why}.") from None
    locks = LockFile(file.with_name(f"{file.name}-turns"), file.stat())
    engine = create_engine(target, echo=echo, hide_parameters=True, connect_args={"timeout": _BUSY_MS / 1000})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    turns = FairLock(_BUSY_MS / 1000, locks)
    store = Store(
        engine=engine,
        writing=engine.execution_options(carebell_writes=True),
        file=file,
        turns=turns,
        locks=locks,
        checkpoints=Checkpoints(file, turns),
    )
    try:
        with store.read():
            return store
    except BaseException:
        store.close()
        raise


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # `_begin_sqlite` writes BEGIN
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _prepare_sqlite_read_only(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in (f"busy_timeout={_BUSY_MS}", "query_only=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(conn: Connection) -> None:
    """Begin by the driver itself, which takes a fifth of SQLAlchemy's time for it: one message alone waits for every step."""
    writes = conn.get_execution_options().get("carebell_writes", False)
    # A program that is not Carebell's may have SQLite's lock, and only SQLite knows that.
    _wait_for_locks(conn, 0 if writes and conn.info.get(_AT_ONCE, False) else _BUSY_MS)
    driver: Any = conn.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN").close()


def _wait_for_locks(conn: Connection, milliseconds: int) -> None:
    """How long this connection waits for a lock; nothing is asked of SQLite if it is so already."""
    if conn.info.get(_WAITS, _BUSY_MS) != milliseconds:
        driver: Any = conn.connection.driver_connection
        driver.execute(f"PRAGMA busy_timeout={milliseconds}").close()
        conn.info[_WAITS] = milliseconds


def _open_postgresql(target: URL, echo: bool) -> Store:
    engine = create_engine(
        target,
        echo=echo,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_timeout=10,
        # The client encoding is always UTF8; `check_server` refuses a database with another encoding by name.
        # A dead server is noticed after 10 s of silence, not after the kernel's fifteen minutes.
        connect_args={
            "prepare_threshold": None,
            "connect_timeout": 5,
            "tcp_user_timeout": 10_000,
            "client_encoding": "UTF8",
        },
    )
    store = Store(engine=engine, writing=engine, file=None, turns=None, locks=None)
    try:
        with store.read() as conn:
            check_server(conn)
    except BaseException:
        store.close()
        raise
    return store


def check_server(conn: Connection) -> None:
    """Check PostgreSQL's settings. StoreFault STORE_VERSION or STORE_UNSAFE names the first that would lose or damage data."""
    version = int(_setting(conn, "server_version_num"))
    if version < _OLDEST_POSTGRESQL:
        raise StoreFault("STORE_VERSION", f"PostgreSQL {version // 10_000} is too old: 14 or later is needed.")
    if _setting(conn, "fsync") != "on":
        raise StoreFault("STORE_UNSAFE", "PostgreSQL runs with fsync=off and loses data in a power cut: switch it on.")
    if _setting(conn, "full_page_writes") != "on":
        raise StoreFault("STORE_UNSAFE", "PostgreSQL runs with full_page_writes=off: a power cut may tear pages.")
    if _setting(conn, "synchronous_commit") in ("off", "local"):
        raise StoreFault("STORE_UNSAFE", "PostgreSQL's synchronous_commit acknowledges too early: set it to on.")
    if _setting(conn, "server_encoding") != "UTF8":
        raise StoreFault(
            "STORE_UNSAFE", "The PostgreSQL database is not encoded in UTF8: create it with ENCODING 'UTF8'."
        )


def _setting(conn: Connection, name: str) -> str:
    return str(conn.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one())
