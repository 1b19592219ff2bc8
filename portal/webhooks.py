"""Twilio's webhooks at our door: limits, signature, meaning, and the same small answer for all.

Order: method (the router), content type, size, signature, meaning. Nothing is read from a form whose signature does not hold,
and a refused webhook changes nothing. Answers: 200 with empty TwiML, 400 a genuine webhook without meaning, 403 signature
missing or wrong, 413, 415, 503 our own fault (a status Twilio could not tell us is asked for later).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from notifier.twilio.webhooks import TWIML, SignatureCheck, SignedForm, Unreadable

LARGEST_FORM = 65_536
"""A webhook is 1-2 KB; with a text of 1600 four-byte characters, percent-encoded, 20 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """One webhook, for the journal; no content.

    Attributes:
        webhook: `status` or `inbound`. answer: the HTTP status it got.
        code: ok, content_type, too_large, signature, gone, failed, or the code of an `Unreadable`.
        peer: the address it came from, or None.
        error: the exception of `failed`, for the log's traceback; None otherwise.
    """

    webhook: str
    answer: int
    code: str
    peer: str | None = None
    error: Exception | None = None


Report = Callable[[WebhookEvent], None]


def endpoint(
    name: str,
    path: str,
    check: SignatureCheck,
    take: Callable[[SignedForm], Awaitable[Unreadable | None]],
    report: Report,
) -> Callable[[Request], Awaitable[Response]]:
    """The handler of one webhook.

    Args:
        path: as it follows the public URL; the signature covers it.
        take: reads the form and does what it says; may raise for a fault of ours.
    """

    async def handle(request: Request) -> Response:
        status, code, error = await judge(request)
        peer = request.client.host if request.client else None
        report(WebhookEvent(webhook=name, answer=status, code=code, peer=peer, error=error))
        if status != 200:
            return Response(status_code=status)
        return Response(TWIML, media_type="text/xml")

    async def judge(request: Request) -> tuple[int, str, Exception | None]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            return 415, "content_type", None
        try:
            body = await _read(request)
        except ClientDisconnect:
            return 400, "gone", None
        if body is None:
            return 413, "too_large", None
        signed = check.accept(path, request.url.query, body, request.headers.get("x-twilio-signature"))
        if signed is None:
            return 403, "signature", None
        try:
            unreadable = await take(signed)
        except Exception as error:  # whatever fails behind us, Twilio gets an answer and the log gets the reason
            return 503, "failed", error
        return (200, "ok", None) if unreadable is None else (400, unreadable.code, None)

    return handle


async def _read(request: Request) -> bytes | None:
    """The body, or None as soon as it is over the limit, announced or not."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > LARGEST_FORM:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            return None
    return bytes(body)
