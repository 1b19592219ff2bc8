"""The replay memory page by page, for people who look at what was received: the newest messages first, without their content."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, literal, select, tuple_

from store.instants import UtcDateTime
from store.tables import messages


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageMark:
    """Where a message stands in the list; its fields are those of the order."""

    forget_after: datetime
    environment: str
    msh3: str
    msh4: str
    msh10: str
    variant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A message that was verified and processed.

    Attributes:
        control_id: MSH-10. application, facility: MSH-3 and MSH-4.
        event: S12 ...; reference: of the appointment; None: of none, or from before 0.2.
        answer: AA, AE, AR. code: our failure code; None: simply accepted. text: of the answer, in our words.
    """

    environment: str
    received_at: datetime
    control_id: str
    application: str
    facility: str
    event: str | None
    reference: str | None
    answer: str
    code: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """Attributes:
    after: where the next page begins; None: this is the last one.
    """

    messages: Sequence[ReceivedMessage]
    after: MessageMark | None


def received(
    conn: Connection, environments: Collection[str], *, with_code: bool, after: MessageMark | None, limit: int
) -> MessagePage:
    """The messages of the freshness window, by when they are forgotten, which is the order in which they came.

    Each environment is read by its own index entries, `limit` at most.

    Args:
        with_code: only those that were not simply accepted.
    """
    of = messages.c
    order = (of.forget_after, of.msh3, of.msh4, of.msh10, of.variant)
    marked: list[tuple[MessageMark, Row[Any]]] = []
    for environment in environments:
        wanted = select(messages).where(of.environment == environment)
        if with_code:
            wanted = wanted.where(of.code.is_not(None))
        if after is not None:
            wanted = wanted.where(*_behind(after, environment))
        rows = conn.execute(wanted.order_by(*(column.desc() for column in order)).limit(limit + 1))
        marked += [(_mark(row), row) for row in rows]
    # stable: within an environment the database's order stays, whatever its collation
    marked.sort(key=lambda pair: (pair[0].forget_after, pair[0].environment), reverse=True)
    shown = marked[:limit]
    return MessagePage(
        messages=[
            ReceivedMessage(
                environment=row.environment,
                received_at=row.received_at,
                control_id=row.msh10,
                application=row.msh3,
                facility=row.msh4,
                event=row.event,
                reference=row.reference,
                answer=row.answer,
                code=row.code,
                text=row.text,
            )
            for _, row in shown
        ],
        after=shown[-1][0] if len(marked) > limit else None,
    )


def _behind(after: MessageMark, environment: str) -> list[ColumnElement[bool]]:
    of = messages.c
    if environment > after.environment:  # shown before it where the instants are the same
        return [of.forget_after < after.forget_after]
    conditions = [of.forget_after <= after.forget_after]
    if environment == after.environment:
        place = tuple_(of.forget_after, of.msh3, of.msh4, of.msh10, of.variant)
        last = map(literal, (after.msh3, after.msh4, after.msh10, after.variant))
        conditions.append(place < tuple_(literal(after.forget_after, UtcDateTime), *last))
    return conditions


def _mark(row: Row[Any]) -> MessageMark:
    return MessageMark(
        forget_after=row.forget_after,
        environment=row.environment,
        msh3=row.msh3,
        msh4=row.msh4,
        msh10=row.msh10,
        variant=row.variant,
    )
