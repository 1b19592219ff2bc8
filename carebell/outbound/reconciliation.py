"""The tasks after a text was posted: look up texts in state `unknown`, ask for missing statuses, delete the gateway's copies.

A text in state `unknown` is never sent again on suspicion (sms.md, Sending, 5). A webhook decides it, or a minute later the
gateway's own list. If the list does not contain the text, it is sent once more if `Gateway.resends` permits it: with most gateways
only a cancellation, because a patient who travels to a cancelled visit is the greater harm. Every other text stays `unknown`,
raises one alarm, and is shown in the report. It is looked up again for a day, because the list may be slow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from carebell.environment_policy import RuntimeConfig
from carebell.outbound.delivery import DeliveryRecorder, identity_of
from carebell.outbound.render import sms_of
from journal.events.retention import GatewayCopyDeleted, GatewayCopyKept
from journal.events.service import AlarmRaised
from journal.events.sms import SmsResolved, SmsUnknown
from journal.logs import Journal
from notifier.gateway import DeliveryStatus, Gateway, GatewayUnavailableError, Resend, Sms
from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment
from scheduler.clock import Clock
from scheduler.sms import SmsKind, SmsState
from store import attempts
from store.appointment_repository import load
from store.attempts import Acceptance
from store.engine import Store
from store.lock_order import lock_appointments
from store.outbox_row import OutboxRow
from store.vault import Vault
from store.visit_links import tokens

PAGE: Final = 50
GATEWAY_KEEPS: Final = timedelta(days=14)
"""How long deleting a text at the gateway is tried; after that the text is left there, and the log says so."""
FORGET_AGAIN: Final = timedelta(hours=1)
SENT_TWICE: Final = 2
"""After this many doubts a cancellation is not sent again: the first doubt allowed one more create."""
_UNKNOWN: Final = (
    "It is not known whether this text was sent, and the gateway's list does not show it: see the gateway's own log."
)


def _since(row: OutboxRow, now: datetime) -> float | None:
    """Seconds since the text was claimed."""
    return round((now - row.claimed_at).total_seconds(), 1) if row.claimed_at is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """Blocking: each `round()` runs in a thread.

    Attributes:
        recipient: the number for an appointment's texts, as in the dispatcher.
    """

    store: Store
    vault: Vault
    runtime_config: Callable[[], RuntimeConfig]
    gateway: Gateway
    delivery: DeliveryRecorder
    clock: Clock
    journal: Journal
    recipient: Callable[[Appointment, RuntimeConfig], PhoneNumber | None]

    def round(self) -> None:
        """Do what is due: expire leases, look up unknown texts, ask for statuses, delete the gateway's copies."""
        now = self.clock.now()
        self._expire_leases(now)
        self._resolve(now)
        self._poll(now)
        self._forget(now)

    def _expire_leases(self, now: datetime) -> None:
        with self.store.write() as conn:
            lost = [attempts.by_id(conn, outbox_id) for outbox_id in attempts.expire_leases(conn, now)]
        for row in lost:
            if row is not None:
                self.journal.emit(SmsUnknown(identity=identity_of(row), reason="lease_expired", attempt=row.attempts))

    # Texts in state unknown

    def _resolve(self, now: datetime) -> None:
        with self.store.read() as conn:
            rows = attempts.to_resolve(conn, now, limit=PAGE)
            known = load(conn, self.vault, {row.appointment for row in rows}, now, lock=False, unreadable=set())
        for row in rows:
            stored = known.get(row.appointment)
            settled = stored is not None and self._resolve_one(row, stored.appointment, now)
            if not settled and row.checked_at is None:
                self.journal.emit(
                    AlarmRaised(
                        alarm="sms_unknown",
                        severity="warning",
                        environment=row.environment,
                        problem=_UNKNOWN,
                        appointment=row.reference,
                        sms=row.id,
                    )
                )
        if rows:
            with self.store.write() as conn:
                attempts.checked(conn, [row.id for row in rows], now)

    def _resolve_one(self, row: OutboxRow, appointment: Appointment, now: datetime) -> bool:
        """Look up one text. Return whether its outcome is known now, or it is sent once more."""
        sms = self._sms(row, appointment, now)
        sent = self.gateway.find(sms, row.claimed_at or now) if sms is not None else None
        if sent is None:  # the gateway cannot look it up, or the number was deleted or changed
            return False
        with self.store.read() as conn:
            candidates = [
                message
                for message in sent
                if (owner := attempts.by_message_id(conn, message.message_id)) is None or owner.id == row.id
            ]
        message = next((candidate for candidate in candidates if candidate.same), None)
        if message is not None:
            with self.store.write() as conn:
                lock_appointments(conn, [row.appointment])
                attempts.accepted(conn, [Acceptance(row.id, row.attempts, message.message_id)], at=now)
                say = self.delivery.report(conn, row, message.status, message.failure, message.message_id, now)
            state = SmsState((message.status or DeliveryStatus.ACCEPTED).value)
            self.journal.emit(
                SmsResolved(
                    identity=identity_of(row),
                    state=state,
                    sid=message.message_id,
                    source="gateway_list",
                    seconds=_since(row, now),
                )
            )
            say()
            return True
        # A text with other words may be this text, rendered before the appointment or the templates changed.
        if candidates or not self._may_resend(row, now):
            return False
        with self.store.write() as conn:
            again = attempts.resend(conn, row.id, row.attempts, until=now)
        if again:
            self.journal.emit(
                SmsResolved(
                    identity=identity_of(row),
                    state=SmsState.DUE,
                    sid=None,
                    source="not_in_gateway_list",
                    seconds=_since(row, now),
                )
            )
        return True

    def _may_resend(self, row: OutboxRow, now: datetime) -> bool:
        """Whether a text that is not in the gateway's list is still useful and may be sent once more."""
        if row.expires is None or now >= row.expires:
            return False
        match self.gateway.resends:
            case Resend.ALWAYS:
                return True
            case Resend.CANCELLATIONS:
                return row.kind is SmsKind.CANCELED and row.doubts < SENT_TWICE
            case Resend.NEVER:
                return False

    def _sms(self, row: OutboxRow, appointment: Appointment, now: datetime) -> Sms | None:
        """The text as it was posted, to find it in the gateway's list. None: it can no longer be rendered."""
        runtime_config = self.runtime_config()
        policy = runtime_config.policies.get(row.environment)
        if policy is None or row.sender is None:
            return None
        to = self.recipient(appointment, runtime_config)
        if to is None or self.vault.ring.phone_key(to) != row.phone_key:
            return None
        with self.store.read() as conn:
            token = tokens(conn, self.vault, [appointment.id], now).get(appointment.id) if policy.join_url else None
        return sms_of(row, appointment, policy, runtime_config.organization, to=to, valid_for=timedelta(), token=token)

    # Lost callbacks

    def _poll(self, now: datetime) -> None:
        with self.store.read() as conn:
            rows = attempts.to_poll(conn, now, limit=PAGE)
        asked = []
        for row in rows:
            try:
                sent = self.gateway.fetch(row.sid) if row.sid is not None else None
            except GatewayUnavailableError:
                break
            asked.append(row.id)
            if sent is not None:
                with self.store.write() as conn:
                    say = self.delivery.report(conn, row, sent.status, sent.failure, sent.message_id, now)
                say()
        if asked:
            with self.store.write() as conn:
                attempts.checked(conn, asked, now)

    # The gateway's copy

    def _forget(self, now: datetime) -> None:
        with self.store.read() as conn:
            due = attempts.to_forget(conn, now, limit=PAGE)
        # If a deletion there was not recorded here, it is requested again, and the text is already deleted.
        gone = {message_id: self.gateway.forget(message_id) for message_id, _ in due}
        if not due:
            return
        with self.store.write() as conn:
            for message_id, since in due:
                if gone[message_id]:
                    attempts.forgotten(conn, message_id, now)
                elif now - since > GATEWAY_KEEPS:
                    attempts.stop_forgetting(conn, message_id)
                else:
                    attempts.forget_later(conn, message_id, now + FORGET_AGAIN)
        for message_id, since in due:
            if gone[message_id]:
                self.journal.emit(GatewayCopyDeleted(sid=message_id))
            elif now - since > GATEWAY_KEEPS:
                self.journal.emit(GatewayCopyKept(sid=message_id))
