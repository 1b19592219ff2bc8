"""The results of verification: a message whose bytes are certainly the sender's, or the reason why it is refused.

The service reads only a `VerifiedMessage`. Only `certs.verify` makes one (a test checks this), so bytes that were not verified
cannot reach the database by mistake. A rehearsal, which stores and sends nothing, reads an `UnverifiedMessage`. This is
another type, and nothing else accepts it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Msh:
    """The header fields that verification and answers need, as raw bytes of the first segment.

    They are read before anything is verified, so that a refusal can name the message. A missing field is empty.
    `separators` is MSH-1 and MSH-2 together, `b"|^~\\\\&"` in all but odd messages.
    """

    separators: bytes = b"|^~\\&"
    sending_application: bytes = b""  # MSH-3
    sending_facility: bytes = b""  # MSH-4
    receiving_application: bytes = b""  # MSH-5
    receiving_facility: bytes = b""  # MSH-6
    date_time: bytes = b""  # MSH-7
    message_type: bytes = b""  # MSH-9, all components
    control_id: bytes = b""  # MSH-10
    processing_id: bytes = b""  # MSH-11
    version_id: bytes = b""  # MSH-12
    accept_ack: bytes = b""  # MSH-15
    application_ack: bytes = b""  # MSH-16
    character_set: bytes = b""  # MSH-18, first repetition


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableMessage:
    """P of signing.md section 2: the base of both kinds of message that the parser reads. It is never instantiated.

    Attributes:
        payload: P: canonical bytes from `MSH` through the CR before ZSG.
        digest: SHA-256 of `payload`, 32 bytes.
        environment: the environment the message belongs to.
        received_at: UTC, when the frame was complete.
        sent_at: MSH-7 in UTC (its own offset, else the environment's zone); the earliest instant that it can mean.
        sent_within: how much later than `sent_at` the message may have been sent: less than this. The precision of MSH-7, and
            an hour more where the clocks repeat it.
        sent_offset: whether MSH-7 carried an offset, and which, as `+hhmm`; None: it had none.
    """

    payload: bytes = field(repr=False)
    digest: bytes
    msh: Msh = field(repr=False)
    environment: str
    received_at: datetime
    sent_at: datetime
    sent_offset: str | None = None
    sent_within: timedelta = timedelta(seconds=1)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedMessage(ReadableMessage):
    """A message whose payload is exactly what was signed.

    Attributes:
        thumbprint: x5t#S256 of the certificate that signed it, base64url; the environment is that certificate's.
    """

    thumbprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedMessage(ReadableMessage):
    """A message whose signature nobody checked, read by `carebell explain` and `carebell plan` alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A message that is not accepted; holds no message content.

    Attributes:
        code: stable: SIG01..SIG11, DISABLED, TYPE, or a code of config/answers.yaml (NOHL7, BATCH, VERSION, ...).
        err3: HL7 table 0357 code, as in the tables of signing.md.
        text: one short sentence for MSA-3 and the log; printable ASCII, no message content but MSH-4, 5, 6, 11.
        environment: known once the certificate is known; None before.
        thumbprint: first 8 characters of the named certificate's thumbprint, when the header could be read.
        digest: first 16 hex digits of SHA-256 over the frame's content, to find it in the sender's log.
        authenticated: the sender is certain and the message fresh; what was wrong came after that.
    """

    code: str
    err3: str
    text: str
    msh: Msh = field(repr=False)
    environment: str | None = None
    thumbprint: str | None = None
    digest: str = ""
    authenticated: bool = False
