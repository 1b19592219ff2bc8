"""Twilio's webhooks: check their signature, and read their fields into frozen values; pure.

Source: Twilio's "Webhooks security" (X-Twilio-Signature), "Track outbound message status" and "Messaging webhooks".
The rules of this file:

- The signature is computed over the *configured* public URL, never over a `Host` or `X-Forwarded-*` header that a peer chose;
  blank form values are kept. Twilio prescribes HMAC-SHA1 for webhooks signed with an auth token; a webhook signed
  with a shared key (`X-Twilio-Webhooks-Signature-Settings`) is not supported and fails the check.
- Nothing is read from a form before its signature is verified: `read_status` and `read_inbound` take a `SignedForm`, which only
  `SignatureCheck.accept` makes.
- A patient's words are reduced to an intent (`notifier.intent`). What may answer a question goes on in memory, and is understood
  and discarded by `carebell.outbound.patient_replies`; STOP is not. Twilio answers STOP, START and HELP itself, so the
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

from notifier.intent import Intent, ReplyWords, intent
from notifier.replies import Inbound, reply_of
from notifier.twilio.codes import STATUSES, failure_of
from notifier.webhook import Acknowledgement, Forged, StatusUpdate, Unreadable, WebhookCall
from parser.phone_number import PhoneNumber

TWIML: Final = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""The answer to every webhook: received, no reply."""
ACKNOWLEDGEMENT: Final = Acknowledgement(body=TWIML, media_type="text/xml")

STATUS_PATH: Final = "/twilio/status"
INBOUND_PATH: Final = "/twilio/inbound"

MAX_FIELDS: Final = 200
"""Twilio sends about 25 fields, with add-ons 60; a form with more fields is not from Twilio."""

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
    """A webhook's fields after its signature was verified; only `SignatureCheck.accept` makes it.

    Attributes:
        form: POST fields. query: the URL's. Repeated names keep their first value. Both hold telephone numbers.
    """

    form: dict[str, str] = field(repr=False)
    query: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureCheck:
    """Checks Twilio's signature over our public URL.

    Attributes:
        public_url: where Twilio reaches us, as Twilio sees it (`gateway.twilio.public_url`); may hold a path prefix.
        tokens: auth tokens; all are accepted, so that a token can be rotated without losing a callback.
    """

    public_url: str
    tokens: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        _spellings(self.public_url)  # raise ValueError here, at the start, not at the first webhook

    def accept(self, path: str, query: str, body: bytes, signature: str | None) -> SignedForm | None:
        """The fields of a genuine webhook, or None: unsigned, wrongly signed, or not a form at all.

        Args:
            path: the path, such as `/twilio/status`; it follows `public_url`.
            query: the raw query string as received, without `?`; signed byte for byte.
            body: application/x-www-form-urlencoded.
            signature: the X-Twilio-Signature header; None if it is missing.
        """
        if not signature or not self.tokens:
            return None
        try:
            fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
            parameters = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
            encoded_signature = signature.encode("ascii")
        except ValueError:  # UnicodeError included: not UTF-8, too many fields, a signature that is not Base64
            return None
        url = self.public_url.rstrip("/") + path + (f"?{query}" if query else "")
        genuine = False
        for candidate in _spellings(url):
            for token in self.tokens:  # no early exit: the time taken does not show which token or spelling matched
                genuine |= hmac.compare_digest(
                    sign_webhook(candidate, fields, token).encode("ascii"), encoded_signature
                )
        return SignedForm(_first(fields), _first(parameters)) if genuine else None


def sign_webhook(url: str, fields: Sequence[tuple[str, str]], token: str) -> str:
    """X-Twilio-Signature: Base64 of HMAC-SHA1 over the URL and the sorted form fields, each name followed by its value.

    Repeated names contribute each different value once, in order, as Twilio's own libraries do.
    """
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    digest = hmac.new(token.encode("utf-8"), text.encode("utf-8", "surrogatepass"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode("ascii")


def _spellings(url: str) -> tuple[str, ...]:
    """The URL unchanged, without and with its port: Twilio signs either form (its own validator tries both)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    bare = host if parts.port is None else host.rpartition(":")[0]
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    hosts = (host, bare, f"{bare}:{port}")
    rest = url.partition("://")[2].partition(parts.netloc)[2]
    return tuple(dict.fromkeys(f"{parts.scheme}://{name}{rest}" for name in hosts))


def _first(fields: Sequence[tuple[str, str]]) -> dict[str, str]:
    return dict(reversed(fields))


def read_status(signed: SignedForm) -> StatusUpdate | Unreadable:
    """The value of a status callback. `Unreadable` with code `no_sid` or `no_status` if one of these is missing."""
    form = signed.form
    sid = form.get("MessageSid") or form.get("SmsSid", "")
    status = (form.get("MessageStatus") or form.get("SmsStatus", "")).lower()
    if _SID.fullmatch(sid) is None:
        return Unreadable(code="no_sid")
    if _STATUS.fullmatch(status) is None:
        return Unreadable(code="no_status")
    marker = signed.query.get("m", "")
    code = _number(form.get("ErrorCode", ""))
    return StatusUpdate(
        message_id=sid,
        status=STATUSES.get(status),
        failure=failure_of(code) if code else None,
        outbox_id=marker if _MARKER.fullmatch(marker) else None,
        attempt=_number(signed.query.get("a", "")),
    )


def _number(text: str) -> int | None:
    return int(text) if _DIGITS.fullmatch(text) else None


def read_inbound(signed: SignedForm, words: ReplyWords) -> Inbound | Unreadable:
    """The value of an inbound message.

    `Unreadable` with code `no_sender` if From is not a telephone number (a short code, a WhatsApp address), `no_recipient`
    if neither To nor MessagingServiceSid is usable, `no_sid` for a START without SID, because a repetition could not be recognised.
    A STOP without SID takes effect.
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
    intended = classified or intent(form.get("Body", ""), words)
    if intended is Intent.START and _SID.fullmatch(sid) is None:
        return Unreadable(code="no_sid")
    return reply_of(
        intended,
        form.get("Body", ""),
        phone=PhoneNumber(phone),
        senders=senders,
        message_id=sid if _SID.fullmatch(sid) else None,
        classified=classified is not None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioWebhook:
    """One of Twilio's two webhooks."""

    name: str
    path: str
    check: SignatureCheck
    reader: Callable[[SignedForm], StatusUpdate | Inbound | Unreadable]
    content_type: str = "application/x-www-form-urlencoded"
    acknowledgement: Acknowledgement = ACKNOWLEDGEMENT

    def read(self, call: WebhookCall) -> StatusUpdate | Inbound | Unreadable | Forged:
        signed = self.check.accept(self.path, call.query, call.body, call.headers.get("x-twilio-signature"))
        return Forged() if signed is None else self.reader(signed)


def twilio_webhooks(check: SignatureCheck, words: ReplyWords) -> tuple[TwilioWebhook, TwilioWebhook]:
    """The webhooks of one account: for the status of our texts, and for patients' texts."""
    return (
        TwilioWebhook(name="status", path=STATUS_PATH, check=check, reader=read_status),
        TwilioWebhook(name="inbound", path=INBOUND_PATH, check=check, reader=partial(read_inbound, words=words)),
    )
