"""When the gateway last answered, and since when it does not answer, for all nodes: for `status`, `/health` and the log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, update

from store.instants import from_microseconds, to_microseconds
from store.tables import meta
from store.upsert import insert_into

_NAME: Final = "gateway_contact"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayContact:
    """Attributes:
    answered_at: the last answer to a create, whatever it was; None: there was none yet.
    failing_since: the first create without an answer after that; None: the last one was answered.
    failures: creates without an answer since then.
    reason: why the last of them had none, a code of the gateway's client.
    """

    answered_at: datetime | None = None
    failing_since: datetime | None = None
    failures: int = 0
    reason: str | None = None


def contact(conn: Connection) -> GatewayContact:
    """The last stored state."""
    text = conn.execute(select(meta.c.value).where(meta.c.name == _NAME)).scalar_one_or_none()
    return GatewayContact() if text is None else _read(json.loads(text))


def note(conn: Connection, *, answered: bool, failures: int, reason: str | None, now: datetime) -> None:
    """Store the results of some creates.

    Args:
        answered: whether any of them was answered: then the gateway can be reached.
        failures: how many were not answered.
        reason: why the last of those was not.
    """
    conn.execute(insert_into(conn, meta).values(name=_NAME, value=_write(GatewayContact())).on_conflict_do_nothing())
    row = meta.c.name == _NAME
    before = _read(json.loads(conn.execute(select(meta.c.value).where(row).with_for_update()).scalar_one()))
    after = (
        GatewayContact(answered_at=now)
        if answered
        else GatewayContact(
            answered_at=before.answered_at,
            failing_since=before.failing_since or now,
            failures=before.failures + failures,
            reason=reason,
        )
    )
    conn.execute(update(meta).where(row).values(value=_write(after)))


def _write(noted: GatewayContact) -> str:
    return json.dumps(
        {
            "answered_at": None if noted.answered_at is None else to_microseconds(noted.answered_at),
            "failing_since": None if noted.failing_since is None else to_microseconds(noted.failing_since),
            "failures": noted.failures,
            "reason": noted.reason,
        }
    )


def _read(values: dict[str, Any]) -> GatewayContact:
    return GatewayContact(
        answered_at=_instant(values["answered_at"]),
        failing_since=_instant(values["failing_since"]),
        failures=int(values["failures"]),
        reason=values["reason"],
    )


def _instant(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else from_microseconds(microseconds)
