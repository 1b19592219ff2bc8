"""The gateway's webhooks at the HTTP port: limits, authentication, content, and the answer.

Order: method (the router), content type, size, proof that the gateway sent it, content. A refused webhook changes nothing.
Answers: 200 with the gateway's own acknowledgement, 400 a genuine webhook without usable content, 403 not genuine, 413, 415, 503 a
fault of Carebell (Carebell asks the gateway for a missed status later). Each gateway proves and reads its own calls
(`notifier.webhook.Webhook`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from notifier.replies import Inbound
from notifier.webhook import Forged, StatusUpdate, Unreadable, Webhook, WebhookCall
from portal.limited_body import read_limited

LARGEST_BODY = 65_536
"""A webhook is 1-2 KB; with a text of 1600 four-byte characters, percent-encoded, 20 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """One webhook, for the journal; no content.

    Attributes:
        webhook: its name. answer: the HTTP status it got.
        code: ok, content_type, too_large, gone, failed, or the code of a `Forged` or `Unreadable`.
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
    webhook: Webhook,
    take: Callable[[StatusUpdate | Inbound], Awaitable[None]],
    report: Report,
) -> Callable[[Request], Awaitable[Response]]:
    """The handler of one webhook.

    Args:
        take: handles the value; it may raise after a fault of Carebell.
    """

    async def handle(request: Request) -> Response:
        status, code, error = await answer(request)
        peer = request.client.host if request.client else None
        report(WebhookEvent(webhook=webhook.name, answer=status, code=code, peer=peer, error=error))
        if status != 200:
            return Response(status_code=status)
        return Response(webhook.acknowledgement.body, media_type=webhook.acknowledgement.media_type)

    async def answer(request: Request) -> tuple[int, str, Exception | None]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != webhook.content_type:
            return 415, "content_type", None
        try:
            body = await read_limited(request, LARGEST_BODY)
        except ClientDisconnect:
            return 400, "gone", None
        if body is None:
            return 413, "too_large", None
        try:
            value = webhook.read(WebhookCall(query=request.url.query, headers=request.headers, body=body))
            if isinstance(value, Forged):
                return 403, value.code, None
            if isinstance(value, Unreadable):
                return 400, value.code, None
            await take(value)
        except (
            Exception
        ) as error:  # whatever fails in the handler, the gateway gets an answer and the log gets the reason
            return 503, "failed", error
        return 200, "ok", None

    return handle
