"""Texts that answer patients' replies: how often one was sent lately, and to which visit of a number one can be added."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, func, select

from scheduler.reply import AnswerRule
from scheduler.sms import SmsKind
from store.questions import MOST
from store.tables import outbox


def next_number(conn: Connection, appointment: str, rule: AnswerRule) -> int:
    """What tells the next answer of this kind from the earlier ones of its appointment: its `revision` in the outbox."""
    of = outbox.c
    same = (of.appointment == appointment) & (of.kind == SmsKind.ANSWER.value) & (of.rule == rule.value)
    return int(conn.execute(select(func.coalesce(func.max(of.revision), 0)).where(same)).scalar_one()) + 1


def count_since(
    conn: Connection,
    appointments: Collection[str],
    rule: AnswerRule,
    since: datetime,
    *,
    start: datetime | None = None,
) -> int:
    """How many such answers were added for these appointments since then.

    Args:
        start: only those about a visit at this time; None: all.
    """
    of = outbox.c
    wanted = select(func.count()).where(
        of.appointment.in_(sorted(appointments)),
        of.kind == SmsKind.ANSWER.value,
        of.rule == rule.value,
        of.created_at > since,
    )
    if start is not None:
        wanted = wanted.where(of.start == start)
    return int(conn.execute(wanted).scalar_one())


def texted_lately(conn: Connection, key: str, senders: Collection[str], environments: Collection[str]) -> list[str]:
    """The appointments of which these senders texted this number, the latest text first; as far as its keyed hash is kept."""
    of = outbox.c
    last = func.max(of.claimed_at)
    wanted = (
        select(of.appointment)
        .where(of.phone_key == key, of.sender.in_(sorted(senders)), of.environment.in_(sorted(environments)))
        .group_by(of.appointment)
        .order_by(last.desc(), of.appointment)
        .limit(MOST)
    )
    return list(conn.execute(wanted).scalars())
