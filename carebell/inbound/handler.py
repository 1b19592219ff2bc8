"""The listener's handler: it connects the sockets with `carebell.inbound.process` and the committer.

It runs on the event loop. A refused message is answered at once. A stored message is answered when its group is committed. If it
changed an appointment whose text is being posted to the gateway, the answer also waits for that (`carebell.outbound.in_flight`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final, Literal, NamedTuple

from carebell.environment_policy import RuntimeConfig
from carebell.inbound.process import ProcessingOutcome, ProcessingResult
from carebell.inbound.validate import MessageValidator, ReceivedFrame, ValidatedMessage
from carebell.outbound.in_flight import InFlight
from carebell.outbound.silences import events_of
from journal.events import Event
from journal.events.messages import (
    AnswerUndelivered,
    ControlIdReused,
    MessageAccepted,
    MessageFailed,
    MessageRefused,
    MessageRepeated,
)
from journal.events.service import InternalError
from journal.events.shared import NO_TRACE, SentAnswer
from journal.logs import Journal
from journal.metrics import Metrics
from journal.repeats import RepeatLimiter
from journal.traces import trace
from listener.incidents import Peer
from listener.reply import RESET, Reply
from parser.ack import Answer, WireCode, acknowledge, acknowledgement_code
from parser.event import BadPhone, UnreadablePhone
from scheduler.clock import Clock
from scheduler.writeback import LATER_ANSWER
from store.committer import CommitFault, Committing, Rejected

_LINES: Final = 5
"""Log lines for one refusal, address and certificate in half a minute. A person who sets up an interface tries a few times."""
_EFFECTS: Final[Mapping[ProcessingOutcome, Literal["stored", "older", "ignored"]]] = {
    ProcessingOutcome.STORED: "stored",
    ProcessingOutcome.OLDER: "older",
    ProcessingOutcome.IGNORED: "ignored",
}
"""What a `message_accepted` line says of an outcome; the others have lines of their own."""
_TOGETHER: Final = 64
"""Messages that are validated in one turn of the loop, some 8 ms of work."""
_CONTROL_ID: Final = re.compile(rb"[A-Za-z0-9._:/-]{1,64}")


class _Waiting(NamedTuple):
    """A block that waits for its answer. Attributes: began: by the monotonic counter."""

    frame: ReceivedFrame
    peer: Peer
    began: float
    reply: asyncio.Future[Reply]


class MessageHandler:
    """One listener's handler.

    Args:
        validator, runtime_config: return the present configuration; called for each message.
        new_control_id: MSH-10 of our answers.
        known_source: called with the source of each message that is stored.
        repeats: limits how many refusals of unverified messages are written to the log.
        seconds: a monotonic counter.
        arrived: called for each message that is processed, with its environment and the time since its MSH-7.
        listener: the port's name, for refusals: where environments share it, an unknown sender's message names none.
    """

    def __init__(
        self,
        *,
        validator: Callable[[], MessageValidator],
        runtime_config: Callable[[], RuntimeConfig],
        committer: Committing[ValidatedMessage, ProcessingResult],
        clock: Clock,
        new_control_id: Callable[[], str],
        in_flight: InFlight,
        known_source: Callable[[str], None],
        journal: Journal,
        repeats: RepeatLimiter,
        metrics: Metrics,
        seconds: Callable[[], float],
        arrived: Callable[[str, timedelta], None] = lambda *_: None,
        listener: str | None = None,
    ) -> None:
        self._validator = validator
        self._runtime_config = runtime_config
        self._committer = committer
        self._clock = clock
        self._new_control_id = new_control_id
        self._in_flight = in_flight
        self._known_source = known_source
        self._journal = journal
        self._repeats = repeats
        self._metrics = metrics
        self._seconds = seconds
        self._arrived = arrived
        self._listener = listener
        self._received: list[_Waiting] = []
        self._answered: list[tuple[asyncio.Future[Reply], bytes | None]] = []
        self._events: list[Event] = []  # of what is answered

    @property
    def sole_environment(self) -> str | None:
        """The one environment that the port serves; None if there are several, because then only a certificate names one."""
        return self._validator().sole_environment

    def handle(self, content: bytes, peer: Peer) -> asyncio.Future[Reply]:
        """One block's answer: soon, or after its commit."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Reply] = loop.create_future()
        if not self._received:
            loop.call_soon(self._validate_received)
        frame = ReceivedFrame(content, self._clock.now(), peer.thumbprint)
        self._received.append(_Waiting(frame, peer, self._seconds(), reply))
        return reply

    def _validate_received(self) -> None:
        """Validate together what one turn of the loop has received on all connections, and queue it for the next commit."""
        received, self._received = self._received[:_TOGETHER], self._received[_TOGETHER:]
        if self._received:
            asyncio.get_running_loop().call_soon(self._validate_received)
        try:
            validated = self._validator().validate_all([waiting.frame for waiting in received])
        except Exception:  # a bug that one of them meets: alone it harms no other
            for waiting in received:
                self._validate_alone(waiting)
            return
        for waiting, message in zip(received, validated, strict=True):
            try:
                self._submit(waiting, message)
            except Exception as fault:
                waiting.reply.set_exception(fault)

    def _validate_alone(self, waiting: _Waiting) -> None:
        try:
            [message] = self._validator().validate_all([waiting.frame])
            self._submit(waiting, message)
        except Exception as fault:
            waiting.reply.set_exception(fault)

    def _submit(self, waiting: _Waiting, validated: ValidatedMessage) -> None:
        _, peer, began, reply = waiting
        if validated.refused is not None:
            reply.set_result(self._refuse(validated, validated.refused, peer, began))
            return
        try:
            stored = self._committer.submit(validated)
        except CommitFault as fault:
            reply.set_result(self._fail(validated, fault, peer, began))
            return
        stored.add_done_callback(partial(self._committed, validated, reply, peer, began))

    def too_long(self, head: bytes, peer: Peer) -> bytes | None:
        """The answer to a block over the size limit, before its connection is closed."""
        began = self._seconds()
        validated = self._validator().too_long(head, self._clock.now())
        assert validated.refused is not None
        reply = self._refuse(validated, validated.refused, peer, began)
        return reply if isinstance(reply, bytes) else None

    def _committed(
        self,
        validated: ValidatedMessage,
        reply: asyncio.Future[Reply],
        peer: Peer,
        began: float,
        stored: asyncio.Future[ProcessingResult],
    ) -> None:
        fault = stored.exception() if not stored.cancelled() else CommitFault("stopped")
        if reply.done():
            self._undelivered(validated, peer, stored.result() if fault is None else None)
            return
        if isinstance(fault, CommitFault):
            reply.set_result(self._fail(validated, fault, peer, began))
            return
        if fault is not None:
            self._journal.emit(
                InternalError(
                    where="handler",
                    environment=validated.environment,
                    control_id=_control_id(validated),
                    trace=trace(fault),
                )
            )
            reply.set_result(RESET)
            return
        result = stored.result()
        loop = reply.get_loop()
        answer = partial(self._answer, validated, result, reply, peer, began)

        def later() -> None:
            loop.call_soon_threadsafe(answer)

        if self._in_flight.when_clear(result.appointment_ids, later, result.sending):
            answer()

    def _answer(
        self,
        validated: ValidatedMessage,
        result: ProcessingResult,
        reply: asyncio.Future[Reply],
        peer: Peer,
        began: float,
    ) -> None:
        if reply.done():
            self._undelivered(validated, peer, result)
            return
        if result.outcome is ProcessingOutcome.REUSED:
            reply.set_result(self._refuse(validated, result.answer, peer, began))
            return
        environment = validated.environment or ""
        code, content = self._acknowledgement(validated, result.answer)
        elapsed = self._seconds() - began
        metrics = self._metrics
        metrics.answered(environment, code or "none", result.answer.code or "", elapsed, validated.received_at)
        control_id = _control_id(validated)
        if result.outcome is ProcessingOutcome.REPEATED:
            self._events.append(
                MessageRepeated(
                    environment=environment,
                    control_id=control_id,
                    answer=code or "none",
                    peer=peer.address,
                    digest=validated.digest,
                    milliseconds=round(elapsed * 1000, 1),
                )
            )
            self._send_soon(reply, content)
            return
        if result.reused:
            self._events.append(
                ControlIdReused(
                    environment=environment, control_id=control_id, peer=peer.address, digest=validated.digest
                )
            )
        self._known_source(peer.source)  # not for a repetition: whoever has the bytes of a message can send them
        warnings: list[str] = []
        if validated.event is not None:
            warnings = [warning.code for warning in validated.event.warnings]
            self._arrived(environment, validated.received_at - validated.event.occurred_at)
        for warning in warnings:
            metrics.parse_warnings.labels(environment, warning).inc()
        if result.doubtful:
            metrics.doubtful_orders.labels(environment).inc()
        if result.replaces or result.shares_id_with:
            metrics.id_changes.labels(environment, "replaced" if result.replaces else "kept").inc()
        phone = validated.event.phone if validated.event is not None else None
        self._events.append(
            MessageAccepted(
                environment=environment,
                control_id=control_id,
                trigger=_trigger(validated),
                appointment=result.appointment,
                revision=result.revision,
                effect=_EFFECTS[result.outcome],
                answer=code or "none",
                planned=result.planned,
                withdrawn=result.withdrawn,
                suppressed=result.suppressed,
                milliseconds=round(elapsed * 1000, 1),
                peer=peer.address,
                thumbprint=validated.thumbprint,
                warnings=",".join(warnings) or None,
                order_doubtful=",".join(result.doubtful) or None,
                replaces=result.replaces,
                shares_id_with=",".join(result.shares_id_with) or None,
                number_fault=phone.why if isinstance(phone, BadPhone | UnreadablePhone) else None,
            )
        )
        self._events += events_of(result.silences, "message")
        self._events += self._counted(validated, result)
        self._send_soon(reply, content)

    def _send_soon(self, reply: asyncio.Future[Reply], content: bytes | None) -> None:
        """Answer with all others that this turn of the loop answers: their lines are written together, before the answers leave."""
        if not self._answered:
            reply.get_loop().call_soon(self._send)
        self._answered.append((reply, content))

    def _send(self) -> None:
        answered, self._answered = self._answered, []
        events, self._events = self._events, []
        self._journal.emit_all(events)
        for reply, content in answered:
            if not reply.done():
                reply.set_result(content)

    def _refuse(self, validated: ValidatedMessage, answer: Answer, peer: Peer, began: float) -> Reply:
        """Answer, count and log a refusal. Refusals that strangers can cause are limited and summed up; others have a line each."""
        code, content = self._acknowledgement(validated, answer)
        environment = validated.environment or self.sole_environment
        self._metrics.messages.labels(environment or "", code or "none", answer.code or "").inc()
        thumbprint = validated.thumbprint or (peer.thumbprint[:8] if peer.thumbprint is not None else None)
        event = MessageRefused(
            listener=self._listener,
            environment=environment,
            control_id=_control_id(validated),
            code=answer.code,
            err3=answer.err3,
            answer=code or "none",
            text=answer.text,
            peer=peer.address,
            thumbprint=thumbprint,
            digest=validated.digest or None,
            milliseconds=round((self._seconds() - began) * 1000, 1),
        )
        if validated.authenticated:
            self._journal.emit(event)
        else:
            self._repeats.emit(
                event, reason=answer.code or "", source=peer.source, certificate=thumbprint, lines=_LINES
            )
        return content

    def _fail(self, validated: ValidatedMessage, fault: CommitFault, peer: Peer, began: float) -> Reply:
        """A fault of Carebell: nothing was stored. Send no answer and reset the connection, or answer AE if `on_transient` says
        so."""
        policy = self._runtime_config().policies.get(validated.environment or "")
        wants_answer = policy is not None and (policy.environment.on_transient == "AE" or isinstance(fault, Rejected))
        answer: SentAnswer | None = "reset"
        content: Reply = RESET
        if wants_answer:
            answer, content = self._acknowledgement(validated, self._validator().answer(validated, "TRANSIENT"))
        self._metrics.messages.labels(validated.environment or "", answer or "none", "TRANSIENT").inc()
        self._journal.emit(
            MessageFailed(
                environment=validated.environment,
                control_id=_control_id(validated),
                reason=fault.code,
                answer=answer or "none",
                peer=peer.address,
                digest=validated.digest,
                trace=NO_TRACE if fault.__cause__ is None else trace(fault.__cause__),
                milliseconds=round((self._seconds() - began) * 1000, 1),
            )
        )
        return content

    def _log_silences(self, validated: ValidatedMessage, result: ProcessingResult) -> None:
        for event in (*events_of(result.silences, "message"), *self._counted(validated, result)):
            self._journal.emit(event)

    def _counted(self, validated: ValidatedMessage, result: ProcessingResult) -> Sequence[Event]:
        """What else is to be said of it, and count what reached another state by it."""
        effect = result.later_answer
        if effect is None:
            return result.visits
        if effect.counted is not None:
            event, state, code = effect.counted
            self._metrics.writebacks.labels(validated.environment or "", event.value, state.value, code).inc()
        return (*result.visits, *effect.events)

    def _undelivered(self, validated: ValidatedMessage, peer: Peer, result: ProcessingResult | None) -> None:
        """The sender hung up before its answer; `result` None: nothing was stored, and there was no answer."""
        code = self._acknowledgement(validated, result.answer)[0] if result is not None else None
        if result is not None:
            self._log_silences(validated, result)
        self._journal.emit(
            AnswerUndelivered(
                environment=validated.environment, control_id=_control_id(validated), answer=code, peer=peer.address
            )
        )

    def _acknowledgement(self, validated: ValidatedMessage, answer: Answer) -> tuple[WireCode | None, bytes | None]:
        policy = self._runtime_config().policies.get(validated.environment or "")
        honour_ne = policy is not None and policy.environment.honour_ne
        code = acknowledgement_code(validated.msh, answer, honour_ne=honour_ne)
        content = acknowledge(
            validated.msh, answer, now=self._clock.now(), control_id=self._new_control_id(), honour_ne=honour_ne
        )
        return code, content


def _control_id(validated: ValidatedMessage) -> str | None:
    """MSH-10 for the log, if it looks like an id. Anybody who reaches the port can write MSH-10, so text is not logged."""
    raw = validated.msh.control_id
    return raw.decode("ascii") if _CONTROL_ID.fullmatch(raw) else None


def _trigger(validated: ValidatedMessage) -> str | None:
    if validated.event is not None:
        return validated.event.event
    return LATER_ANSWER if validated.later_answer is not None else None
