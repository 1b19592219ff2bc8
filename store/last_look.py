"""The last look at a claimed text, directly before it is posted: is it still to leave, after everything committed until now?

    with LastLook(store) as look:
        look.watch(claimed)             # after the claim's commit
        ...
        look.allows(claim)              # directly before its post, on any thread

Between the claim and the post a cancellation, a STOP or a hold may be committed, by this process or another one. The answer of one
look at all watched texts holds until the next commit of anybody. SQLite says in three microseconds whether there was one
(`PRAGMA data_version`: it changes when another connection, of whichever process, has committed), so only then is the database read
again. On PostgreSQL a question to the server costs as much as the look itself, so each text is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from threading import Lock
from types import TracebackType
from typing import Final

from sqlalchemy import Connection, and_, literal_column, or_, select, text
from sqlalchemy.sql import ClauseElement

from scheduler.sms import SmsState
from store.claims import Claimed
from store.engine import Store
from store.optouts import EVERY_SENDER
from store.prepared import Prepared, any_of, list_value
from store.tables import appointments, holds, optouts, outbox


class LastLook:
    """Answers for the texts that it watches. Thread-safe. It keeps one connection, only read from, from the first `watch` on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._guard: Final = Lock()
        self._open: Final = ExitStack()
        self._conn: Connection | None = None
        self._watched: dict[str, Claimed] = {}
        self._sendable: set[str] = set()
        self._version: object = None

    def __enter__(self) -> LastLook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            self._conn = None
            self._open.close()

    def watch(self, claimed: Sequence[Claimed]) -> None:
        """Answer for these too, until they were asked about."""
        with self._guard:
            self._watched.update((claim.row.id, claim) for claim in claimed)
            self._version = None

    def allows(self, claim: Claimed) -> bool:
        """Whether this text may be posted as of now; asked once. Raises the database's fault: then it may not."""
        with self._guard:
            conn = self._connected()
            try:
                if self._store.file is None:
                    return claim.row.id in still_sendable(conn, [claim])
                version = _VERSION.fetch(conn, ())
                if version != self._version:
                    # What is committed after the version was read and before the look changes the version once more.
                    self._sendable = still_sendable(conn, list(self._watched.values()))
                    self._version = version
                return claim.row.id in self._sendable
            finally:
                self._watched.pop(claim.row.id, None)

    def _connected(self) -> Connection:
        if self._conn is None:
            conn = self._open.enter_context(self._store.engine.connect())
            # Each statement sees what is committed when it begins.
            self._conn = conn.execution_options(isolation_level="AUTOCOMMIT") if self._store.file is None else conn
        return self._conn


def still_sendable(conn: Connection, claimed: Sequence[Claimed]) -> set[str]:
    """Which of these may still be posted.

    A cancellation that was acknowledged after the claim does not change the row (it is `sending`), but it changes the appointment.
    A STOP or a hold may have come too. Give back a row that may no longer be posted with `attempts.retry`; it is decided again.
    """
    stored = _STILL.fetch(conn, (list_value(conn, [claim.row.id for claim in claimed]),))
    same = {(claim.row.id, claim.row.attempts, claim.appointment.revision) for claim in claimed}
    return {own_id for own_id, attempts, revision in stored if (own_id, attempts, revision) in same}


def _still_statement(dialect: str) -> ClauseElement:
    of = outbox.c
    stopped = select(optouts.c.sender).where(
        optouts.c.phone_key == of.phone_key,
        or_(optouts.c.sender == of.sender, optouts.c.sender == literal_column(f"'{EVERY_SENDER}'")),
    )
    held = select(holds.c.scope).where(
        or_(
            holds.c.scope == literal_column("'all'"),
            and_(
                holds.c.scope.in_((literal_column("'environment'"), literal_column("'approval'"))),
                holds.c.name == of.environment,
            ),
            and_(holds.c.scope == literal_column("'sender'"), holds.c.name == of.sender),
        )
    )
    return (
        select(of.id, of.attempts, appointments.c.revision)
        .join(appointments, appointments.c.id == of.appointment)
        .where(any_of(dialect, of.id, "ids"), of.state == literal_column(f"'{SmsState.SENDING.value}'"))
        .where(~stopped.exists(), ~held.exists())
    )


_STILL = Prepared(_still_statement, ("ids",))
_VERSION = Prepared(lambda _: text("PRAGMA data_version"), ())
