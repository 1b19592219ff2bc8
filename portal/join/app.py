"""The patients' door as one Starlette application: another origin than the staff's pages and the gateway's webhooks.

    GET  /j/{token}             what there is to say of the visit now; changes nothing, however often anybody fetches it
    POST /j/{token}/here        somebody is here (the page's script, while it is visible; or a button)
    POST /j/{token}/leave       they left the waiting room
    POST /j/{token}/go          they go on to the meeting
    GET  /j/{token}/visit.ics   the time, for a calendar

There are no accounts, and below a token no cookies: who has a link may use it. A POST must come from a page of this site. The
pages send no referrer, so that browsers that know no fetch metadata name their origin as `null`; nobody else has the token in the
address. Unknown, revoked and ended links have one answer, byte for byte, in the language that the browser asks for. Further pages
below a token are further routes (`Below`), such as those of `portal.join.device_test`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from functools import partial
from typing import Final, TypeVar
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from portal.join.calendar import calendar_file
from portal.join.desk import JoinDesk, JoinView, JoinWords
from portal.join.guessing import Guesses
from portal.join.rendering import JoinRenderer, static_files
from portal.limited_body import read_limited
from portal.origin import Network, peer_of
from portal.own_host import OwnHost
from portal.static_files import StaticEndpoint

Value = TypeVar("Value")
Below = Callable[[Request, str], Awaitable[Response]]
"""Answers a further address below a token: the request, and the token."""


class NoVisit(Exception):
    """What answers below a token raises it where that leads to no visit: the answer is that of every such link."""


HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": (
        "accelerometer=(), camera=(self), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
        "microphone=(self), payment=(), usb=()"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow, noarchive",
}
_ELSEWHERE: Final = "This is not the address of these pages."
_LARGEST_BODY: Final = 1_024
_DEVICE: Final = re.compile(r"[A-Za-z0-9]{1,40}")


def build(
    desk: JoinDesk,
    words: JoinWords,
    *,
    public_url: str,
    trusted_proxies: Callable[[], Sequence[Network]],
    now: Callable[[], datetime],
    threads: Executor,
    unknown: Callable[[str | None, bool], None],
    report: Callable[[Exception], None],
    below: Mapping[tuple[str, str], Below] | None = None,
    further: Sequence[Route] = (),
    guesses: Guesses | None = None,
    seconds: Callable[[], float] = time.monotonic,
) -> ASGIApp:
    """The application.

    Args:
        public_url: of these pages. trusted_proxies: whose X-Forwarded-For counts, as it is now.
        now: UTC. seconds: a monotonic counter.
        threads: where the desk is asked.
        unknown: gets the address that opened a link which leads to no visit, and whether it was over its limit.
        report: gets what the desk raised unexpectedly.
        below: (method, the rest of the path, such as `/test`) -> what answers there. further: routes beside `/j/`.
    """
    pages = _Pages(
        desk, words, now, threads, unknown, report, trusted_proxies, guesses or Guesses(), seconds, public_url
    )
    static = StaticEndpoint(pages.renderer.static)

    async def static_file(request: Request) -> Response:
        return static.answer(request)

    async def robots(request: Request) -> Response:
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    async def favicon(request: Request) -> Response:
        return RedirectResponse(pages.renderer.static["favicon.svg"].address, status_code=302)

    async def problem(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 400
        return pages.nothing_here(request) if status == 404 else pages.refused(request, "page.not_like_this", status)

    async def further_below(answer: Below, request: Request) -> Response:
        try:
            return await answer(request, request.path_params["token"])
        except NoVisit:
            return pages.no_visit(request)

    routes = [
        Route("/j/{token}", pages.show, methods=["GET"]),
        Route("/j/{token}/visit.ics", pages.calendar, methods=["GET"]),
        Route("/j/{token}/here", pages.here, methods=["POST"]),
        Route("/j/{token}/leave", pages.leave, methods=["POST"]),
        Route("/j/{token}/go", pages.go, methods=["POST"]),
        *(
            Route(f"/j/{{token}}{path}", partial(further_below, answer), methods=[method])
            for (method, path), answer in (below or {}).items()
        ),
        *further,
        Route("/robots.txt", robots, methods=["GET"]),
        Route("/static/{name}", static_file, methods=["GET"]),
        Route("/favicon.ico", favicon, methods=["GET"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: problem})
    app.router.redirect_slashes = False
    return OwnHost(app, public_url, HEADERS, _ELSEWHERE)


class _Pages:
    """The endpoints."""

    def __init__(
        self,
        desk: JoinDesk,
        words: JoinWords,
        now: Callable[[], datetime],
        threads: Executor,
        unknown: Callable[[str | None, bool], None],
        report: Callable[[Exception], None],
        trusted_proxies: Callable[[], Sequence[Network]],
        guesses: Guesses,
        seconds: Callable[[], float],
        public_url: str,
    ) -> None:
        self._desk = desk
        self._now = now
        self._threads = threads
        self._unknown = unknown
        self._report = report
        self._trusted_proxies = trusted_proxies
        self._guesses = guesses
        self._seconds = seconds
        self._public_url = public_url
        self.renderer = JoinRenderer(words, static_files())

    async def show(self, request: Request) -> Response:
        """GET and HEAD."""
        token = request.path_params["token"]
        return await self._answer(request, partial(self._desk.look, token), partial(self._page, token, request))

    async def calendar(self, request: Request) -> Response:
        token = request.path_params["token"]

        def made(view: JoinView) -> Response:
            content = calendar_file(view, self.renderer.words_of(view), now=self._now())
            if content is None:
                return self.nothing_here(request)
            headers = {"content-disposition": 'attachment; filename="visit.ics"'}
            return Response(content, media_type="text/calendar; charset=utf-8", headers=headers)

        return await self._answer(request, partial(self._desk.look, token), made)

    async def here(self, request: Request) -> Response:
        return await self._act(request, lambda token, device, by: self._desk.stay(token, device, by_script=by))

    async def leave(self, request: Request) -> Response:
        return await self._act(request, lambda token, device, _: self._desk.leave(token, device))

    async def go(self, request: Request) -> Response:
        """To the meeting by a page that leads on by itself: form-action keeps browsers from following a redirect elsewhere."""
        token = request.path_params["token"]
        device, refusal = await self._posted(request)
        if refusal is not None:
            return refusal
        return await self._answer(
            request,
            partial(self._desk.go, token, device),
            lambda way: HTMLResponse(self.renderer.on_the_way(way, token, device)),
        )

    def nothing_here(self, request: Request) -> Response:
        """Of a link that is unknown, revoked or over."""
        return HTMLResponse(self.renderer.nothing(languages_of(request)), status_code=404)

    def refused(self, request: Request, key: str, status: int, **headers: str) -> Response:
        """What no page of this site asks for."""
        return _refused(request, self.renderer, key, status, **headers)

    async def _act(self, request: Request, act: Callable[[str, str, bool], JoinView | None]) -> Response:
        token = request.path_params["token"]
        by_script = request.headers.get("accept", "").startswith("application/json")
        device, refusal = await self._posted(request)
        if refusal is not None:
            return refusal

        def answered(view: JoinView) -> Response:
            if by_script:
                return JSONResponse(self.renderer.state(view, self._now()))
            return RedirectResponse(f"/j/{token}?d={device}", status_code=303)

        return await self._answer(request, partial(act, token, device, by_script), answered)

    async def _answer(
        self, request: Request, ask: Callable[[], Value | None], respond: Callable[[Value], Response]
    ) -> Response:
        def work() -> Response | None:
            try:
                value = ask()
                return None if value is None else respond(value)
            except Exception as error:
                self._report(error)
                return HTMLResponse(self.renderer.failed(languages_of(request)), status_code=500)

        response = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        return self.no_visit(request) if response is None else response

    def no_visit(self, request: Request) -> Response:
        """Count the unknown link, and say that there is nothing."""
        client = request.client.host if request.client else None
        address = peer_of(client, request.headers.get("x-forwarded-for"), self._trusted_proxies())
        over = self._guesses.over_limit(address, self._seconds())
        self._unknown(address, over)
        if over:
            return self.refused(request, "page.too_many", 429, **{"retry-after": "60"})
        return self.nothing_here(request)

    def _page(self, token: str, request: Request, view: JoinView) -> Response:
        device = request.query_params.get("d", "")
        return HTMLResponse(
            self.renderer.page(view, token, device if _DEVICE.fullmatch(device) else None, self._now()),
        )

    async def _posted(self, request: Request) -> tuple[str, Response | None]:
        """The device that a POST names, or why it is refused."""
        return await posted(request, self.renderer, self._public_url, "device", _DEVICE)


async def posted(
    request: Request, renderer: JoinRenderer, public_url: str, field: str, pattern: re.Pattern[str] | None
) -> tuple[str, Response | None]:
    """One field of a small form of these pages, or why the POST is refused.

    Args:
        pattern: of the whole value; None: the field is not needed.
    """
    if not is_own_page(request.headers, public_url):
        return "", _refused(request, renderer, "page.not_from_here", 403)
    try:
        body = await read_limited(request, _LARGEST_BODY)
    except ClientDisconnect:
        body = None
    value = parse_qs((body or b"").decode("ascii", "replace")).get(field, [""])[-1]
    if pattern is not None and pattern.fullmatch(value) is None:
        return "", _refused(request, renderer, "page.not_like_this", 400)
    return value, None


def _refused(request: Request, renderer: JoinRenderer, key: str, status: int, **headers: str) -> Response:
    return PlainTextResponse(renderer.line(key, languages_of(request)), status, headers)


def languages_of(request: Request) -> str:
    """What the browser asks for (Accept-Language)."""
    return request.headers.get("accept-language", "")


def is_own_page(headers: Headers, public_url: str) -> bool:
    """Whether a POST comes from one of these pages: by fetch metadata, else by an origin that is ours, or `null`, as under
    `no-referrer`. Something that names neither is no browser's form."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return headers.get("origin") in ("null", public_url)
