"""Verifies one message: the order and the answers of signing profile 1, sections 9 and 10, up to MSH-10.

    frame content ─> ZSG ─> header ─> certificate ─> algorithm fit ─> validity ─> signature
                  ─> control characters, delimiters, one MSH ─> binding ─> MSH-7 ─> MSH-10 ─> VerifiedMessage

Only this module makes a `VerifiedMessage`. It does not check whether the message was received before (`certs.replay` and the
database), nor its type (the parser). A refusal's text and its log line hold no message content, with one exception: after the
signature is verified, they give the values of MSH-4, 5, 6 and 11 that differ from the binding.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn

from certs.algorithms import ALGORITHMS, verify_signature
from certs.envelope import Diagnosis, Fault, Header, Signed, Unsigned, read_header, signing_input, split
from certs.keyring import Held, Keyring, State, Trust
from certs.message import Msh, Refusal, VerifiedMessage
from certs.msh import Sent, read_msh, read_sent

# Tab, LF and CR occur in free text and between segments. ESC is checked separately below.
_CONTROLS: Final = bytes(code for code in (*range(0x20), 0x7F) if code not in b"\t\n\r")
_SHIFTS: Final = re.compile(rb"IR ?(?:14|87|159)|2022")  # table 0211: sets that switch with ESC
_DELIMITERS: Final = (b"MSH|^~\\&|", b"MSH|^~\\&#|")
_LONGEST_NAME: Final = 20  # length of a value in a refusal's text, which engines cut at 80 to 120 characters
_SYSTEM_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9 ._/&-]{0,%d}" % (_LONGEST_NAME - 1))
_MOST_DIGITS: Final = 4
_MOST_NAMES: Final = 3
_BATCHES: Final = (b"FHS", b"BHS")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff", b"M\0S\0H\0", b"\0M\0S\0H")


class _RefusedError(Exception):
    """A step of the verification refuses the message."""

    def __init__(self, code: str, err3: str, text: str) -> None:
        super().__init__(code)
        self.code = code
        self.err3 = err3
        self.text = text


@dataclass(slots=True)
class _Known:
    """What is known of a message so far, for the refusal."""

    environment: str | None = None
    thumbprint: str | None = None
    authenticated: bool = False


class _Bound:
    """An environment's trust with its binding as bytes, computed once."""

    __slots__ = ("application", "facilities", "facility", "processing_ids", "trust")

    def __init__(self, trust: Trust) -> None:
        binding = trust.binding
        self.trust = trust
        self.facilities = frozenset(name.encode() for name in binding.facilities)
        self.application = binding.receiving_application.encode()
        self.facility = binding.receiving_facility.encode()
        self.processing_ids = frozenset(name.encode() for name in binding.processing_ids)


class Verifier:
    """Verifies the frames of one listener against its keyring. Holds no state; threads may share it."""

    __slots__ = ("_bound", "_keyring", "_mutual_tls")

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._bound = {trust.environment: _Bound(trust) for trust in keyring}
        self._mutual_tls = any(trust.authentication == "mutual-tls" for trust in keyring)

    def verify(
        self, content: bytes, *, received_at: datetime, peer_thumbprint: str | None = None
    ) -> VerifiedMessage | Refusal:
        """Verify one frame's content. Never raises for any bytes.

        Args:
            content: the bytes between 0x0B and 0x1C 0x0D.
            received_at: aware, UTC: when the frame was complete. Validity and freshness are checked for this time.
            peer_thumbprint: x5t#S256 of the connection's TLS client certificate. TLS has proven that the peer has its key.
        """
        known = _Known()
        try:
            return self._verify(content, received_at, peer_thumbprint, known)
        except _RefusedError as refused:
            return Refusal(
                code=refused.code,
                err3=refused.err3,
                text=refused.text,
                msh=read_msh(content),
                environment=known.environment,
                thumbprint=known.thumbprint[:8] if known.thumbprint is not None else None,
                digest=hashlib.sha256(content).hexdigest()[:16],
                authenticated=known.authenticated,
            )

    def _verify(self, content: bytes, received_at: datetime, peer: str | None, known: _Known) -> VerifiedMessage:
        if content.startswith(_BATCHES):
            raise _RefusedError("BATCH", "199", "a batch (FHS, BHS): send each message in a block of its own")
        envelope = split(content)
        if isinstance(envelope, Fault):
            if envelope.code == "NOHL7" and content.startswith(_UTF16):
                raise _RefusedError("NOHL7", "199", "UTF-16: send the message in an 8-bit character set or UTF-8")
            _refuse(envelope)
        if isinstance(envelope, Unsigned):
            trust, held = self._peer(peer, known)
            _check_validity(held, received_at)
        else:
            trust, held = self._signer(envelope, received_at, peer, known)
        payload = envelope.payload
        msh = read_msh(payload)
        _check_structure(payload, preamble=envelope.preamble)
        _check_binding(msh, self._bound[trust.environment])
        sent = _sent(msh, trust, received_at)
        known.authenticated = True  # from here on the message is fresh, so it is not an old captured message
        if msh.control_id.strip() in (b"", b'""'):
            raise _RefusedError("SIG10", "205", "MSH-10 is empty")
        return VerifiedMessage(
            payload=payload,
            digest=hashlib.sha256(payload).digest(),
            msh=msh,
            environment=trust.environment,
            thumbprint=held.certificate.thumbprint,
            received_at=received_at,
            sent_at=sent.at,
            sent_offset=sent.offset,
            sent_within=sent.within,
        )

    def _signer(self, signed: Signed, received_at: datetime, peer: str | None, known: _Known) -> tuple[Trust, Held]:
        """Check header, certificate, algorithm, validity and signature."""
        header = read_header(signed.header)
        if isinstance(header, Fault):
            _refuse(header)
        self._check_signer_switched_off(header, signed, known)
        trust, held = self._active(header.thumbprint, "the signing certificate", known)
        if header.alg not in held.certificate.algorithms:
            raise _RefusedError("SIG04", "103", _misfit(header.alg, held.certificate.algorithms))
        _check_validity(held, received_at)
        if trust.authentication == "mutual-tls":
            self._check_peer_of(trust, peer, received_at)
        if not signed.signature:
            raise _RefusedError("SIG02", "102", "the signature in ZSG-2 is empty")
        data = signing_input(signed.header, signed.payload)
        if not verify_signature(header.alg, held.certificate.key, signed.signature, data):
            raise _RefusedError("SIG07", "207", _diagnose(signed.payload, signed.diagnosis))
        return trust, held

    def _active(self, thumbprint: str, what: str, known: _Known) -> tuple[Trust, Held]:
        known.thumbprint = thumbprint
        match = self._keyring.find(thumbprint)
        if match is None:
            raise _RefusedError("SIG05", "207", f"{what} {thumbprint[:8]} is not known here")
        trust, held = match
        known.environment = trust.environment
        if held.state is not State.ACTIVE:
            raise _RefusedError("SIG05", "207", f"{what} {thumbprint[:8]} is {held.state.value}, not active")
        return trust, held

    def _check_signer_switched_off(self, header: Header, signed: Signed, known: _Known) -> None:
        """Only the holder of the key hears that its environment is switched off; for others the certificate is not known."""
        match = self._keyring.switched_off(header.thumbprint)
        if match is None:
            return
        environment, certificate = match
        if header.alg in certificate.algorithms and verify_signature(
            header.alg, certificate.key, signed.signature, signing_input(signed.header, signed.payload)
        ):
            _refuse_switched_off(environment, header.thumbprint, known)

    def _check_peer_switched_off(self, peer: str, known: _Known) -> None:
        """TLS has proven that the peer holds the key."""
        match = self._keyring.switched_off(peer)
        if match is not None:
            _refuse_switched_off(match[0], peer, known)

    def _peer(self, peer: str | None, known: _Known) -> tuple[Trust, Held]:
        """The environment of an unsigned message: that of the TLS client certificate, if mutual TLS is enough."""
        if peer:
            self._check_peer_switched_off(peer, known)
        if not peer or not self._mutual_tls:
            raise _RefusedError("SIG01", "100", "no ZSG segment: the message is not signed")
        trust, held = self._active(peer, "the TLS client certificate", known)
        if trust.authentication != "mutual-tls":
            raise _RefusedError("SIG01", "100", "no ZSG segment: the message is not signed")
        return trust, held

    def _check_peer_of(self, trust: Trust, peer: str | None, received_at: datetime) -> None:
        """Check the client certificate that the environment requires; a signature does not replace it."""
        if not peer:
            raise _RefusedError("SIG05", "207", "this environment needs a TLS client certificate")
        self._check_peer_switched_off(peer, _Known())
        of, held = self._active(peer, "the TLS client certificate", _Known())
        if of is not trust:
            raise _RefusedError("SIG05", "207", "the TLS client certificate is another environment's")
        _check_validity(held, received_at)


def _refuse(fault: Fault) -> NoReturn:
    raise _RefusedError(fault.code, fault.err3, fault.text)


def _refuse_switched_off(environment: str, thumbprint: str, known: _Known) -> NoReturn:
    known.environment, known.thumbprint = environment, thumbprint
    raise _RefusedError("DISABLED", "207", f"environment {environment} is switched off (enabled: false)")


def _misfit(alg: str, fitting: tuple[str, ...]) -> str:
    wanted = " or ".join(fitting)
    if alg in ALGORITHMS:
        return f"{alg} does not fit the certificate's key, which takes {wanted}"
    return f"this algorithm is refused; the certificate's key takes {wanted}"


def _check_validity(held: Held, received_at: datetime) -> None:
    certificate = held.certificate
    if received_at > certificate.not_after:
        raise _RefusedError("SIG06", "207", f"the certificate expired on {certificate.not_after:%Y-%m-%d}")
    if received_at < certificate.not_before:
        raise _RefusedError("SIG06", "207", f"the certificate is not valid before {certificate.not_before:%Y-%m-%d}")


def _diagnose(payload: bytes, diagnosis: Diagnosis | None) -> str:
    """What ZSG-3 says about a wrong signature. ZSG-3 is not authenticated, so it decides nothing."""
    if diagnosis is None:
        return "the signature does not fit the message"
    if (diagnosis.length, diagnosis.sha256) == (len(payload), hashlib.sha256(payload).hexdigest()):
        return "bytes agree: wrong key"
    changed = f"bytes changed after signing ({diagnosis.length} signed, {len(payload)} received)"
    mistakes = {
        "with CRLF": payload.replace(b"\r", b"\r\n"),
        "with LF": payload.replace(b"\r", b"\n"),
        "without the CR before ZSG": payload[:-1],
    }
    for how, guess in mistakes.items():
        if hashlib.sha256(guess).hexdigest() == diagnosis.sha256:
            return f"{changed}: it was signed {how}"
    return changed


def _check_structure(payload: bytes, *, preamble: bool) -> None:
    if preamble:
        raise _RefusedError("SIG11", "102", "there are bytes before MSH, a byte-order mark perhaps")
    if len(payload.translate(None, _CONTROLS)) != len(payload):
        rest = payload.replace(b"\x1b", b"") if _shifts(payload) else payload
        if len(rest.translate(None, _CONTROLS)) != len(rest):
            raise _RefusedError("SIG11", "102", "there is a control character in the message")
    if not payload.startswith(_DELIMITERS):
        raise _RefusedError("SIG11", "102", "MSH-1 and MSH-2 are not |^~\\& or |^~\\&#")
    if payload.find(b"\rMSH") >= 0:
        raise _RefusedError("SIG11", "102", "a second MSH segment")


def _shifts(payload: bytes) -> bool:
    """Whether MSH-18 names a character set of ISO 2022, in which ESC is part of the text."""
    fields = payload[: payload.find(b"\r")].split(b"|", 18)
    return len(fields) > 17 and _SHIFTS.search(fields[17]) is not None


def _check_binding(msh: Msh, bound: _Bound) -> None:
    """Refuse with all mismatches at once, because an interface with one wrong field usually has several."""
    if (
        _first(msh.processing_id) in bound.processing_ids
        and _first(msh.sending_facility) in bound.facilities
        and _first(msh.receiving_application) == bound.application
        and _first(msh.receiving_facility) == bound.facility
    ):
        return
    fields = (
        ("MSH-11", "202", msh.processing_id, bound.processing_ids),
        ("MSH-4", "207", msh.sending_facility, bound.facilities),
        ("MSH-5", "207", msh.receiving_application, frozenset((bound.application,))),
        ("MSH-6", "207", msh.receiving_facility, frozenset((bound.facility,))),
    )
    wrong = [(name, err3, _first(came), allowed) for name, err3, came, allowed in fields if _first(came) not in allowed]
    if wrong:
        text = "; ".join(f"{name} is {_shown(came)}, expected {_expected(allowed)}" for name, _, came, allowed in wrong)
        raise _RefusedError("SIG08", wrong[0][1], text)


def _shown(came: bytes) -> str:
    """The value of a header field if it looks like a system's name, never a value that may be a person's number."""
    if not came:
        return "empty"
    if _SYSTEM_NAME.fullmatch(came) and sum(48 <= byte < 58 for byte in came) <= _MOST_DIGITS:
        return came.decode("ascii")
    return f"something else ({len(came)} bytes)"


def _expected(allowed: frozenset[bytes]) -> str:
    names = [
        name.decode("utf-8").encode("ascii", "replace").decode("ascii")[:_LONGEST_NAME] for name in sorted(allowed)
    ]
    more = [f"{len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    return " or ".join([*names[:_MOST_NAMES], *more])


def _sent(msh: Msh, trust: Trust, received_at: datetime) -> Sent:
    """MSH-7, if it is fresh. In an hour that the clocks repeat, a reading too far ahead of our clock is ruled out."""
    if not msh.date_time.strip():
        raise _RefusedError("SIG09", "102", "MSH-7 is missing")
    try:
        sent = read_sent(msh.date_time, trust.zone)
    except ValueError as error:
        raise _RefusedError("SIG09", "102", f"MSH-7 cannot be read: {error}") from None
    age = received_at - sent.at
    if age > trust.freshness.max_age:
        raise _RefusedError("SIG09", "102", f"MSH-7 is {age.days} days old, which is too old")
    if -age > trust.freshness.max_ahead:
        raise _RefusedError("SIG09", "102", f"MSH-7 is {int(-age.total_seconds() // 60)} minutes ahead of our clock")
    within = min(sent.within, max(sent.resolution, age + trust.freshness.max_ahead))
    return sent if within == sent.within else sent._replace(within=within)


def _first(field: bytes) -> bytes:
    return field.split(b"^", 1)[0] if b"^" in field else field
