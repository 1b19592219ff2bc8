"""Arrays that PostgreSQL reads back as they were, whatever the values hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from store.arrays import array_literal
from store.engine import Store

_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_COLUMNS = {
    "text": _TEXTS | st.sampled_from(["", "NULL", "null", "{}", '"', "\\", "a,b", ' "x" ', "\n\t", "\\x00"]),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "bytea": st.binary(),
    "float8": st.floats(allow_nan=False),
    "timestamptz": st.timedeltas(timedelta(days=-600_000), timedelta(days=2_900_000)).map(
        lambda after: (datetime(1970, 1, 1, tzinfo=UTC) + after).astimezone(timezone(timedelta(hours=-7, minutes=-30)))
    ),
}


@pytest.mark.parametrize("backend", ["postgresql"])
@pytest.mark.parametrize("kind", _COLUMNS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(data=st.data())
def test_values_come_back_as_they_were(store: Store, kind: str, data: st.DataObject) -> None:
    column: list[Any] = data.draw(st.lists(st.none() | _COLUMNS[kind], max_size=30))
    with store.read() as conn:
        rows = conn.exec_driver_sql(f"SELECT unnest(%s::{kind}[])", (array_literal(column),)).scalars().all()
    assert list(rows) == column


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_value_cannot_leave_its_place(store: Store) -> None:
    with store.read() as conn:
        count = conn.execute(text("SELECT cardinality(CAST(:all AS text[]))"), {"all": array_literal(['a","b', "}{"])})
        assert count.scalar_one() == 2


def test_another_type_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="Decimal"):
        array_literal([Decimal(1)])
