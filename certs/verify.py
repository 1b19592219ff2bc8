"""Is this message from whom it says, for us, fresh and well formed? The verification order of signing.md, section 9.

    ZSG -> header -> certificate -> algorithm fit -> validity -> signature
        -> characters, delimiters, one MSH -> binding -> MSH-7 -> MSH-10

What is *not* checked here: replays (`certs.replay`, with the database's memory), the message type and everything after it
(`parser`). No chain, revocation list or network is asked: the upload is the trust.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from certs.algorithms import fits, holds
from certs.envelope import Envelope, EnvelopeError, canonical, has_signature, split
from certs.keyring import Entry, Keyring, State, Trust
from certs.message import Msh, Refusal, VerifiedMessage
from certs.msh import first_component, read_dtm, read_msh

_BATCH: Final = (b"FHS", b"BHS")
_SEPARATORS: Final = (b"|^~\\&", b"|^~\\&#")
# CR ends segments, LF and TAB are data; the rest of C0 and DEL have no place in HL7 text.
_CONTROL: Final = bytes(code for code in (*range(0x20), 0x7F) if code not in (0x09, 0x0A, 0x0D))
_CONTROL_BUT_ESCAPE: Final = _CONTROL.replace(b"\x1b", b"")
_JIS: Final = re.compile(rb"ISO.?IR.?(?:14|87|159)|ISO.?2022")  # shifts between character sets with ESC


class _CheckError(Exception):
    """Ends the checks; becomes a `Refusal`."""

    def __init__(self, code: str, err3: str, text: str) -> None:
        super().__init__(text)
        self.code, self.err3, self.text = code, err3, text


_ERR3: Final = {"SIG01": "100", "SIG02": "102", "SIG03": "102"}


class Verifier:
    """Verifies messages against a keyring. Pure apart from the keyring's keys; safe from any thread."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def verify(
        self, content: bytes, *, received_at: datetime, peer_thumbprint: str | None = None
    ) -> VerifiedMessage | Refusal:
        """Judge one frame's content. Never raises for any bytes.

        Args:
            received_at: UTC; validity and freshness are judged by it.
            peer_thumbprint: x5t#S256 of the TLS client certificate, for environments with `authentication: mutual-tls`.
        """
        attempt = _Attempt(self._keyring, content, received_at, peer_thumbprint)
        try:
            return attempt.run()
        except EnvelopeError as error:
            return attempt.refusal(error.code, _ERR3[error.code], str(error))
        except _CheckError as refused:
            return attempt.refusal(refused.code, refused.err3, refused.text)


class _Attempt:
    """One message on its way through the checks; remembers how far it came, for the refusal."""

    def __init__(self, keyring: Keyring, content: bytes, received_at: datetime, peer_thumbprint: str | None) -> None:
        self._keyring = keyring
        self._content = content
        self._received_at = received_at
        self._peer = peer_thumbprint
        self._thumbprint: str | None = None
        self._environment: str | None = None

    def run(self) -> VerifiedMessage:
        if self._content.startswith(_BATCH):
            raise _CheckError("BATCH", "199", "batches (FHS, BHS) are not taken; send messages one by one")
        body = canonical(self._content)
        if b"MSH" not in body:
            raise _CheckError("NOHL7", "199", "no MSH segment: this is not an HL7 v2 message")
        pinned = self._pinned()
        if pinned is not None and not has_signature(body):
            entry, payload, leading = pinned, body + b"\r", b""
            self._name(entry)
            if not body.startswith(b"MSH"):
                raise _CheckError("SIG11", "102", "there are bytes before MSH")
        else:
            envelope = split(body)
            self._thumbprint = envelope.header.thumbprint
            entry = self._entry(envelope, pinned)
            self._check_signature(envelope, entry)
            payload, leading = envelope.payload, envelope.leading
        msh = read_msh(payload)
        _check_form(payload, leading, msh)
        _check_binding(msh, entry.trust)
        sent_at, offset = _check_freshness(msh, entry.trust, self._received_at)
        if not msh.control_id:
            raise _CheckError("SIG10", "205", "MSH-10 is empty")
        return VerifiedMessage(
            payload=payload,
            digest=hashlib.sha256(payload).digest(),
            msh=msh,
            environment=entry.trust.environment,
            thumbprint=entry.thumbprint,
            received_at=self._received_at,
            sent_at=sent_at,
            sent_offset=offset,
        )

    def refusal(self, code: str, err3: str, text: str) -> Refusal:
        return Refusal(
            code=code,
            err3=err3,
            text=text,
            msh=read_msh(self._content),
            environment=self._environment,
            thumbprint=None if self._thumbprint is None else self._thumbprint[:8],
            digest=hashlib.sha256(self._content).hexdigest()[:16],
        )

    def _pinned(self) -> Entry | None:
        """The TLS client's certificate, where its environment authenticates by it."""
        entry = self._keyring.find(self._peer) if self._peer is not None else None
        return entry if entry is not None and entry.trust.authentication == "mutual-tls" else None

    def _entry(self, envelope: Envelope, pinned: Entry | None) -> Entry:
        entry = self._keyring.find(envelope.header.thumbprint)
        if entry is None:
            raise _CheckError("SIG05", "207", "the certificate is not active in this environment")
        if entry.trust.authentication == "mutual-tls" and (pinned is None or pinned.trust is not entry.trust):
            raise _CheckError("SIG05", "207", "this environment asks for its certificate in TLS")
        if pinned is not None and pinned.trust is not entry.trust:
            raise _CheckError("SIG05", "207", "the signature and the TLS connection are of two environments")
        self._environment = entry.trust.environment
        if pinned is not None:
            self._check_validity(pinned)  # a signature does not make up for an expired TLS certificate
        return entry

    def _name(self, entry: Entry) -> None:
        self._thumbprint, self._environment = entry.thumbprint, entry.trust.environment
        self._check_validity(entry)

    def _check_signature(self, envelope: Envelope, entry: Entry) -> None:
        alg = envelope.header.alg
        if not fits(alg, entry.key):
            raise _CheckError("SIG04", "103", "the algorithm is refused or does not fit the certificate's key")
        self._check_validity(entry)
        if not envelope.signature:
            raise _CheckError("SIG02", "102", "the signature is empty")
        if not holds(alg, entry.key, envelope.signature, envelope.signing_input):
            raise _CheckError("SIG07", "207", _why_wrong(envelope))

    def _check_validity(self, entry: Entry) -> None:
        state = entry.state(self._received_at)
        if state is not State.ACTIVE:
            words = "has expired" if state is State.EXPIRED else "is not yet valid"
            raise _CheckError("SIG06", "207", f"the certificate {words}")


def _why_wrong(envelope: Envelope) -> str:
    said, payload = envelope.diagnosis, envelope.payload
    if said is None:
        return "the signature is wrong: bytes changed after signing, or another key signed"
    if (said.length, said.sha256) == (len(payload), hashlib.sha256(payload).hexdigest()):
        return "the signature is wrong; bytes agree: wrong key"
    return f"the signature is wrong: bytes changed after signing ({said.length} signed, {len(payload)} received)"


def _check_form(payload: bytes, leading: bytes, msh: Msh) -> None:
    if leading:
        raise _CheckError("SIG11", "102", "there are bytes before MSH, such as a byte-order mark")
    unwanted = _CONTROL_BUT_ESCAPE if _JIS.search(msh.character_set) else _CONTROL
    if len(payload.translate(None, unwanted)) != len(payload):
        raise _CheckError("SIG11", "102", "the message holds control characters")
    if msh.separators not in _SEPARATORS:
        raise _CheckError("SIG11", "102", "MSH-1 must be | and MSH-2 ^~\\& or ^~\\&#")
    if b"\rMSH" in payload:
        raise _CheckError("SIG11", "102", "there is a second MSH")


def _check_binding(msh: Msh, trust: Trust) -> None:
    binding = trust.binding
    if first_component(msh.processing_id, msh) not in binding.processing_ids:
        raise _CheckError("SIG08", "202", "MSH-11 is not of this environment")
    if first_component(msh.sending_facility, msh) not in binding.facilities:
        raise _CheckError("SIG08", "207", "MSH-4 is not a facility of this environment")
    if first_component(msh.receiving_application, msh) != binding.receiving_application:
        raise _CheckError("SIG08", "207", "MSH-5 is not this environment's receiving application")
    if first_component(msh.receiving_facility, msh) != binding.receiving_facility:
        raise _CheckError("SIG08", "207", "MSH-6 is not this environment's receiving facility")


def _check_freshness(msh: Msh, trust: Trust, received_at: datetime) -> tuple[datetime, str | None]:
    written = first_component(msh.date_time, msh)
    if not written:
        raise _CheckError("SIG09", "102", "MSH-7 is missing")
    try:
        sent_at, offset = read_dtm(written, trust.zone)
    except (ValueError, OverflowError):
        raise _CheckError("SIG09", "102", "MSH-7 is not a date and time") from None
    if received_at - sent_at > trust.freshness.max_age:
        raise _CheckError("SIG09", "102", "MSH-7 is too old: the message is stale")
    if sent_at - received_at > trust.freshness.max_ahead:
        raise _CheckError("SIG09", "102", "MSH-7 lies in the future: compare the clocks")
    return sent_at, offset


def unverified(content: bytes, *, environment: str, zone: ZoneInfo, received_at: datetime) -> VerifiedMessage:
    """A message that nobody vouches for, for `carebell explain` and `carebell plan` alone: they store and send nothing.

    A ZSG is split off if it is there and not looked at. An MSH-7 that cannot be read counts as `received_at`.

    ValueError: there is no MSH at the beginning.
    """
    body = canonical(content).removeprefix(b"\xef\xbb\xbf")
    cut = body.rfind(b"\r") + 1
    payload = body[:cut] if body[cut:].startswith(b"ZSG") else body + b"\r"
    if not payload.startswith(b"MSH"):
        raise ValueError("no MSH segment at the beginning: this is not an HL7 v2 message")
    msh = read_msh(payload)
    try:
        sent_at, offset = read_dtm(first_component(msh.date_time, msh), zone)
    except (ValueError, OverflowError):
        sent_at, offset = received_at, None
    return VerifiedMessage(
        payload=payload,
        digest=hashlib.sha256(payload).digest(),
        msh=msh,
        environment=environment,
        thumbprint="",
        received_at=received_at,
        sent_at=sent_at,
        sent_offset=offset,
    )
