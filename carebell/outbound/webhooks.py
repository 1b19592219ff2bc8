"""Handles the gateway's webhooks: delivery statuses, and patients' replies: STOP, START, what may be a STOP, and the rest."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

from carebell import authors
from carebell.outbound.delivery import DeliveryRecorder
from carebell.outbound.patient_replies import HeardReply, PatientReplies, UnderstoodReply
from journal.events.gateway import (
    HttpClosed,
    OptOutRecorded,
    OptOutRestored,
    ReplyRepeated,
    ReplyUnclear,
    WebhookRefused,
)
from journal.events.service import InternalError
from journal.events.shared import OptOutSource
from journal.logs import Journal
from journal.metrics import Metrics
from journal.repeats import RepeatLimiter
from journal.traces import trace
from listener.connection_register import source_of
from notifier.replies import Help, Inbound, OptIn, OptOut, Other, Unclear
from notifier.reply_meaning import says_yes
from notifier.webhook import StatusUpdate
from portal.http_limits import Closed
from portal.webhooks import WebhookEvent
from scheduler.clock import Clock
from scheduler.reply import ReplyReason
from store import attempts, audit, optouts, replies
from store.audit import AuditAction
from store.engine import Store, Transaction
from store.optouts import Optout
from store.vault import Vault

_NOT_HEARD: Final = HeardReply(kind=None, events=())
_LINES: Final = 5
"""Log lines for one refusal and address in half a minute. A person who sets up the account tries a few times."""


class Webhooks:
    """Stores what genuine webhooks say. A webhook may come twice and in any order; the database work runs in threads."""

    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        delivery: DeliveryRecorder,
        clock: Clock,
        journal: Journal,
        repeats: RepeatLimiter,
        metrics: Metrics,
        patient_replies: PatientReplies,
    ) -> None:
        self._store = store
        self._vault = vault
        self._delivery = delivery
        self._clock = clock
        self._journal = journal
        self._repeats = repeats
        self._metrics = metrics
        self._patient_replies = patient_replies

    async def on_status(self, update: StatusUpdate) -> None:
        await asyncio.to_thread(self._status, update)

    async def on_inbound(self, reply: Inbound) -> None:
        answered: str | None = None
        if isinstance(reply, OptOut | OptIn):
            answered = await asyncio.to_thread(self._preference, reply)
        elif isinstance(reply, Unclear):
            await asyncio.to_thread(self._unclear, reply)
        elif isinstance(reply, Other):
            answered = await asyncio.to_thread(self._answered, reply)
        self._metrics.replies.labels(answered or _asked_for(reply)).inc()

    def report(self, event: WebhookEvent) -> None:
        """Log refused webhooks and faults of Carebell."""
        if event.error is not None:
            self._journal.emit(InternalError(where="webhook", trace=trace(event.error)))
        elif event.code != "ok":
            self._metrics.webhooks_refused.labels(event.code).inc()
            self._repeats.emit(
                WebhookRefused(path=event.webhook, reason=event.code, peer=event.peer),
                reason=event.code,
                source=source_of(event.peer or ""),
                lines=_LINES,
            )

    def closed(self, connection: Closed) -> None:
        """Log a connection that ended before a webhook was called."""
        self._metrics.connections_refused.labels("http", connection.reason).inc()
        self._repeats.emit(
            HttpClosed(peer=connection.peer, reason=connection.reason),
            reason=connection.reason,
            source=source_of(connection.peer or ""),
        )

    def _status(self, update: StatusUpdate) -> None:
        now = self._clock.now()
        with self._store.write() as conn:
            row = (
                attempts.by_id(conn, update.outbox_id)
                if update.outbox_id
                else attempts.by_message_id(conn, update.message_id)
            )
            if row is None:
                return
            if update.attempt not in (None, row.attempts):
                # It is about an earlier attempt: the text's state stays, but the gateway's copy must be deleted.
                if update.status is not None and update.status.is_final:
                    attempts.forget_attempt(conn, row.id, update.message_id, now)
                return
            say = self._delivery.report(conn, row, update.status, update.failure, update.message_id, now)
        say()

    def _preference(self, reply: OptOut | OptIn) -> str | None:
        """Record a STOP or START. What took effect where it was a YES to a question; else None."""
        now = self._clock.now()
        key = self._vault.ring.phone_key(reply.phone)
        stops = isinstance(reply, OptOut)
        source = _source(reply)
        changed, heard = [], _NOT_HEARD
        with self._store.write() as conn:
            understood = self._confirming(conn, reply, key, now)
            known = not self._first_time(conn, reply, now)
            for sender in () if known else reply.senders:
                if stops:
                    done = optouts.add(conn, Optout(phone_key=key, sender=sender, source=source, since=now))
                else:
                    done = optouts.remove(conn, key, sender, at=now)
                if done:
                    changed.append(sender)
            if understood is not None and isinstance(reply, OptIn) and not known:
                heard = self._patient_replies.write(conn, reply, understood, now)
            for sender in changed:  # last (`store.lock_order`)
                audit.append(
                    conn,
                    authors.gateway("webhook"),
                    AuditAction.OPTOUT_ADD if stops else AuditAction.OPTOUT_REMOVE,
                    subject=reply.phone.masked,
                    before=None if stops else sender,
                    after=sender if stops else None,
                    at=now,
                )
        if known:
            self._journal.emit(ReplyRepeated(sender=reply.senders[0], to=reply.phone.masked, source="webhook"))
        for sender in changed:
            if stops:
                self._metrics.opt_outs.labels(source).inc()
                self._journal.emit(OptOutRecorded(sender=sender, to=reply.phone.masked, source=source))
            else:
                self._journal.emit(OptOutRestored(sender=sender, to=reply.phone.masked, source=source))
        for event in heard.events:
            self._journal.emit(event)
        return None if heard.kind is None else heard.kind.value

    def _confirming(self, conn: Transaction, reply: OptOut | OptIn, key: str, now: datetime) -> UnderstoodReply | None:
        """A YES that answers a question, if the number has not opted out; otherwise it is a START and nothing else."""
        if not isinstance(reply, OptIn) or not says_yes(reply.written) or not self._patient_replies.listens(reply):
            return None
        if optouts.opted_out(conn, {(key, sender) for sender in reply.senders}):
            return None
        understood = self._patient_replies.look(conn, reply, now)
        return None if understood.judged.reason is ReplyReason.NO_QUESTION else understood

    def _answered(self, reply: Other) -> str | None:
        """Handle what may be the answer to a question; what took effect, or None."""
        if not self._patient_replies.listens(reply):
            return None
        now = self._clock.now()
        with self._store.write() as conn:
            understood = self._patient_replies.look(conn, reply, now)
            heard = self._patient_replies.write(conn, reply, understood, now)
        for event in heard.events:
            self._journal.emit(event)
        return None if heard.kind is None else heard.kind.value

    def _unclear(self, reply: Unclear) -> None:
        """Log the text for staff, once. Nothing of it is kept but its id at the gateway."""
        with self._store.write() as conn:
            if not self._first_time(conn, reply, self._clock.now()):
                return
        self._journal.emit(
            ReplyUnclear(sender=reply.senders[0], to=reply.phone.masked, sid=reply.message_id, source="webhook")
        )

    def _first_time(self, conn: Transaction, reply: Inbound, now: datetime) -> bool:
        """Whether this reply comes for the first time. A reply without an id always counts as new."""
        if reply.message_id is None:
            return True
        return replies.first_time(conn, self._vault.ring.reply_key(reply.message_id), now)


def _asked_for(reply: Inbound) -> str:
    """What the reply asks for, as the metric's label."""
    match reply:
        case OptOut():
            return "stop_in_words" if reply.in_words else "stop"
        case OptIn():
            return "start"
        case Help():
            return "help"
        case Unclear():
            return "unclear"
        case _:
            return "other"


def _source(reply: OptOut | OptIn) -> OptOutSource:
    """Where an opt-out comes from. `words`: a STOP among other words, which staff can look at."""
    return "words" if isinstance(reply, OptOut) and reply.in_words else "webhook"
