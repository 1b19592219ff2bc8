"""The HTTP port as one Starlette application: the gateway's webhooks, health and metrics.

    POST (the gateway's paths)   a text's new status; a patient's STOP, START, HELP or other words
    POST /meetings/ENVIRONMENT/… who comes and goes in a video visit (`portal.meeting_webhooks`)
    GET  /health                 200 ready, 503 not; JSON       GET  /metrics          Prometheus text
    GET  /jwks.json              the public keys with which Carebell signs in at EHRs; 404 without any
    GET  /livez /readyz /healthz 200 or 503 for orchestrators; ?verbose shows each check

Collaborators are passed as callables, so that tests build the same application with fakes. Anybody who reaches the port may see
the answers, so none holds patient data. There is no access log, because its lines would hold callback queries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifier.replies import Inbound
from notifier.webhook import StatusUpdate, Webhook
from portal.health import Health
from portal.probes import probe_routes
from portal.webhooks import Report, endpoint

Answer = TypeVar("Answer")

HEALTH_TIMEOUT = 5.0
"""Seconds until a health check counts as failed. Load balancers usually wait 5 to 10."""
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def build(
    *,
    webhooks: Sequence[Webhook],
    on_status: Callable[[StatusUpdate], Awaitable[None]],
    on_inbound: Callable[[Inbound], Awaitable[None]],
    health: Callable[[], Awaitable[Health]],
    metrics: Callable[[], bytes],
    report: Report,
    meetings: Route | None = None,
    public_keys: Callable[[], Mapping[str, Any]] = dict,
) -> Starlette:
    """The application.

    Args:
        webhooks: the webhooks of the gateway in use, if it has any.
        on_status, on_inbound: handle a genuine webhook's value; idempotent, in any order. An exception becomes 503.
        health: the answer to GET /health; metrics: the Prometheus exposition for GET /metrics. Requests at the same time share one
        call. report: gets every webhook, including refused ones. meetings: `meeting_webhooks.meeting_route`; None: no visits.
        public_keys: a JWK set (RFC 7517), read from files in a thread; empty: there are none.
    """

    async def take(value: StatusUpdate | Inbound) -> None:
        if isinstance(value, StatusUpdate):
            await on_status(value)
        else:
            await on_inbound(value)

    ask_health = Shared(health)

    async def render_metrics() -> bytes:
        return metrics()

    ask_metrics = Shared(render_metrics)

    async def state_now() -> Health:
        with suppress(Exception):  # the check did not finish, so the node is not ready
            async with asyncio.timeout(HEALTH_TIMEOUT):
                return await ask_health()
        return Health(live=False)

    async def show_health(request: Request) -> Response:
        state = await state_now()
        return JSONResponse(state.as_json(), status_code=200 if state.ready else 503)

    async def show_metrics(request: Request) -> Response:
        return Response(await ask_metrics(), headers={"content-type": METRICS_TYPE})

    async def read_public_keys() -> Mapping[str, Any]:
        return await asyncio.to_thread(public_keys)

    ask_public_keys = Shared(read_public_keys)

    async def show_public_keys(request: Request) -> Response:
        keys = await ask_public_keys()
        if not keys.get("keys"):
            return Response(status_code=404)
        return JSONResponse(dict(keys), media_type="application/jwk-set+json")

    routes = [Route("/health", show_health, methods=["GET"]), Route("/metrics", show_metrics, methods=["GET"])]
    routes.append(Route("/jwks.json", show_public_keys, methods=["GET"]))
    routes += probe_routes(state_now)
    routes += [
        Route(webhook.path, endpoint(webhook, take, report), methods=["POST"], name=webhook.name)
        for webhook in webhooks
    ]
    if meetings is not None:
        routes.append(meetings)
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False  # a redirect would repeat a callback's query in a Location header
    app.add_middleware(PlainHeaders)
    return app


class Shared(Generic[Answer]):
    """Callers that ask while a call is under way share its result, so many requests cost no more than one."""

    def __init__(self, ask: Callable[[], Awaitable[Answer]]) -> None:
        self._ask = ask
        self._running: asyncio.Task[Answer] | None = None

    async def __call__(self) -> Answer:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._answer())
            self._running.add_done_callback(_seen)
        return await asyncio.shield(self._running)

    async def _answer(self) -> Answer:
        return await self._ask()


def _seen(task: asyncio.Task[Answer]) -> None:
    """Mark the task's exception as seen. Callers that still wait get it; if nobody waits, it is dropped."""
    if not task.cancelled():
        task.exception()


class PlainHeaders:
    """Adds headers to every answer: do not store it, do not guess its type."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, receive, send_with_headers)
