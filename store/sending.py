"""Which texts are on their way to the gateway, as the database knows it: claimed, and their result not recorded yet.

A message's transaction sees such a text in the appointment's history. Its answer then waits until the text is no longer `sending`
(promise I4). Whatever is claimed after that transaction was decided with its result.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, literal_column, select
from sqlalchemy.sql import ClauseElement

from scheduler.sms import SmsKind, SmsState
from store.outbox_row import KINDS
from store.prepared import Prepared, any_of, codec, list_value
from store.tables import outbox


class SendingText(NamedTuple):
    """Identifies a row of the outbox as the planner does."""

    appointment: str
    kind: SmsKind
    rule: str
    revision: int


class Claim(NamedTuple):
    """Who posts a text. `until`: the end of its lease, UTC; after it nobody does."""

    node: str
    until: datetime


def still_sending(conn: Connection, texts: Collection[SendingText]) -> dict[SendingText, Claim]:
    """Those of the texts that are claimed and not recorded yet."""
    wanted, instants = set(texts), codec(conn)
    claims = {}
    listed = list_value(conn, sorted({text.appointment for text in wanted}))
    for appointment, kind, rule, revision, node, until in _SENDING.fetch(conn, (listed,)):
        text = SendingText(appointment, KINDS[kind], rule, revision)
        if text in wanted:
            claims[text] = Claim(node, instants.get(until))
    return claims


def _statement(dialect: str) -> ClauseElement:
    of = outbox.c
    return select(of.appointment, of.kind, of.rule, of.revision, of.node, of.lease_until).where(
        any_of(dialect, of.appointment, "appointments"),
        of.state == literal_column(f"'{SmsState.SENDING.value}'"),
        of.node.is_not(None),
        of.lease_until.is_not(None),
    )


_SENDING: Final = Prepared(_statement, ("appointments",))
