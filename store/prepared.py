"""Core statements compiled once: SQLAlchemy writes the SQL, the driver gets tuples.

`Connection.execute` spends more time on a small statement than SQLite does. On the way in every statement is built from
Core constructs, compiled at its first use for each of the two dialects, and handed to the driver as text with positional
parameters. Values go in and come out as the driver has them: instants through `instants.CODECS`.

A statement for many rows reads them from `given`, which is one row's parameters on SQLite, executed again and again, and
`unnest` of one array a column on PostgreSQL, executed once: parsing, planning and the round trip are paid once a batch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, Column, Connection, Table, Text, bindparam, column, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement, ColumnElement
from sqlalchemy.sql.compiler import SQLCompiler

from store.instants import CODECS, InstantCodec

_WRITERS: Final = {
    "sqlite": lambda: sqlite.dialect(paramstyle="qmark"),
    # psycopg's own positional style; SQLAlchemy's default for it is the named one
    "postgresql": lambda: postgresql.psycopg.dialect(paramstyle="format"),  # type: ignore[no-untyped-call]
}


class Prepared:
    """One statement, compiled at first use per dialect.

    Args:
        build: dialect name -> the Core statement, with a `bindparam` for every value.
        order: names of the parameters in the order in which the caller's tuples hold them; each exactly once.
    """

    def __init__(self, build: Callable[[str], ClauseElement], order: Sequence[str]) -> None:
        self._build = build
        self._order = tuple(order)
        self._sql: dict[str, str] = {}

    def sql(self, dialect: str) -> str:
        """The statement's text. ValueError where `order` is not the order of the compiled parameters."""
        if dialect not in self._sql:
            compiled = self._build(dialect).compile(dialect=_WRITERS[dialect]())  # type: ignore[no-untyped-call]
            assert isinstance(compiled, SQLCompiler)
            positions = tuple(compiled.positiontup or ())
            if positions != self._order:
                raise ValueError(f"parameters are {positions}, not {self._order}")
            self._sql[dialect] = str(compiled)
        return self._sql[dialect]

    def fetch(self, conn: Connection, row: tuple[Any, ...]) -> Sequence[Any]:
        """Execute once and give all rows, values as the driver has them."""
        return conn.exec_driver_sql(self.sql(conn.dialect.name), row).fetchall()


Given = Mapping[str, ColumnElement[Any]]
"""The rows of a statement for many: name -> its value in each row."""


class PreparedRows:
    """One statement that writes many rows.

    Args:
        build: dialect name and the given rows -> the Core statement. Every given column must be used.
        columns: names of the values in the order in which the caller's tuples hold them -> a column of the same type.
    """

    def __init__(self, build: Callable[[str, Given], ClauseElement], columns: Mapping[str, Column[Any]]) -> None:
        self._statement = Prepared(lambda dialect: build(dialect, _given(dialect, columns)), tuple(columns))

    def run(self, conn: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write all rows; nothing where there is none. No two may be about the same row of the table."""
        if rows:
            dialect = conn.dialect.name
            parameters = list(rows) if dialect == "sqlite" else tuple(map(list, zip(*rows, strict=True)))
            conn.exec_driver_sql(self._statement.sql(dialect), parameters)


def _given(dialect: str, columns: Mapping[str, Column[Any]]) -> Given:
    if dialect == "sqlite":
        return {name: bindparam(name, type_=like.type) for name, like in columns.items()}
    arrays = (bindparam(name, type_=ARRAY(like.type)) for name, like in columns.items())
    rows = func.unnest(*arrays).table_valued(*(column(name, like.type) for name, like in columns.items()))
    return dict(rows.render_derived("given").c)


def insert_given(dialect: str, table: Table, given: Given) -> Any:
    """INSERT of the given rows, named as the table's columns, to be ended with ON CONFLICT where that is wanted."""
    if dialect == "sqlite":
        return sqlite.insert(table).values(dict(given))
    return postgresql.insert(table).from_select(list(given), select(*given.values()))


def codec(conn: Connection) -> InstantCodec:
    """How this connection's database stores instants."""
    return CODECS[conn.dialect.name]


def any_of(dialect: str, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """`column` is one of a list whose length the statement's text does not depend on. Fill it with `list_value`."""
    if dialect == "sqlite":
        return column.in_(select(func.json_each(bindparam(name, type_=Text)).table_valued("value").c.value))
    return column == func.any(bindparam(name, type_=ARRAY(column.type)))


def list_value(conn: Connection, values: Sequence[str] | Sequence[int]) -> Any:
    """The parameter for `any_of`."""
    return json.dumps(values) if conn.dialect.name == "sqlite" else list(values)
