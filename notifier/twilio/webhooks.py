"""What Twilio's webhooks say: their signature checked, their fields read into frozen values; pure.

Source: Twilio's "Webhooks security" (X-Twilio-Signature), "Track outbound message status" and "Messaging webhooks".
The rules of this file:

- The signature is computed over the *configured* public URL, never over a `Host` or `X-Forwarded-*` header that a peer chose,
  with blank form values kept. HMAC-SHA1 is what Twilio prescribes for webhooks signed with an auth token; a webhook signed
  with a shared key (`X-Twilio-Webhooks-Signature-Settings`) is not supported and fails the check.
- Nothing is read from a form before its signature held: `read_status` and `read_inbound` take a `SignedForm`, which only
  `SignatureCheck.accept` makes.
- A patient's words are reduced to an intent (`notifier.intent`) and dropped. Twilio answers STOP, START and HELP itself, so the
  answer to every webhook is the empty `TWIML`: anything else would text the patient twice.
- A missing field, an unknown status or a strange number is a value here, never an exception.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from notifier.intent import Intent, intent
from notifier.reply_words import reply_words
from parser.phone import PhoneNumber

TWIML: Final = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""Answers every webhook: received, nothing to say."""

STATUS_PATH: Final = "/twilio/status"
INBOUND_PATH: Final = "/twilio/inbound"

MAX_FIELDS: Final = 200
"""Twilio sends about 25 fields, with add-ons 60; a form beyond this is not Twilio's."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{5,6}")
_SID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_STATUS = re.compile(r"[a-z_-]{1,32}")
_MARKER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGITS = re.compile(r"[0-9]{1,6}")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_OPT_OUT_TYPES: Final = {"STOP": Intent.STOP, "START": Intent.START, "HELP": Intent.HELP}


@dataclass(frozen=True, slots=True)
class SignedForm:
    """A webhook's fields after its signature held; made by `SignatureCheck.accept` alone.

    Attributes:
        form: POST fields. query: the URL's. Repeated names keep their first value. Both hold telephone numbers.
    """

    form: dict[str, str] = field(repr=False)
    query: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureCheck:
    """Twilio's signature over our public URL.

    Attributes:
        public_url: where Twilio reaches us, as Twilio sees it (`gateway.twilio.public_url`); may hold a path prefix.
        tokens: auth tokens; all of them count, so that a token can be rotated without losing a callback.
    """

    public_url: str
    tokens: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        _spellings(self.public_url)  # ValueError here, at start, rather than at the first webhook

    def accept(self, path: str, query: str, body: bytes, signature: str | None) -> SignedForm | None:
        """The fields of a genuine webhook, or None: unsigned, wrongly signed, or not a form at all.

        Args:
            path: the path as we know it, `/twilio/status`; it follows `public_url`.
            query: the raw query string as received, without `?`; signed byte for byte.
            body: application/x-www-form-urlencoded.
            signature: the X-Twilio-Signature header; None where it is missing.
        """
        if not signature or not self.tokens:
            return None
        try:
            fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
            asked = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
            given = signature.encode("ascii")
        except ValueError:  # UnicodeError included: not UTF-8, too many fields, a signature that is not Base64
            return None
        url = self.public_url.rstrip("/") + path + (f"?{query}" if query else "")
        genuine = False
        for candidate in _spellings(url):
            for token in self.tokens:  # no early exit: the time taken tells nothing about which token or spelling held
                genuine |= hmac.compare_digest(sign_webhook(candidate, fields, token).encode("ascii"), given)
        return SignedForm(_first(fields), _first(asked)) if genuine else None


def sign_webhook(url: str, fields: Sequence[tuple[str, str]], token: str) -> str:
    """X-Twilio-Signature: Base64 of HMAC-SHA1 over the URL and the sorted form fields, each name followed by its value.

    Repeated names contribute each different value once, in order, as Twilio's own libraries do.
    """
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    digest = hmac.new(token.encode("utf-8"), text.encode("utf-8", "surrogatepass"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode("ascii")


def _spellings(url: str) -> tuple[str, ...]:
    """The URL as it stands, without and with its port: Twilio is known to sign either (its own validator tries both)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    bare = host if parts.port is None else host.rpartition(":")[0]
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    hosts = (host, bare, f"{bare}:{port}")
    rest = url.partition("://")[2].partition(parts.netloc)[2]
    return tuple(dict.fromkeys(f"{parts.scheme}://{name}{rest}" for name in hosts))


def _first(fields: Sequence[tuple[str, str]]) -> dict[str, str]:
    return dict(reversed(fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """One status callback. Callbacks come late, doubled and in any order; what counts is decided where it is stored.

    Attributes:
        sid: the message at Twilio, `SM` and 32 hex digits.
        status: Twilio's word: queued, sent, delivered ...; may be one that did not exist when this was written.
        error_code: Twilio's ErrorCode, or None.
        outbox_id: `m=` of the callback URL: the outbox row's random id; None where it is missing or not of its form.
        attempt: `a=` of the callback URL; None likewise.
    """

    sid: str
    status: str
    error_code: int | None = None
    outbox_id: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A genuine webhook that says nothing usable: a stable `code`, no content."""

    code: str


def read_status(signed: SignedForm) -> StatusUpdate | Unreadable:
    """A status callback's value. `Unreadable` with code `no_sid` or `no_status` where the essentials are missing."""
    form = signed.form
    sid = form.get("MessageSid") or form.get("SmsSid", "")
    status = (form.get("MessageStatus") or form.get("SmsStatus", "")).lower()
    if _SID.fullmatch(sid) is None:
        return Unreadable(code="no_sid")
    if _STATUS.fullmatch(status) is None:
        return Unreadable(code="no_status")
    marker = signed.query.get("m", "")
    return StatusUpdate(
        sid=sid,
        status=status,
        error_code=_number(form.get("ErrorCode", "")),
        outbox_id=marker if _MARKER.fullmatch(marker) else None,
        attempt=_number(signed.query.get("a", "")),
    )


def _number(text: str) -> int | None:
    return int(text) if _DIGITS.fullmatch(text) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A text from a patient, reduced to what it asks for.

    Attributes:
        phone: who wrote.
        senders: what the patient wrote to, as `sms.from` may name it: the Messaging Service (first, where there is one)
            and the number. An opt-out holds for all of them: at Twilio it covers the whole service, and an environment
            may be configured with either name.
        sid: the inbound message at Twilio, or None.
        opt_out_type: whether Twilio itself classified it (`OptOutType`); False: we did, by its keyword.
    """

    phone: PhoneNumber
    senders: tuple[str, ...]
    sid: str | None = None
    opt_out_type: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut(Reply):
    """Text this number no more (STOP).

    Attributes:
        in_words: we found it among other words, and may be wrong.
    """

    in_words: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OptIn(Reply):
    """Text this number again (START)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Help(Reply):
    """Asked who we are; Twilio answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear(Reply):
    """Holds a word of STOP and was not taken for a STOP: a person looks at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Reply):
    """Anything else: counted, not kept."""


Inbound = OptOut | OptIn | Help | Unclear | Other
_REPLIES: Final[dict[Intent, Callable[..., Inbound]]] = {
    Intent.STOP: OptOut,
    Intent.STOP_IN_WORDS: partial(OptOut, in_words=True),
    Intent.START: OptIn,
    Intent.HELP: Help,
    Intent.UNCLEAR: Unclear,
    Intent.OTHER: Other,
}


def read_inbound(signed: SignedForm) -> Inbound | Unreadable:
    """An inbound message's value; its body is looked at and dropped.

    `Unreadable` with code `no_sender` where From is no telephone number (a short code, a WhatsApp address), `no_recipient`
    where neither To nor MessagingServiceSid is usable, `no_sid` for a START that could not be told from its repetition. A STOP
    is heard without one.
    """
    form = signed.form
    phone = form.get("From", "").strip()
    if _E164.fullmatch(phone) is None:
        return Unreadable(code="no_sender")
    service, to = form.get("MessagingServiceSid", ""), form.get("To", "").strip()
    senders = tuple(name for name, form_of in ((service, _SERVICE), (to, _NUMBER)) if form_of.fullmatch(name))
    if not senders:
        return Unreadable(code="no_recipient")
    classified = _OPT_OUT_TYPES.get(form.get("OptOutType", "").strip().upper())
    sid = form.get("MessageSid", "")
    asked = classified or intent(form.get("Body", ""), reply_words())
    if asked is Intent.START and _SID.fullmatch(sid) is None:
        return Unreadable(code="no_sid")
    return _REPLIES[asked](
        phone=PhoneNumber(phone),
        senders=senders,
        sid=sid if _SID.fullmatch(sid) else None,
        opt_out_type=classified is not None,
    )
