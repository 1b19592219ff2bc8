"""What meetings' servers post, at the HTTP port: `/meetings/ENVIRONMENT/…`. Limits, proof, content, and a quick answer.

Order: environment, content type, size, proof that the meeting's server sent it, content. A refused call changes nothing. Answers:
200, 400 a genuine call without usable content, 403 not genuine, 404 no such environment, 413, 415, 503 a fault of Carebell, after
which the server tries again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meetings.port import MeetingEvent
from meetings.webhook import MeetingAnswer, MeetingCall, MeetingWebhook
from portal.limited_body import read_limited
from portal.webhooks import Report, WebhookEvent

LARGEST_BODY: Final = 262_144
"""A report of 200 occupants has 60 KB."""
NAME: Final = "meetings"


def meeting_route(
    webhook_of: Callable[[str], Awaitable[MeetingWebhook | None]],
    take: Callable[[str, Sequence[MeetingEvent]], Awaitable[None]],
    now: Callable[[], datetime],
    report: Report,
) -> Route:
    """The route of all environments.

    Args:
        webhook_of: an environment's name -> who proves and reads its calls; None: it has none.
        take: stores the events; it may raise after a fault of Carebell.
    """

    async def handle(request: Request) -> Response:
        answer, error = await _answer(request)
        peer = request.client.host if request.client else None
        report(WebhookEvent(webhook=NAME, answer=answer.status, code=answer.code, peer=peer, error=error))
        if answer.document is None:
            return Response(status_code=answer.status)
        return JSONResponse(dict(answer.document), status_code=answer.status)

    async def _answer(request: Request) -> tuple[MeetingAnswer, Exception | None]:
        environment = request.path_params["environment"]
        try:
            webhook = await webhook_of(environment)
            if webhook is None:
                return MeetingAnswer(status=404, code="unknown_environment"), None
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                return MeetingAnswer(status=415, code="content_type"), None
            body = await read_limited(request, LARGEST_BODY)
            if body is None:
                return MeetingAnswer(status=413, code="too_large"), None
            call = MeetingCall(path=request.path_params["rest"], headers=request.headers, body=body)
            answer = webhook.read(call, now())
            if answer.events:
                await take(environment, answer.events)
        except ClientDisconnect:
            return MeetingAnswer(status=400, code="gone"), None
        except Exception as error:  # whatever fails, the server gets an answer and the log gets the reason
            return MeetingAnswer(status=503, code="failed"), error
        return answer, None

    return Route("/meetings/{environment}/{rest:path}", handle, methods=["POST"], name=NAME)
