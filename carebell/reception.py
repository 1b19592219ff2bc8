"""The listener's handler: `carebell.inbound` between a socket and the committer.

Runs on the event loop. What is refused is answered at once; what is to be stored is answered when its group is committed, and,
if it changed an appointment whose text is on its way to the gateway this moment, when that is over (`carebell.posting`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Final

from carebell.desk import Offices
from carebell.inbound import Effect, Gatekeeper, Judged
from carebell.posting import Posting
from journal.events import Event
from journal.logs import Journal
from journal.metrics import Metrics
from listener.incidents import Peer
from listener.reply import RESET, Reply
from parser.ack import Answer, acknowledge, acknowledgement_code
from parser.event import BadPhone, UnreadablePhone
from scheduler.clock import Clock
from store.committer import CommitFault, Committing, Rejected

_CONTROL_ID: Final = re.compile(rb"[A-Za-z0-9._:/-]{1,64}")


class Reception:
    """One listener's handler.

    Args:
        gatekeeper, offices: as configured now; asked for each message.
        new_control_id: MSH-10 of our answers.
        seconds: a monotonic counter.
    """

    def __init__(
        self,
        *,
        gatekeeper: Callable[[], Gatekeeper],
        offices: Callable[[], Offices],
        committer: Committing[Judged, Effect],
        clock: Clock,
        new_control_id: Callable[[], str],
        posting: Posting,
        journal: Journal,
        metrics: Metrics,
        seconds: Callable[[], float],
    ) -> None:
        self._gatekeeper = gatekeeper
        self._offices = offices
        self._committer = committer
        self._clock = clock
        self._new_control_id = new_control_id
        self._posting = posting
        self._journal = journal
        self._metrics = metrics
        self._seconds = seconds

    def handle(self, content: bytes, peer: Peer) -> Reply | asyncio.Future[Reply]:
        """One block's answer, now or after its commit."""
        began = self._seconds()
        judged = self._gatekeeper().judge(content, self._clock.now(), peer.thumbprint)
        if judged.refused is not None:
            return self._refuse(judged, judged.refused, peer, began)
        try:
            stored = self._committer.submit(judged)
        except CommitFault as fault:
            return self._fail(judged, fault, peer, began)
        reply: asyncio.Future[Reply] = stored.get_loop().create_future()
        stored.add_done_callback(partial(self._committed, judged, reply, peer, began))
        return reply

    def too_long(self, head: bytes, peer: Peer) -> bytes | None:
        """The answer to a block over the size limit, before its connection is closed."""
        began = self._seconds()
        judged = self._gatekeeper().too_long(head, self._clock.now())
        assert judged.refused is not None
        reply = self._refuse(judged, judged.refused, peer, began)
        return reply if isinstance(reply, bytes) else None

    def _committed(
        self, judged: Judged, reply: asyncio.Future[Reply], peer: Peer, began: float, stored: asyncio.Future[Effect]
    ) -> None:
        if reply.done():
            self._journal.emit(
                Event.ANSWER_UNDELIVERED,
                environment=judged.environment,
                control_id=_control_id(judged),
                peer=peer.address,
            )
            return
        fault = stored.exception() if not stored.cancelled() else CommitFault("stopped")
        if isinstance(fault, CommitFault):
            reply.set_result(self._fail(judged, fault, peer, began))
            return
        if fault is not None:
            self._journal.emit(Event.INTERNAL_ERROR, exception=type(fault).__name__)
            reply.set_result(RESET)
            return
        effect = stored.result()
        loop = reply.get_loop()
        answer = partial(self._answer, judged, effect, reply, peer, began)

        def later() -> None:
            loop.call_soon_threadsafe(answer)

        if self._posting.when_clear(effect.appointment_ids, later):
            answer()

    def _answer(self, judged: Judged, effect: Effect, reply: asyncio.Future[Reply], peer: Peer, began: float) -> None:
        if reply.done():
            return
        if effect.name == "reused":
            reply.set_result(self._refuse(judged, effect.answer, peer, began))
            return
        environment = judged.environment or ""
        code, content = self._acknowledgement(judged, effect.answer)
        elapsed = self._seconds() - began
        metrics = self._metrics
        metrics.messages.labels(environment, code or "none", effect.answer.code or "").inc()
        metrics.ack_seconds.labels(environment).observe(elapsed)
        metrics.last_message_timestamp_seconds.labels(environment).set(judged.received_at.timestamp())
        control_id = _control_id(judged)
        if effect.name == "repeated":
            self._journal.emit(
                Event.MESSAGE_REPEATED, environment=environment, control_id=control_id, answer=code or "none",
                peer=peer.address, digest=judged.digest, milliseconds=round(elapsed * 1000, 1),
            )  # fmt: skip
            reply.set_result(content)
            return
        if effect.reused:
            self._journal.emit(
                Event.CONTROL_ID_REUSED, environment=environment, control_id=control_id, peer=peer.address,
                digest=judged.digest,
            )  # fmt: skip
        warnings = [warning.code for warning in judged.event.warnings] if judged.event is not None else []
        for warning in warnings:
            metrics.parse_warnings.labels(environment, warning).inc()
        phone = judged.event.phone if judged.event is not None else None
        self._journal.emit(
            Event.MESSAGE_ACCEPTED,
            environment=environment,
            control_id=control_id,
            trigger=judged.event.event if judged.event is not None else None,
            appointment=effect.appointment,
            revision=effect.revision,
            effect=effect.name,
            answer=code or "none",
            planned=effect.planned,
            withdrawn=effect.withdrawn,
            suppressed=effect.suppressed,
            milliseconds=round(elapsed * 1000, 1),
            peer=peer.address,
            thumbprint=judged.thumbprint,
            warnings=",".join(warnings) or None,
            number_fault=phone.why if isinstance(phone, BadPhone | UnreadablePhone) else None,
        )
        reply.set_result(content)

    def _refuse(self, judged: Judged, answer: Answer, peer: Peer, began: float) -> Reply:
        code, content = self._acknowledgement(judged, answer)
        self._metrics.messages.labels(judged.environment or "", code or "none", answer.code or "").inc()
        self._journal.emit(
            Event.MESSAGE_REFUSED,
            environment=judged.environment,
            control_id=_control_id(judged),
            code=answer.code,
            err3=answer.err3,
            answer=code or "none",
            text=answer.text,
            peer=peer.address,
            thumbprint=judged.thumbprint,
            digest=judged.digest or None,
            milliseconds=round((self._seconds() - began) * 1000, 1),
        )
        return content

    def _fail(self, judged: Judged, fault: CommitFault, peer: Peer, began: float) -> Reply:
        """Our own fault: nothing was stored. No answer and a reset connection, or AE where the engine wants that."""
        desk = self._offices().desks.get(judged.environment or "")
        wants_answer = desk is not None and (desk.environment.on_transient == "AE" or isinstance(fault, Rejected))
        answer: str | None = "reset"
        content: Reply = RESET
        if wants_answer:
            answer, content = self._acknowledgement(judged, self._gatekeeper().answer(judged, "TRANSIENT"))
        self._metrics.messages.labels(judged.environment or "", answer or "none", "TRANSIENT").inc()
        self._journal.emit(
            Event.MESSAGE_FAILED,
            environment=judged.environment,
            control_id=_control_id(judged),
            reason=fault.code,
            answer=answer or "none",
            peer=peer.address,
            digest=judged.digest,
            exception=type(fault.__cause__).__name__ if fault.__cause__ is not None else None,
            milliseconds=round((self._seconds() - began) * 1000, 1),
        )
        return content

    def _acknowledgement(self, judged: Judged, answer: Answer) -> tuple[str | None, bytes | None]:
        desk = self._offices().desks.get(judged.environment or "")
        honour_ne = desk is not None and desk.environment.honour_ne
        code = acknowledgement_code(judged.msh, answer, honour_ne=honour_ne)
        content = acknowledge(
            judged.msh, answer, now=self._clock.now(), control_id=self._new_control_id(), honour_ne=honour_ne
        )
        return code, content


def _control_id(judged: Judged) -> str | None:
    """MSH-10 for the log, if it looks like an id: anybody who reaches the port can write it, so no words get in."""
    raw = judged.msh.control_id
    return raw.decode("ascii") if _CONTROL_ID.fullmatch(raw) else None
