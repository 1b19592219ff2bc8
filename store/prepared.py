"""Core statements that are compiled once: SQLAlchemy writes the SQL, the driver gets tuples.

`Connection.execute` spends more time on a small statement than SQLite does. So each statement of the inbound path is built from
Core constructs, compiled at its first use for each of the two dialects, and given to the driver as text with positional
parameters. Values are those of the driver; `instants.CODECS` converts instants.
On PostgreSQL, statements that return nothing may share one round trip (`together`).

A statement for many rows reads them from a table `given`: VALUES of some dozens of rows on SQLite, `unnest` of one array for each
column on PostgreSQL. Parsing, planning and the round trip then happen once for a batch. On SQLite the cost is not the text but
the interpreter's lock: the driver releases it and takes it again for every execution, and with `executemany` for every row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final

from sqlalchemy import ARRAY, Column, Connection, Table, Text, bindparam, column, func, literal_column, select, values
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement, ColumnElement
from sqlalchemy.sql.compiler import SQLCompiler

from store.arrays import array_literal
from store.instants import CODECS, InstantCodec

_WRITERS: Final = {
    "sqlite": lambda: sqlite.dialect(paramstyle="qmark"),
    # psycopg's positional style; SQLAlchemy's default for psycopg is the named style
    "postgresql": lambda: postgresql.psycopg.dialect(paramstyle="format"),  # type: ignore[no-untyped-call]
}


class Prepared:
    """One statement, compiled at its first use for each dialect.

    Args:
        build: dialect name -> the Core statement, with a `bindparam` for every value.
        order: names of the parameters in the order of the caller's tuples; each exactly once.
    """

    def __init__(self, build: Callable[[str], ClauseElement], order: Sequence[str]) -> None:
        self._build = build
        self._order = tuple(order)
        self._sql: dict[str, str] = {}

    def sql(self, dialect: str) -> str:
        """The statement's text. ValueError if `order` is not the order of the compiled parameters."""
        if dialect not in self._sql:
            compiled = self._build(dialect).compile(dialect=_WRITERS[dialect]())  # type: ignore[no-untyped-call]
            assert isinstance(compiled, SQLCompiler)
            positions = tuple(compiled.positiontup or ())
            if positions != self._order:
                raise ValueError(f"parameters are {positions}, not {self._order}")
            self._sql[dialect] = str(compiled)
        return self._sql[dialect]

    def fetch(self, conn: Connection, row: tuple[Any, ...]) -> Sequence[Any]:
        """Execute once and return all rows, with the driver's values."""
        return _execute(conn, self.sql(conn.dialect.name), row)


def _execute(conn: Connection, sql: str, values: tuple[Any, ...]) -> Sequence[Any]:
    """All rows that the statement returns, if any.

    It uses the driver's own cursor, which saves 20 us for each statement. The driver's faults become SQLAlchemy's, as elsewhere.
    """
    cursor = conn.connection.cursor()
    try:
        cursor.execute(sql, values)
        # SQLite reads all rows of a SELECT except the first here, and reading may fail here.
        rows: Sequence[Any] = cursor.fetchall() if cursor.description is not None else ()
    except conn.dialect.loaded_dbapi.Error as fault:
        raise _as_sqlalchemy_s(conn, sql, fault) from fault
    finally:
        cursor.close()
    return rows


def _as_sqlalchemy_s(conn: Connection, sql: str, fault: Exception) -> Exception:
    """The driver's fault as SQLAlchemy raises it. A connection that is lost does not go back to the pool."""
    dialect, error = conn.dialect, conn.dialect.loaded_dbapi.Error
    lost = isinstance(fault, error) and dialect.is_disconnect(fault, conn.connection.dbapi_connection, None)
    known = DBAPIError.instance(
        sql, None, fault, error, hide_parameters=True, connection_invalidated=lost, dialect=dialect
    )
    if lost:
        conn.invalidate(known)
    return known


@contextmanager
def together(conn: Connection) -> Iterator[None]:
    """Statements of which none returns rows: PostgreSQL gets them in one message and is waited for once, at the end.

    The fault of any of them is raised at the end. On SQLite nothing changes.
    """
    if conn.dialect.name == "sqlite":
        yield
        return
    try:
        with conn.connection.driver_connection.pipeline():  # type: ignore[union-attr]  # psycopg's
            yield
    except conn.dialect.loaded_dbapi.Error as fault:
        raise _as_sqlalchemy_s(conn, "", fault) from fault


Given = Mapping[str, ColumnElement[Any]]
"""The given rows of a statement for many rows: name -> its value in each row."""

_SIZES: Final = (64, 32, 16, 8, 4, 2, 1)
"""Rows of one execution on SQLite. Few different texts, so that the driver keeps them all prepared, and few executions."""

_ALL: Final = 0
"""The size of a statement that takes any number of rows."""


class PreparedRows:
    """One statement that writes many rows.

    Args:
        build: dialect name and the given rows -> the Core statement. Every given column must be used.
        columns: names of the values in the order of the caller's tuples -> a column of the same type.
    """

    def __init__(self, build: Callable[[str, Given], ClauseElement], columns: Mapping[str, Column[Any]]) -> None:
        self._statements = {size: Prepared(*_sized(build, columns, size)) for size in (1, _ALL)}
        self._row = f"({', '.join('?' * len(columns))})"
        self._sql: dict[int, str] = {}

    def run(self, conn: Connection, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Write all rows. Without rows, do nothing. No two rows may concern the same row of the table.

        Returns the rows of a statement with RETURNING, in no order, with the driver's values.
        """
        if not rows:
            return []
        dialect = conn.dialect.name
        if dialect == "sqlite":
            done = (
                _execute(conn, self._sized_sql(len(some)), tuple(chain.from_iterable(some))) for some in _chunks(rows)
            )
            return list(chain.from_iterable(done))
        columns = tuple(map(array_literal, zip(*rows, strict=True)))
        return list(_execute(conn, self._statements[_ALL].sql(dialect), columns))

    def _sized_sql(self, size: int) -> str:
        """SQLite's text for that many rows: the one for a single row, with its VALUES repeated.

        SQLAlchemy takes 0.1 s to compile 64 rows, in which no message is answered.
        """
        sql = self._sql.get(size)
        if sql is None:
            before, row, after = self._statements[1].sql("sqlite").partition(self._row)
            if not row or "?" in before or "?" in after:
                raise ValueError("the statement has parameters besides its rows")
            sql = self._sql[size] = f"{before}{', '.join([row] * size)}{after}"
        return sql


def _chunks(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    at = 0
    for size in _SIZES:
        while len(rows) - at >= size:
            yield rows[at : at + size]
            at += size


def _sized(
    build: Callable[[str, Given], ClauseElement], columns: Mapping[str, Column[Any]], size: int
) -> tuple[Callable[[str], ClauseElement], Sequence[str]]:
    """The statement for this number of rows, and the order of its parameters."""
    order = [f"{name}_{nth}" for nth in range(size) for name in columns] if size != _ALL else list(columns)
    return lambda dialect: build(dialect, _given(columns, size)), order


def _given(columns: Mapping[str, Column[Any]], size: int) -> Given:
    listed = [column(name, like.type) for name, like in columns.items()]
    if size == _ALL:
        arrays = (bindparam(name, type_=ARRAY(like.type)) for name, like in columns.items())
        return dict(func.unnest(*arrays).table_valued(*listed).render_derived("given").c)
    rows = [tuple(bindparam(f"{name}_{nth}", type_=like.type) for name, like in columns.items()) for nth in range(size)]
    return dict(values(*listed, name="given").data(rows).cte("given").c)


def insert_given(dialect: str, table: Table, given: Given) -> Any:
    """INSERT of the given rows, named as the table's columns. The caller may add ON CONFLICT."""
    rows = select(*given.values())
    if dialect == "sqlite":  # without WHERE, SQLite's parser takes ON CONFLICT for the ON of a join
        return sqlite.insert(table).from_select(list(given), rows.where(literal_column("1")))
    return postgresql.insert(table).from_select(list(given), rows)


def codec(conn: Connection) -> InstantCodec:
    """How this connection's database stores instants."""
    return CODECS[conn.dialect.name]


def any_of(dialect: str, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """`column` is one of a list. The statement's text does not depend on the list's length. Fill it with `list_value`."""
    if dialect == "sqlite":
        return column.in_(select(func.json_each(bindparam(name, type_=Text)).table_valued("value").c.value))
    return column == func.any(bindparam(name, type_=ARRAY(column.type)))


def list_value(conn: Connection, values: Sequence[str] | Sequence[int]) -> Any:
    """The parameter for `any_of`."""
    return json.dumps(values) if conn.dialect.name == "sqlite" else array_literal(values)
