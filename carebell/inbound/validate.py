"""Verify and read a frame, before the database is used: who signed it, and what it says. It changes nothing.

`carebell verify` uses `MessageValidator.validate()` with its own replay memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from certs.message import Msh, Refusal, VerifiedMessage
from certs.msh import read_msh
from certs.verify import Verifier
from ehr.acknowledgements import EngineAnswer
from ehr.later_answers import read_later_answer
from parser import siu
from parser.ack import Answer, is_response
from parser.answers import AnswerTable
from parser.event import Rejection, SchedulingEvent
from parser.siu import Rules


class ReceivedFrame(NamedTuple):
    """One frame's content, when it was complete, and x5t#S256 of its connection's TLS client certificate."""

    content: bytes
    received_at: datetime
    peer_thumbprint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedMessage:
    """What is known about a frame before the database is used.

    Attributes:
        msh: for the answer; header bytes only.
        environment: the environment of the certificate that signed it; None: not known.
        verified: None: refused before or by verification.
        event: None: the message is refused, cannot be processed, or is a later answer.
        later_answer: of the EHR's application to what went back; None: it is none.
        refused: the answer, if it is already certain.
        thumbprint, digest: short prefixes for the log line.
        authenticated: the sender is certain and the message fresh, whatever else is wrong. So a stranger cannot cause it at will.
    """

    msh: Msh = field(repr=False)
    environment: str | None
    received_at: datetime
    verified: VerifiedMessage | None = None
    event: SchedulingEvent | None = None
    later_answer: EngineAnswer | None = None
    refused: Answer | None = None
    thumbprint: str | None = None
    digest: str = ""
    authenticated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageValidator:
    """Validates the frames of one listener.

    Attributes:
        rules: environment -> how its messages are read.
        answers: environment -> its table of answers; "" is the table for messages of no known environment.
        take_later_answers: environments to which the EHR's application may answer what went back.
    """

    verifier: Verifier
    rules: Mapping[str, Rules]
    answers: Mapping[str, AnswerTable]
    take_later_answers: frozenset[str] = frozenset()

    @property
    def sole_environment(self) -> str | None:
        return next(iter(self.rules)) if len(self.rules) == 1 else None

    def validate(self, content: bytes, received_at: datetime, peer_thumbprint: str | None = None) -> ValidatedMessage:
        """Verify and read one frame's content. It never raises, whatever a sender sends."""
        return self.validate_all([ReceivedFrame(content, received_at, peer_thumbprint)])[0]

    def validate_all(self, frames: Sequence[ReceivedFrame]) -> list[ValidatedMessage]:
        """Verify all frames, then read all: the code of each step stays in the processor's cache (docs/decisions/0012)."""
        verify = self.verifier.verify
        outcomes = [
            verify(content, received_at=received_at, peer_thumbprint=thumbprint)
            for content, received_at, thumbprint in frames
        ]
        return [self._read(outcome, frame.received_at) for outcome, frame in zip(outcomes, frames, strict=True)]

    def _read(self, outcome: VerifiedMessage | Refusal, received_at: datetime) -> ValidatedMessage:
        if isinstance(outcome, Refusal):
            table = self._table(outcome.environment)
            return ValidatedMessage(
                msh=outcome.msh,
                environment=outcome.environment,
                received_at=received_at,
                refused=table.answer(outcome.code, outcome.err3, outcome.text),
                thumbprint=outcome.thumbprint,
                digest=outcome.digest,
                authenticated=outcome.authenticated,
            )
        read: SchedulingEvent | EngineAnswer | Rejection
        if outcome.environment in self.take_later_answers and is_response(outcome.msh):
            read = read_later_answer(outcome)
        else:
            read = siu.read(outcome, self.rules[outcome.environment])
        return ValidatedMessage(
            msh=outcome.msh,
            environment=outcome.environment,
            received_at=received_at,
            verified=outcome,
            event=read if isinstance(read, SchedulingEvent) else None,
            later_answer=read if isinstance(read, EngineAnswer) else None,
            refused=self._rejected(outcome, read) if isinstance(read, Rejection) else None,
            thumbprint=outcome.thumbprint[:8],
            digest=outcome.digest.hex()[:16],
            authenticated=True,
        )

    def answer(self, validated: ValidatedMessage, code: str, text: str | None = None) -> Answer:
        """The environment's answer to a failure found after validation (SIG10, UNSEEN, TRANSIENT ...)."""
        return self._table(validated.environment).answer(code, text=text)

    def too_long(self, head: bytes, received_at: datetime) -> ValidatedMessage:
        """A frame over the size limit, of which only the first bytes were read."""
        return ValidatedMessage(
            msh=read_msh(head), environment=None, received_at=received_at, refused=self._table(None).answer("SIZE")
        )

    def _rejected(self, message: VerifiedMessage, rejection: Rejection) -> Answer:
        table = self._table(message.environment)
        return table.answer(rejection.code, rejection.err3, rejection.text, rejection.location)

    def _table(self, environment: str | None) -> AnswerTable:
        return self.answers.get(environment or "", self.answers[""])
