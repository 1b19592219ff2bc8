"""Records what the gateway answered or reported about a text: the policy of `notifier.outcomes` carried out, and the log lines.

The dispatcher, the webhooks and the reconciliation all use this recorder, so a code has the same effect wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from carebell import authors
from carebell.outbound.silences import Silence, events_of
from carebell.outbound.text_outcomes import say_nothing_back
from journal.alarms import AlarmName
from journal.events import Event
from journal.events.gateway import BreakerClosed, BreakerOpened, OptOutRecorded
from journal.events.service import AlarmRaised
from journal.events.shared import SmsIdentity
from journal.events.sms import SilenceSource, SmsFailed, SmsRetry, SmsStatus, SmsSuppressed, SmsUnknown
from journal.logs import Journal
from journal.metrics import Metrics
from notifier import outcomes
from notifier.failures import Alert, Failure
from notifier.gateway import Accepted, Ambiguous, DeliveryStatus, NotSent, Receipt, Refused
from notifier.gateways import failure_of
from notifier.outcomes import Context, DeliveryAction, Outcome
from parser.phone_number import PhoneNumber
from scheduler.sms import BreakerScope, Cap, HoldScope, Reason, SmsState
from scheduler.writeback import WritebackEvent
from store import attempts, audit, holds, optouts
from store.attempts import Acceptance
from store.audit import AuditAction
from store.engine import Transaction
from store.holds import Breaker
from store.lock_order import lock_appointments
from store.optouts import Optout
from store.outbox_row import OutboxRow

_RATE_SPAN: Final = timedelta(hours=1)
_RATE_ALARM: Final = 5
"""Texts of one sender that fail in `_RATE_SPAN` with a code of `Alert.RATE`: from this many on, an alarm is raised."""

PROBES: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 30, 60))
"""How long an open breaker waits before one text may try: after it opened, after the first failed try, and so on; the last wait
repeats."""

Scopes = tuple[tuple[BreakerScope, str], ...]

_FAILED: Final = (SmsState.UNDELIVERED, SmsState.FAILED)


_ALARMS: Final[dict[Alert, tuple[AlarmName, str]]] = {
    Alert.UNMAPPED: (
        "sms_unmapped",
        "The gateway gave a code that is in no table of Carebell: look it up at the gateway.",
    ),
    Alert.CONFIGURATION: (
        "sms_configuration",
        "The gateway refuses the account or the text, not the patient's number: see the code.",
    ),
    Alert.RATE: ("sms_rate", "Many texts of this sender failed with this code within an hour."),
}
"""Alert -> the alarm's name and sentence. A breaker's alarm is its own event."""


def identity_of(row: OutboxRow) -> SmsIdentity:
    """The fields of every line about a text."""
    return SmsIdentity(environment=row.environment, appointment=row.reference, kind=row.kind, rule=row.rule, sms=row.id)


def _scopes(row: OutboxRow) -> Scopes:
    return ((HoldScope.ENVIRONMENT, row.environment), (HoldScope.SENDER, row.sender or ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What came of answers to creates.

    Attributes:
        due_again: the rows for which nothing was created and that are due again.
        lost: the rows that will not reach the patient.
        events: to be logged after the commit (`DeliveryRecorder.log`): breakers, opt-outs and silences.
    """

    due_again: Sequence[OutboxRow]
    lost: Sequence[OutboxRow]
    events: Sequence[Event]


class DeliveryRecorder:
    """Writes outcomes. The commit is the caller's, who writes the log lines after it: one that is undone has none.

    Breakers: a text that was claimed after a breaker opened is its probe. A text that was claimed before has no effect on it.

    Args:
        drop_number: called, within the transaction, for a settled text whose number the gateway calls unusable; gives the texts
            that will not leave for that.
        replan_reminders: called, within the transaction, for rows of which a report said that they will not reach the patient, or
            that they did after all; gives the events of what changed (`carebell.outbound.replan`).
        tell_ehr: called, within the transaction, when a text was delivered or has failed for good.
    """

    def __init__(
        self,
        journal: Journal,
        metrics: Metrics,
        drop_number: Callable[[Transaction, OutboxRow, datetime], list[Silence]] = lambda conn, row, now: [],
        replan_reminders: Callable[
            [Transaction, Sequence[OutboxRow], datetime], list[Event]
        ] = lambda conn, rows, now: [],
        tell_ehr: Callable[[Transaction, OutboxRow, WritebackEvent, datetime, int | None], None] = say_nothing_back,
    ) -> None:
        self._journal = journal
        self._metrics = metrics
        self._drop_number = drop_number
        self._replan_reminders = replan_reminders
        self._tell_ehr = tell_ehr

    def settle(self, conn: Transaction, answers: Sequence[tuple[OutboxRow, Receipt]], now: datetime) -> Settled:
        """Write the answers to creates. The caller has locked their appointments (`store.lock_order`)."""
        events = _Events()
        taken = [(row, receipt) for row, receipt in answers if isinstance(receipt, Accepted)]
        attempts.accepted(
            conn, [Acceptance(row.id, row.attempts, receipt.message_id) for row, receipt in taken], at=now
        )
        for row, receipt in taken:
            if receipt.status is not DeliveryStatus.ACCEPTED:
                state = SmsState(receipt.status.value)
                attempts.advance_status(conn, row.id, row.attempts, state, at=now, message_id=receipt.message_id)
        if taken and holds.open_breakers(conn):
            for row, _ in taken:
                self._probe_went_well(conn, row, now, events, by="create")
        due_again = [
            row
            for row, receipt in answers
            if not isinstance(receipt, Accepted)
            and self._apply(conn, row, outcomes.outcome_of(receipt, _context(row, now)), now, events)
        ]
        again = {row.id for row in due_again}
        lost = [row for row, receipt in answers if row.id not in again and _fails(receipt)]
        events.write_entries(conn)
        return Settled(due_again=due_again, lost=lost, events=events)

    def report(
        self,
        conn: Transaction,
        row: OutboxRow,
        status: DeliveryStatus | None,
        failure: Failure | None,
        message_id: str | None,
        now: datetime,
    ) -> Callable[[], None]:
        """Write a status that came by webhook or by asking; gives the function that writes its log lines after the commit."""
        if status is None:
            return _say_nothing
        lock_appointments(conn, [row.appointment])
        state, code = SmsState(status.value), failure.code if failure is not None else None
        if not attempts.advance_status(conn, row.id, row.attempts, state, at=now, code=code, message_id=message_id):
            return _say_nothing
        outcome: Outcome | None = None
        events = _Events()
        if state is SmsState.DELIVERED:
            self._probe_went_well(conn, row, now, events, by="delivery")
            self._tell_ehr(conn, row, WritebackEvent.TEXT_DELIVERED, now, None)
        if state in _FAILED and failure is not None:
            outcome = outcomes.outcome_of(failure, _context(row, now))
            self._consequences(conn, row, outcome, now, events)
        is_retried = outcome is not None and outcome.action in (DeliveryAction.RETRY, DeliveryAction.HOLD)
        if outcome is not None and is_retried:
            attempts.retry(conn, row.id, row.attempts, until=outcome.at or now, code=code)
        if state in _FAILED and not is_retried:
            self._tell_ehr(conn, row, WritebackEvent.TEXT_FAILED, now, code)
        arrived_after_all = state is SmsState.DELIVERED and row.state in (*_FAILED, SmsState.SUPPRESSED)
        if arrived_after_all or (state in _FAILED and not is_retried):
            events += self._replan_reminders(conn, [row], now)
        events.write_entries(conn)
        failures = self._failures(conn, row, outcome, now) if outcome is not None and outcome.alert is Alert.RATE else 0

        def say() -> None:
            self._metrics.sms.labels(row.environment, row.kind.value, state.value, str(code or "")).inc()
            self._journal.emit(
                SmsStatus(identity=identity_of(row), sid=message_id, state=state, code=code, source="gateway")
            )
            if outcome is not None and is_retried:
                self._log_outcome(row, outcome, None)
            elif outcome is not None:
                self._alert(row, outcome, failures)
            self.log(events)

        return say

    def not_posted(self, conn: Transaction, row: OutboxRow, now: datetime) -> None:
        """Give a claim back untried: the text is due again, no attempt is counted, and another text may be the probe."""
        attempts.retry(conn, row.id, row.attempts, until=now, spent=False)
        for scope, name in _scopes(row):
            if self._probes(conn, row, scope, name) is not None:
                holds.probe_again(conn, scope, name, at=now)

    def log(self, events: Iterable[Event]) -> None:
        """Write what `settle` gave."""
        for event in events:
            if isinstance(event, OptOutRecorded):
                self._metrics.opt_outs.labels(event.source).inc()
            self._journal.emit(event)

    def log_answer(self, row: OutboxRow, receipt: Receipt, to: PhoneNumber, now: datetime) -> None:
        """Log a create that the gateway did not accept."""
        self._log_outcome(row, outcomes.outcome_of(receipt, _context(row, now)), to)

    def log_suppressed(self, row: OutboxRow, cap: Cap | None) -> None:
        """Log a text that the claim decided not to send. `cap`: which one, where that is the reason."""
        self._metrics.sms.labels(row.environment, row.kind.value, row.state.value, row.reason.value).inc()
        self._journal.emit(_suppressed(row, row.reason, "claim", cap))

    def _apply(self, conn: Transaction, row: OutboxRow, outcome: Outcome, now: datetime, events: _Events) -> bool:
        """Write one outcome; whether the text is due again. What else it brings about is added to `events`."""
        again = False
        match outcome.action:
            case DeliveryAction.UNKNOWN:
                attempts.ambiguous(conn, row.id, row.attempts)
            case DeliveryAction.RETRY | DeliveryAction.HOLD:
                again = attempts.retry(
                    conn,
                    row.id,
                    row.attempts,
                    until=outcome.at or now,
                    code=outcome.code,
                    spent=outcome.action is DeliveryAction.RETRY,
                )
            case DeliveryAction.EXPIRED:
                attempts.retry(conn, row.id, row.attempts, until=now, code=outcome.code)
                attempts.give_up(conn, row.id, row.attempts, reason=Reason.EXPIRED, at=now)
            case DeliveryAction.FAILED | DeliveryAction.ACCEPTED:
                if attempts.refused(conn, row.id, row.attempts, code=outcome.code or 0, at=now):
                    self._tell_ehr(conn, row, WritebackEvent.TEXT_FAILED, now, outcome.code)
                if outcome.breaker is None:
                    self._probe_was_refused(conn, row, outcome, now, events)
        self._consequences(conn, row, outcome, now, events)
        return again

    def _consequences(
        self, conn: Transaction, row: OutboxRow, outcome: Outcome, now: datetime, events: _Events
    ) -> None:
        """What an outcome means for other texts than this one."""
        self._trip(conn, row, outcome, now, events)
        self._opt_out(conn, row, outcome, now, events)
        if outcome.invalid_number:
            events += events_of(self._drop_number(conn, row, now), "invalid_number")

    # Breakers

    def _trip(self, conn: Transaction, row: OutboxRow, outcome: Outcome, now: datetime, events: _Events) -> None:
        if outcome.breaker is None:
            return
        scope, name = outcome.breaker, dict(_scopes(row))[outcome.breaker]
        known = holds.open_breaker(conn, scope, name)
        if known is not None and self._probes(conn, row, scope, name) is None:
            return  # it was claimed before the breaker opened, and tells nothing new
        failed = -1 if known is None else known.probes
        probe_at = now + PROBES[min(failed + 1, len(PROBES) - 1)]
        if holds.trip(conn, scope, name, code=outcome.code or 0, at=now, probe_at=probe_at):
            events.append(BreakerOpened(scope=scope, environment=row.environment, sender=row.sender, code=outcome.code))
            events.audit(
                AuditAction.BREAKER_OPEN,
                subject=f"{scope} {name}",
                environment=row.environment,
                after=str(outcome.code or 0),
                at=now,
            )

    def _probes(self, conn: Transaction, row: OutboxRow, scope: HoldScope, name: str) -> Breaker | None:
        """The open breaker whose probe this text is; None: it was sent before, or no breaker is open."""
        known = holds.open_breaker(conn, scope, name)
        late = known is not None and row.claimed_at is not None and row.claimed_at > known.opened_at
        return known if late else None

    def _probe_went_well(
        self,
        conn: Transaction,
        row: OutboxRow,
        now: datetime,
        events: _Events,
        *,
        by: Literal["create", "delivery"],
    ) -> None:
        """Close the breakers whose probe this text was. A breaker that failed deliveries opened needs a delivery to close."""
        for scope, name in _scopes(row):
            tried = self._probes(conn, row, scope, name)
            if tried is not None and (by == "delivery" or not failure_of(tried.code).of_delivery):
                self._close(conn, row, scope, tried, now, events)

    def _probe_was_refused(
        self, conn: Transaction, row: OutboxRow, outcome: Outcome, now: datetime, events: _Events
    ) -> None:
        """A probe was refused for a reason of its own text or number.

        So the gateway accepted the account, and for an opt-out also the sender. A number that does not exist may be refused before
        the gateway looks at the sender: then the sender's breaker stays open and the next text tries.
        """
        for scope, name in _scopes(row):
            tried = self._probes(conn, row, scope, name)
            if tried is None:
                continue
            proven = not failure_of(tried.code).of_delivery and (scope is HoldScope.ENVIRONMENT or outcome.opt_out)
            if proven:
                self._close(conn, row, scope, tried, now, events)
            else:
                holds.probe_again(conn, scope, name, at=now)

    def _close(
        self,
        conn: Transaction,
        row: OutboxRow,
        scope: BreakerScope,
        breaker: Breaker,
        now: datetime,
        events: _Events,
    ) -> None:
        if holds.reset(conn, breaker.scope, breaker.name):
            seconds = round((now - breaker.opened_at).total_seconds(), 1)
            events.append(BreakerClosed(scope=scope, environment=row.environment, sender=row.sender, seconds=seconds))
            events.audit(
                AuditAction.BREAKER_CLOSE,
                subject=f"{scope} {breaker.name}",
                environment=row.environment,
                before=str(breaker.code),
                at=now,
            )

    def _failures(self, conn: Transaction, row: OutboxRow, outcome: Outcome, now: datetime) -> int:
        """How many texts of this sender failed with this code recently."""
        if row.sender is None or outcome.code is None:
            return 0
        return attempts.failures(conn, row.sender, outcome.code, now - _RATE_SPAN)

    def _opt_out(self, conn: Transaction, row: OutboxRow, outcome: Outcome, now: datetime, events: _Events) -> None:
        if not outcome.opt_out or row.phone_key is None or row.sender is None:
            return
        if optouts.add(conn, Optout(phone_key=row.phone_key, sender=row.sender, source="refusal", since=now)):
            events.append(OptOutRecorded(environment=row.environment, sender=row.sender, to=None, source="refusal"))
            events.audit(
                AuditAction.OPTOUT_ADD,
                subject=f"number with keyed hash {row.phone_key[:16]}",
                environment=row.environment,
                after=row.sender,
                at=now,
            )

    def _log_outcome(self, row: OutboxRow, outcome: Outcome, to: PhoneNumber | None) -> None:
        state = {
            DeliveryAction.UNKNOWN: "unknown",
            DeliveryAction.RETRY: "retry",
            DeliveryAction.HOLD: "retry",
            DeliveryAction.EXPIRED: "expired",
        }.get(outcome.action, "failed")
        reason = outcome.why or (str(outcome.code) if outcome.code is not None else "")
        self._metrics.sms.labels(row.environment, row.kind.value, state, reason).inc()
        masked = to.masked if to is not None else None
        if outcome.action is DeliveryAction.UNKNOWN:
            self._journal.emit(
                SmsUnknown(identity=identity_of(row), to=masked, reason=outcome.why, attempt=row.attempts)
            )
        elif outcome.action in (DeliveryAction.RETRY, DeliveryAction.HOLD):
            self._journal.emit(
                SmsRetry(
                    identity=identity_of(row),
                    code=outcome.code,
                    reason=outcome.why,
                    attempt=row.attempts,
                    next_at=outcome.at,
                )
            )
        elif outcome.action is DeliveryAction.EXPIRED:
            self._journal.emit(_suppressed(row, Reason.EXPIRED, "gateway"))
        else:
            self._journal.emit(
                SmsFailed(
                    identity=identity_of(row),
                    to=masked,
                    code=outcome.code,
                    state=SmsState.FAILED,
                    attempt=row.attempts,
                    sid=row.sid,
                )
            )
        self._alert(row, outcome)

    def _alert(self, row: OutboxRow, outcome: Outcome, failures: int = 0) -> None:
        """Raise an alarm. A breaker has its own event; `Alert.RATE` raises one only after many failures."""
        if outcome.alert is None or outcome.alert is Alert.BREAKER:
            return
        rate = outcome.alert is Alert.RATE
        if rate and failures < _RATE_ALARM:
            return
        alarm, problem = _ALARMS[outcome.alert]
        self._metrics.alarms_raised.labels(alarm).inc()
        self._journal.emit(
            AlarmRaised(
                alarm=alarm,
                severity="warning",
                value=failures if rate else None,
                limit=_RATE_ALARM if rate else None,
                environment=row.environment,
                problem=problem,
                code=outcome.code,
                appointment=row.reference,
                sms=row.id,
            )
        )


class _Events(list[Event]):
    """The log lines of a transaction, and its entries for the audit log, which are written last (`store.lock_order`)."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[Callable[[Transaction], object]] = []

    def audit(
        self,
        action: AuditAction,
        *,
        subject: str,
        environment: str,
        at: datetime,
        before: str | None = None,
        after: str | None = None,
    ) -> None:
        self._entries.append(
            lambda conn: audit.append(
                conn,
                authors.gateway("answer"),
                action,
                subject=subject,
                environment=environment,
                before=before,
                after=after,
                at=at,
            )
        )

    def write_entries(self, conn: Transaction) -> None:
        for write in self._entries:
            write(conn)


def _fails(receipt: Receipt) -> bool:
    """Whether a text with this answer, which is not tried again, will not reach the patient."""
    match receipt:
        case Accepted():
            return SmsState(receipt.status.value) in _FAILED
        case Ambiguous():
            return False
        case NotSent() | Refused():
            return True


def _context(row: OutboxRow, now: datetime) -> Context:
    return Context(kind=row.kind, attempt=row.attempts, now=now, expires=row.expires or now)


def _suppressed(row: OutboxRow, reason: Reason, source: SilenceSource, cap: Cap | None = None) -> SmsSuppressed:
    return SmsSuppressed(
        identity=identity_of(row), revision=row.revision, reason=reason, due=row.due, source=source, cap=cap
    )


def _say_nothing() -> None:
    """Log nothing: the status told nothing new."""
