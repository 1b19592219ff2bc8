"""Statements written once: what each database is given, and that values of every type survive both ways of giving many rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import bindparam, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql import ClauseElement

from store.engine import Store
from store.prepared import Given, Prepared, PreparedRows, _sized, codec, insert_given
from store.tables import leases, messages, meta
from tests.store.samples import NOW


def _insert(dialect: str, given: Given) -> ClauseElement:
    statement: ClauseElement = insert_given(dialect, messages, given)
    return statement


def test_many_rows_keep_their_order_their_types_and_their_absences(store: Store) -> None:
    rows: list[tuple[Any, ...]] = [
        (
            "e",
            "3",
            "4",
            f"{number}",
            "",
            bytes(range(256)),
            'A"{},\\',
            None if number else "SIG10",
            "0",
            "ünï \U0001f600",
            None,
            NOW + timedelta(microseconds=number),
            NOW,
            "S12",
            None if number else "900100",
        )
        for number in range(3)
    ]
    insert = PreparedRows(_insert, dict(messages.c))
    with store.write() as conn:
        put = codec(conn).put
        insert.run(conn, [(*row[:11], *map(put, row[11:13]), *row[13:]) for row in rows])
        insert.run(conn, [])
        assert [tuple(row) for row in conn.execute(select(messages).order_by(messages.c.received_at))] == rows


@pytest.mark.parametrize("size", [2, 64])
def test_many_rows_have_the_text_that_sqlalchemy_would_give_them(size: int) -> None:
    columns = dict(messages.c)
    compiled = Prepared(*_sized(_insert, columns, size)).sql("sqlite")
    assert PreparedRows(_insert, columns)._sized_sql(size) == compiled


def test_a_statement_with_parameters_besides_its_rows_is_refused() -> None:
    def build(_: str, given: Given) -> ClauseElement:
        mine = (leases.c.job == given["mine"]) & (leases.c.holder == bindparam("mine_0", "x"))
        return leases.update().where(mine).values(holder=given["new"])

    with pytest.raises(ValueError, match="parameters"):
        PreparedRows(build, {"new": leases.c.holder, "mine": leases.c.job})._sized_sql(2)


def test_an_update_touches_the_given_rows_alone(store: Store) -> None:
    def build(_: str, given: Given) -> ClauseElement:
        return leases.update().where(leases.c.job == given["mine"]).values(holder=given["new"])

    with store.write() as conn:
        conn.execute(leases.insert(), [{"job": job, "holder": "nobody", "until": NOW} for job in "abc"])
        PreparedRows(build, {"new": leases.c.holder, "mine": leases.c.job}).run(conn, [("x", "a"), ("y", "c")])
        found = conn.execute(select(leases.c.job, leases.c.holder).order_by(leases.c.job)).all()
    assert [tuple(row) for row in found] == [("a", "x"), ("b", "nobody"), ("c", "y")]


def test_a_batch_is_one_statement_on_postgresql() -> None:
    sql = Prepared(lambda dialect: _insert(dialect, _arrays()), tuple(messages.c.keys())).sql("postgresql")
    assert sql.startswith("INSERT INTO messages")
    assert "VALUES" not in sql


def _arrays() -> Given:
    return {name: bindparam(name, type_=like.type) for name, like in messages.c.items()}


@pytest.mark.parametrize("rows", [("no json",), ("1", "no json")], ids=["first", "later"])
@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_driver_s_fault_is_sqlalchemy_s_at_whichever_row_it_comes(store: Store, rows: Sequence[str]) -> None:
    read = Prepared(lambda _: select(func.json(meta.c.value)).where(meta.c.name > bindparam("name")), ("name",))
    with store.write() as conn:
        conn.execute(meta.insert(), [{"name": f"n{nth}", "value": row} for nth, row in enumerate(rows)])
        with pytest.raises(OperationalError) as caught:
            read.fetch(conn, ("n",))
    assert caught.value.hide_parameters


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_an_order_that_is_not_the_statement_s_is_a_mistake(dialect: str) -> None:
    one = Prepared(
        lambda _: select(leases).where(leases.c.job == bindparam("job"), leases.c.holder == bindparam("holder")),
        ("holder", "job"),
    )
    with pytest.raises(ValueError, match="parameters are"):
        one.sql(dialect)
