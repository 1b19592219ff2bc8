"""The acknowledgement of one message, built as bytes from the sender's header and a decision.

Sources: HL7 v2.9 chapter 2, sections 2.9 (processing rules) and 2.13 (ACK, MSA, ERR), the tables of hl7.md ("ACK") and
section 9 of the signing profile. The rules of the file:

- Only header fields of the message are repeated, and only if they are harmless: MSH-3 to 6, 11, 12 and 18
  are copied as bytes (so they stay in the sender's character set) unless they hold a control character, the field
  separator or more than 250 bytes; then they are left empty. Our own text is ASCII, escaped with the sender's delimiters.
- Only MSH-15 decides between original and enhanced mode. MSH-16 requests a second, later answer; none is ever sent.
- What is an answer itself (`is_response`) never gets an application answer (section 2.9.3: its MSH-16 is NE). It gets CA, CE or
  CR also where MSH-15 does not ask for it: an engine that sends one message at a time waits for something.
- Up to version 2.4 ERR has one field, ERR-1; after that ERR-2, 3, 4, 5, 7 and 8. Up to 2.3.1 MSH-9 is `ACK`. A sender
  that names no version, or an unknown one, gets the newer forms.
  - MSA-3 repeats code and text in every version, although 2.7 withdrew it, because engines show it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal

from certs.message import Msh
from parser.charsets import codec_of
from parser.event import ParseWarning

AnswerCode = Literal["AA", "AE", "AR"]
WireCode = Literal["AA", "AE", "AR", "CA", "CE", "CR"]
Severity = Literal["E", "W", "I"]

MAX_CONTROL_ID: Final = 199  # MSH-10 and MSA-2 since 2.7; 20 before, which senders exceed
_MAX_COPIED: Final = 250  # HD is 227 characters, VID and PT less
_MAX_MSA_3: Final = 120  # 80 up to 2.6, which no engine enforces; SIG07 with both lengths needs more
_MAX_ERR_TEXT: Final = 250

# Table 0357.
ERROR_TEXTS: Final[dict[str, str]] = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "104": "Value too long",
    "198": "Non-Conformant Cardinality",
    "199": "Other HL7 Error",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}

_ENHANCED: Final[dict[AnswerCode, WireCode]] = {"AA": "CA", "AE": "CE", "AR": "CR"}
_CONDITIONS: Final = frozenset({b"AL", b"ER", b"SU", b"NE"})  # table 0155
_RESPONSES: Final = frozenset({b"ACK", b"MCF", b"SRR"})
_SILENT: Final = frozenset({b"", b'""'})

_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_EVENT: Final = re.compile(rb"[A-Z][A-Z0-9]{2}")
_VERSION: Final = re.compile(rb"2\.([0-9])(?:\.([0-9]))?")
_NOT_PLAIN: Final = re.compile(r"[^ -~]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a message, before the sender's mode gives its code on the wire.

    Attributes:
        answer: in original mode; enhanced mode says CA, CE, CR instead.
        code: stable failure code of config/answers.yaml; None: accepted.
        err3: HL7 table 0357.
        text: what was found, one sentence: MSA-3 and ERR-7; no message content.
        meaning: the code's general meaning: ERR-8; "": `text` is enough.
        severity: ERR-4; W on an AA that carries a warning.
        location: where, as ERR-2 has it: `SCH^1^11`, always with `^`; None: nowhere in particular.
    """

    answer: AnswerCode
    code: str | None = None
    err3: str = "0"
    text: str = ""
    meaning: str = ""
    severity: Severity = "E"
    location: str | None = None


ACCEPTED: Final = Answer(answer="AA", text="Message accepted", severity="I")
"""Committed, or the exact duplicate of a committed message."""


def acknowledge(msh: Msh, answer: Answer, *, now: datetime, control_id: str, honour_ne: bool = False) -> bytes | None:
    """The acknowledgement, CR after its last segment, without the MLLP frame; None: the sender requests none.

    Args:
        now: aware; MSH-7.
        control_id: MSH-10 of the acknowledgement itself; printable ASCII, at most 20 characters for old receivers.
        honour_ne: stay silent on MSH-15 `NE`.
    """
    code = acknowledgement_code(msh, answer, honour_ne=honour_ne)
    if code is None:
        return None
    wire = _wire(msh.separators)
    before, between, after = _header_of(msh)
    sent = now.strftime("%Y%m%d%H%M%S%z").encode("ascii")
    header = b"".join((before, sent, between, wire.text(control_id, _MAX_COPIED), after))
    outcome = [b"MSA", code.encode("ascii"), _echoed_control_id(msh, wire)]
    segments = [outcome]
    if answer.code is not None:
        outcome.append(wire.text(f"{answer.code} {answer.text}".rstrip(), _MAX_MSA_3))
        version = _version(msh.version_id, msh.separators)
        segments.append(_old_error(answer, wire) if version <= (4, 9) else _error(answer, wire))
    return header + b"".join(wire.field.join(segment).rstrip(wire.field) + b"\r" for segment in segments)


def _header_of(msh: Msh) -> tuple[bytes, bytes, bytes]:
    """MSH of the answer: before its time, between the time and its MSH-10, and after that with the CR."""
    fields = (
        msh.receiving_application,
        msh.receiving_facility,
        msh.sending_application,
        msh.sending_facility,
        msh.message_type,
        msh.processing_id,
        msh.version_id,
        msh.character_set,
    )
    write = _recent_header if sum(map(len, fields)) <= _MAX_COPIED else _header
    return write(msh.separators, *fields)


def _header(
    separators: bytes,
    application: bytes,
    facility: bytes,
    their_application: bytes,
    their_facility: bytes,
    message_type: bytes,
    processing_id: bytes,
    version_id: bytes,
    character_set: bytes,
) -> tuple[bytes, bytes, bytes]:
    wire = _wire(separators)
    copied = (wire.copied(field) for field in (application, facility, their_application, their_facility))
    before = wire.field.join((b"MSH", wire.encoding_characters, *copied, b""))
    own_type = _message_type(message_type, separators, _version(version_id, separators))
    between = wire.field.join((b"", b"", wire.components(*own_type), b""))
    last = [b"", wire.copied(processing_id), wire.copied(version_id)]
    if character_set := wire.copied(character_set):
        last += [b"", b"", b"", b"", b"", character_set]
    return before, between, wire.field.join(last).rstrip(wire.field) + b"\r"


def acknowledgement_code(msh: Msh, answer: Answer, *, honour_ne: bool = False) -> WireCode | None:
    """MSA-1 for this sender: AA AE AR, or CA CE CR if MSH-15 requests enhanced mode; None: no answer is sent.

    CA, CE, CR also for an answer, whatever its MSH-15 says.

    With MSH-15 `ER` only messages that are not accepted get an answer, with `SU` only accepted ones. `NE` requests no answer. It
    still gets one in original mode unless `honour_ne`, because nearly every engine waits for it.
    """
    condition = msh.accept_ack
    accepted = answer.answer == "AA"
    unasked = _ENHANCED[answer.answer] if is_response(msh) else answer.answer
    if condition == b"NE":
        return None if honour_ne else unasked
    if condition not in _CONDITIONS:
        return unasked
    if condition == (b"ER" if accepted else b"SU"):
        return None
    return _ENHANCED[answer.answer]


def is_response(msh: Msh) -> bool:
    """Whether the message is an application answer: ACK, MCF (delayed, up to 2.4), or SRR, which answers an SRM."""
    kind = msh.message_type
    return kind[:3].upper() in _RESPONSES and kind[3:4] in (b"", msh.separators[1:2])


def condition_warnings(msh: Msh) -> tuple[ParseWarning, ...]:
    """A warning for each of MSH-15 and MSH-16 whose value is not of table 0155; such a value counts as empty."""
    if not msh.accept_ack and not msh.application_ack:
        return ()
    return tuple(
        ParseWarning(code="ACK_CONDITION", field=path, text=f"{path} is none of AL, ER, SU, NE; read as empty")
        for path, value in (("MSH-15", msh.accept_ack), ("MSH-16", msh.application_ack))
        if value not in _CONDITIONS and value not in _SILENT
    )


def _message_type(theirs: bytes, separators: bytes, version: tuple[int, int]) -> tuple[str, ...]:
    parts = theirs.split(separators[1:2] or b"^", 2)
    if version <= (3, 1) or len(parts) < 2 or not _EVENT.fullmatch(parts[1]):
        return ("ACK",)
    return ("ACK", parts[1].decode("ascii"), "ACK")


def _version(version_id: bytes, separators: bytes) -> tuple[int, int]:
    """(3, 1) for 2.3.1; an unknown version, or none, counts as newer than all."""
    match = _VERSION.fullmatch(version_id.split(separators[1:2] or b"^", 1)[0].strip())
    return (99, 0) if match is None else (int(match[1]), int(match[2] or 0))


def control_id_fault(msh: Msh) -> tuple[str, str] | None:
    """ERR-3 and a sentence: why an answer cannot repeat MSH-10, so that the sender could not match it; None: it can."""
    raw = msh.control_id
    if len(raw) <= MAX_CONTROL_ID and raw.isascii() and raw.isalnum():  # the usual case
        return None
    try:
        text = raw.decode(codec_of(msh.character_set.decode("ascii", "replace")) or "utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # no character set is declared; the bytes are repeated nevertheless
    if len(text) > MAX_CONTROL_ID:
        return "104", f"MSH-10 is longer than {MAX_CONTROL_ID} characters"
    if text.isprintable() and not _CONTROL.search(raw):
        return None
    return "102", "MSH-10 has characters that are not printable"


def _echoed_control_id(msh: Msh, wire: _Wire) -> bytes:
    """MSH-10 byte for byte if it is printable and at most 199 characters, else nothing."""
    raw = msh.control_id
    return b"" if wire.field in raw or control_id_fault(msh) is not None else raw


def _old_error(answer: Answer, wire: _Wire) -> list[bytes]:
    """ERR up to 2.4: ERR-1 is segment^sequence^field^error, the error a CE whose alternate part is our code."""
    place = _location(answer, 3)
    error = wire.subcomponents(answer.err3, _error_text(answer), "HL70357", answer.code or "", answer.text, "L")
    return [b"ERR", wire.component.join([*(wire.text(part, 20) for part in place), error])]


def _error(answer: Answer, wire: _Wire) -> list[bytes]:
    """ERR since 2.5."""
    place = _location(answer, 6)
    return [
        b"ERR",
        b"",
        wire.components(*place),
        wire.components(answer.err3, _error_text(answer), "HL70357"),
        answer.severity.encode("ascii"),
        wire.text(answer.code or "", 20),
        b"",
        wire.text(answer.text, _MAX_ERR_TEXT),
        wire.text(answer.meaning or answer.text, _MAX_ERR_TEXT),
    ]


def _location(answer: Answer, parts: int) -> list[str]:
    """The first `parts` of segment, sequence, field, repetition, component, subcomponent."""
    place = answer.location.split("^") if answer.location else []
    return [*place, *[""] * parts][:parts]


def _error_text(answer: Answer) -> str:
    return ERROR_TEXTS.get(answer.err3, "")


_DEFAULT_SEPARATORS: Final = b"|^~\\&"


def _usable(declared: bytes) -> bool:
    """Whether a message can be built with these delimiters: five or six different ASCII characters, no letters, digits or
    spaces."""
    if len(declared) not in (5, 6) or len(set(declared)) != len(declared):
        return False
    return all(0x20 < byte < 0x7F and not chr(byte).isalnum() for byte in declared)


class _Wire:
    """Writes values with one sender's delimiters."""

    __slots__ = ("_escapes", "component", "encoding_characters", "field", "subcomponent")

    def __init__(self, separators: bytes) -> None:
        self.encoding_characters = separators[1:]
        self.field, self.component, self.subcomponent = separators[:1], separators[1:2], separators[4:5]
        escape = chr(separators[3])
        names = zip(separators[:5].decode("ascii"), "FSRET", strict=True)
        self._escapes = str.maketrans({character: f"{escape}{name}{escape}" for character, name in names})

    def copied(self, value: bytes) -> bytes:
        """A sender's header value unchanged, or nothing if it could do harm."""
        harmful = len(value) > _MAX_COPIED or self.field in value or _CONTROL.search(value) is not None
        return b"" if harmful else value

    def text(self, text: str, limit: int) -> bytes:
        """Our own text, at most `limit` characters before escaping. Characters outside printable ASCII become `?`."""
        return _NOT_PLAIN.sub("?", text[:limit]).translate(self._escapes).encode("ascii")

    def components(self, *texts: str) -> bytes:
        """Texts as components, trailing empty ones left off."""
        return self.component.join(self.text(text, _MAX_ERR_TEXT) for text in texts).rstrip(self.component)

    def subcomponents(self, *texts: str) -> bytes:
        return self.subcomponent.join(self.text(text, _MAX_ERR_TEXT) for text in texts)


_USUAL_WIRE: Final = _Wire(_DEFAULT_SEPARATORS)


def _wire(declared: bytes) -> _Wire:
    """The writer for the sender's own MSH-1 and MSH-2; for the usual delimiters if those are not usable."""
    if declared == _DEFAULT_SEPARATORS or not _usable(declared):
        return _USUAL_WIRE
    return _Wire(declared)


_recent_header: Final = lru_cache(maxsize=256)(_header)  # a sender's answers differ in their time and MSH-10
