"""Instants in the database: aware datetimes are stored and come back in UTC; a naive datetime is refused.

SQLite has no time type and drops offsets, so an instant is stored there as whole microseconds since 1970 in an INTEGER:
eight bytes, in index order, and cheap to make. PostgreSQL stores TIMESTAMP WITH TIME ZONE.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class NaiveInstant(ValueError):
    """A datetime without an offset cannot be stored, because its instant is unknown."""

    def __init__(self) -> None:
        super().__init__("a datetime without a UTC offset cannot be stored")


def to_microseconds(instant: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00Z. NaiveInstant if there is no offset."""
    if instant.tzinfo is None:
        raise NaiveInstant
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The inverse of `to_microseconds`, in UTC."""
    return _EPOCH + timedelta(microseconds=count)


def _to_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise NaiveInstant
    return instant.astimezone(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """The column type of every instant in `tables`."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind: TypeEngine[Any] = BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return to_microseconds(value) if dialect.name == "sqlite" else _to_utc(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return from_microseconds(value) if dialect.name == "sqlite" else value.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantCodec:
    """The same two conversions as functions, for statements that are compiled once (`prepared`)."""

    put: Callable[[datetime], Any]
    get: Callable[[Any], datetime]

    def put_maybe(self, instant: datetime | None) -> Any:
        return None if instant is None else self.put(instant)

    def get_maybe(self, stored: Any) -> datetime | None:
        return None if stored is None else self.get(stored)


CODECS = {
    "sqlite": InstantCodec(put=to_microseconds, get=from_microseconds),
    "postgresql": InstantCodec(put=_to_utc, get=_to_utc),
}
"""By SQLAlchemy dialect name."""
