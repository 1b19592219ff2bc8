"""What an answer or a status of the gateway does to a row: the policy of `notifier.outcomes` carried out, and its log line.

The dispatcher, the callbacks and the aftercare all end here, so that a code means the same wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from journal.events import Event
from journal.logs import Journal
from journal.metrics import Metrics
from notifier import outcomes
from notifier.breakers import PROBES
from notifier.gateway import Accepted, Receipt
from notifier.outcomes import Action, Context, Outcome, Scope
from parser.phone import PhoneNumber
from scheduler.messages import Reason, State
from store import holds, optouts, receipts
from store.engine import Transaction
from store.optouts import Optout
from store.outbox_row import OutboxRow

_STATES: Final = {
    "accepted": State.ACCEPTED,
    "scheduled": State.ACCEPTED,
    "queued": State.ACCEPTED,
    "sending": State.ACCEPTED,
    "sent": State.SENT,
    "delivered": State.DELIVERED,
    "read": State.DELIVERED,
    "undelivered": State.UNDELIVERED,
    "failed": State.FAILED,
    "canceled": State.FAILED,
}
"""Twilio's message status -> the row's state; what is not here says nothing new."""

Scopes = tuple[tuple[holds.Scope, str], ...]


def facts(row: OutboxRow) -> dict[str, Any]:
    """The fields that every line about a text has."""
    return {
        "environment": row.environment,
        "appointment": row.reference,
        "kind": row.kind.value,
        "rule": row.rule,
        "sms": row.id,
    }


def _scopes(row: OutboxRow) -> Scopes:
    return (("environment", row.environment), ("sender", row.sender or ""))


class Settler:
    """Writes outcomes; the commit is the caller's, and the log line is written after it.

    Args:
        forget_number: called with an outbox row whose number the gateway calls unusable.
    """

    def __init__(self, journal: Journal, metrics: Metrics) -> None:
        self._journal = journal
        self._metrics = metrics

    def settle(self, conn: Transaction, row: OutboxRow, receipt: Receipt, now: datetime) -> None:
        """The answer to a create."""
        if isinstance(receipt, Accepted):
            receipts.accepted(conn, row.id, row.attempts, sid=receipt.sid, at=now)
            state = _STATES.get(receipt.status)
            if state is not None and state is not State.ACCEPTED:
                receipts.advance_status(conn, row.id, row.attempts, state, at=now, sid=receipt.sid)
            self._close_breakers(conn, row)
            return
        self._apply(conn, row, outcomes.policy(receipt, _context(row, now)), now)

    def report(
        self, conn: Transaction, row: OutboxRow, status: str, code: int | None, sid: str | None, now: datetime
    ) -> Callable[[], None]:
        """A status by callback or by asking; gives the function that writes the log line once it is committed."""
        state = _STATES.get(status)
        if state is None or not receipts.advance_status(conn, row.id, row.attempts, state, at=now, code=code, sid=sid):
            return _say_nothing
        retried: Outcome | None = None
        if state in (State.UNDELIVERED, State.FAILED) and code is not None:
            outcome = outcomes.policy(code, _context(row, now))
            self._trip(conn, row, outcome, now)
            self._opt_out(conn, row, outcome, now)
            if outcome.action in (Action.RETRY, Action.HOLD):
                retried = outcome
                receipts.retry(conn, row.id, row.attempts, until=outcome.at or now, code=code)

        def say() -> None:
            self._metrics.sms.labels(row.environment, row.kind.value, state.value, str(code or "")).inc()
            self._journal.emit(Event.SMS_STATUS, **facts(row), sid=sid, state=state.value, code=code, source="gateway")
            if retried is not None:
                self._log_outcome(row, retried, None)

        return say

    def log_answer(self, row: OutboxRow, receipt: Receipt, to: PhoneNumber, now: datetime) -> None:
        """The line of a create that was not accepted."""
        self._log_outcome(row, outcomes.policy(receipt, _context(row, now)), to)

    def log_suppressed(self, row: OutboxRow) -> None:
        """The line of a text that the claim found not to leave."""
        self._metrics.sms.labels(row.environment, row.kind.value, row.state.value, row.reason.value).inc()
        self._journal.emit(Event.SMS_SUPPRESSED, **facts(row), reason=row.reason.value, due=row.due)

    def _apply(self, conn: Transaction, row: OutboxRow, outcome: Outcome, now: datetime) -> None:
        match outcome.action:
            case Action.UNKNOWN:
                receipts.ambiguous(conn, row.id, row.attempts)
            case Action.RETRY | Action.HOLD:
                receipts.retry(conn, row.id, row.attempts, until=outcome.at or now, code=outcome.code)
            case Action.EXPIRED:
                receipts.retry(conn, row.id, row.attempts, until=now, code=outcome.code)
                receipts.give_up(conn, row.id, row.attempts, reason=Reason.EXPIRED, at=now)
            case Action.FAILED | Action.ACCEPTED:
                receipts.refused(conn, row.id, row.attempts, code=outcome.code or 0, at=now)
        self._trip(conn, row, outcome, now)
        self._opt_out(conn, row, outcome, now)

    def _trip(self, conn: Transaction, row: OutboxRow, outcome: Outcome, now: datetime) -> None:
        if outcome.breaker is None:
            return
        scope: holds.Scope = "sender" if outcome.breaker is Scope.SENDER else "environment"
        name = dict(_scopes(row))[scope]
        probes = next((one.probes for one in holds.open_breakers(conn) if (one.scope, one.name) == (scope, name)), -1)
        probe_at = now + PROBES[min(probes + 1, len(PROBES) - 1)]
        if holds.trip(conn, scope, name, code=outcome.code or 0, at=now, probe_at=probe_at):
            self._journal.emit(
                Event.BREAKER_OPENED, scope=scope, environment=row.environment, sender=row.sender, code=outcome.code
            )

    def _close_breakers(self, conn: Transaction, row: OutboxRow) -> None:
        for scope, name in _scopes(row):
            if holds.reset(conn, scope, name):
                self._journal.emit(Event.BREAKER_CLOSED, scope=scope, environment=row.environment, sender=row.sender)

    def _opt_out(self, conn: Transaction, row: OutboxRow, outcome: Outcome, now: datetime) -> None:
        if not outcome.opt_out or row.phone_key is None or row.sender is None:
            return
        if optouts.add(conn, Optout(phone_key=row.phone_key, sender=row.sender, source="21610", since=now)):
            self._journal.emit(Event.OPT_OUT_RECORDED, environment=row.environment, sender=row.sender, source="21610")

    def _log_outcome(self, row: OutboxRow, outcome: Outcome, to: PhoneNumber | None) -> None:
        state = {Action.UNKNOWN: "unknown", Action.RETRY: "retry", Action.HOLD: "retry", Action.EXPIRED: "expired"}.get(
            outcome.action, "failed"
        )
        reason = outcome.why or (str(outcome.code) if outcome.code is not None else "")
        self._metrics.sms.labels(row.environment, row.kind.value, state, reason).inc()
        masked = to.masked if to is not None else None
        if outcome.action is Action.UNKNOWN:
            self._journal.emit(Event.SMS_UNKNOWN, **facts(row), to=masked, reason=outcome.why, attempt=row.attempts)
        elif outcome.action in (Action.RETRY, Action.HOLD):
            self._journal.emit(
                Event.SMS_RETRY, **facts(row), code=outcome.code, reason=outcome.why, attempt=row.attempts,
                next_at=outcome.at,
            )  # fmt: skip
        elif outcome.action is Action.EXPIRED:
            self._journal.emit(Event.SMS_SUPPRESSED, **facts(row), reason=Reason.EXPIRED.value, due=row.due)
        else:
            self._journal.emit(
                Event.SMS_FAILED, **facts(row), to=masked, code=outcome.code, state=State.FAILED.value,
                attempt=row.attempts,
            )  # fmt: skip
        if outcome.alert is not None:
            self._journal.emit(
                Event.ALARM_RAISED, alarm=f"sms_{outcome.alert.value}", value=outcome.code, environment=row.environment
            )


def _context(row: OutboxRow, now: datetime) -> Context:
    return Context(kind=row.kind, attempt=row.attempts, now=now, expires=row.expires or now)


def _say_nothing() -> None:
    """A status that was no news."""
