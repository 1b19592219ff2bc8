"""The device test's pages, which `portal.join.app.build` takes as further ones:

    GET  /j/{token}/test           the test; changes nothing
    POST /j/{token}/test           its result, as codes
    POST /j/{token}/test/servers   servers for the test call, with credentials for a few minutes
    GET  /test                     the same test without a visit: nothing is stored, and no relay is lent to strangers
    POST /test/servers             its servers
    GET  /test/ping                a round trip
    POST /test/down, /test/up      a quarter of a megabyte this way, and that way

Picture and sound never come here. What is large or stored is answered only to pages of this site, and limited.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, Protocol, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from meetings.turn import IceServer
from portal.join.app import Below, NoVisit, is_own_page, languages_of
from portal.join.browsers import PatientBrowser, browser_of
from portal.join.desk import JoinDesk, JoinView
from portal.join.device_words import sentences_for, steps_for
from portal.join.guessing import Guesses
from portal.join.rendering import JoinRenderer
from portal.limited_body import read_limited
from portal.origin import Network, peer_of
from scheduler.device_test import DeviceTestStep, read_results

Value = TypeVar("Value")
Recorded = Literal["stored", "too_many"]

BYTES: Final = 262_144
"""Each way."""
CALL_SECONDS: Final = 10
_LARGEST_RESULT: Final = 1_024
_LOADS_PER_MINUTE: Final = 20
"""Up or down, from one address: ten tests."""
_ALL_LOADS_PER_MINUTE: Final = 480
_RESULTS_PER_MINUTE: Final = 6
"""Of one link; also how often it gets credentials."""
_TESTED: Final = ("early", "lobby", "waiting", "admitted")


class DeviceTestDesk(Protocol):
    """What the test asks for; `carebell.patients` implements it. Blocking."""

    def offered(self) -> bool:
        """Whether any environment has a device test."""
        ...

    def servers(self, token: str | None) -> Sequence[IceServer] | None:
        """For a test call; without a token those that need no credentials. None: the link leads to no visit with a test."""
        ...

    def record(self, token: str, results: Mapping[DeviceTestStep, str], browser: PatientBrowser) -> Recorded | None:
        """Store one run of the test. None: the link leads to no visit with a test."""
        ...


@dataclass(frozen=True, kw_only=True)
class DeviceTestPages:
    """Attributes:
    public_url: of these pages. threads: where the desks are asked.
    trusted_proxies: whose X-Forwarded-For counts, as it is now.
    report: gets what a desk raised unexpectedly. seconds: a monotonic counter.
    """

    desk: DeviceTestDesk
    join: JoinDesk
    renderer: JoinRenderer
    public_url: str
    threads: Executor
    trusted_proxies: Callable[[], Sequence[Network]]
    report: Callable[[Exception], None]
    seconds: Callable[[], float] = time.monotonic
    _loads: Guesses = field(default_factory=lambda: Guesses(per_minute=_LOADS_PER_MINUTE))
    _all_loads: Guesses = field(default_factory=lambda: Guesses(per_minute=_ALL_LOADS_PER_MINUTE))
    _of_links: Guesses = field(default_factory=lambda: Guesses(per_minute=_RESULTS_PER_MINUTE))
    _load: bytes = field(default_factory=partial(secrets.token_bytes, BYTES), repr=False)

    def below(self) -> dict[tuple[str, str], Below]:
        """(method, path below a token) -> what answers there."""
        return {
            ("GET", "/test"): self._show,
            ("POST", "/test"): self._result,
            ("POST", "/test/servers"): self._servers,
        }

    def further(self) -> list[Route]:
        """What answers beside `/j/`."""
        return [
            Route("/test", self._show_without_visit, methods=["GET"]),
            Route("/test/servers", self._plain_servers, methods=["POST"]),
            Route("/test/ping", self._ping, methods=["GET"]),
            Route("/test/down", self._down, methods=["POST"]),
            Route("/test/up", self._up, methods=["POST"]),
        ]

    # Below a token

    async def _show(self, request: Request, token: str) -> Response:
        view = await self._asked(lambda: self.join.look(token))
        if view is None:
            raise NoVisit
        if not view.test or view.stage not in _TESTED:
            raise HTTPException(404)
        return self._page(request, organization=view.organization, contact=view.contact, token=token, view=view)

    async def _result(self, request: Request, token: str) -> Response:
        self._require_own_page(request)
        try:
            body = await read_limited(request, _LARGEST_RESULT)
        except ClientDisconnect:
            body = None
        try:
            results = read_results(_steps(body))
        except ValueError:
            raise HTTPException(400) from None
        if self._is_over(self._of_links, f"result {token}"):
            return _too_many()
        browser = browser_of(request.headers.get("user-agent", ""))
        recorded = await self._asked(lambda: self.desk.record(token, results, browser))
        if recorded is None:
            raise NoVisit
        return _too_many() if recorded == "too_many" else Response(status_code=204)

    async def _servers(self, request: Request, token: str) -> Response:
        self._require_own_page(request)
        if self._is_over(self._of_links, f"servers {token}"):
            return _too_many()
        servers = await self._asked(lambda: self.desk.servers(token))
        if servers is None:
            raise NoVisit
        return _json(servers)

    # Without a token

    async def _show_without_visit(self, request: Request) -> Response:
        if not await self._asked(self.desk.offered):
            raise HTTPException(404)
        return self._page(request, **self.renderer.around(), token="", view=None)

    async def _plain_servers(self, request: Request) -> Response:
        self._require_own_page(request)
        servers = await self._asked(lambda: self.desk.servers(None))
        return _json(servers or ())

    async def _ping(self, request: Request) -> Response:
        return Response(status_code=204)

    async def _down(self, request: Request) -> Response:
        self._require_own_page(request)
        if self._loads_too_much(request):
            return _too_many()
        return Response(self._load, media_type="application/octet-stream")

    async def _up(self, request: Request) -> Response:
        self._require_own_page(request)
        if self._loads_too_much(request):
            return _too_many()
        try:
            body = await read_limited(request, BYTES)
        except ClientDisconnect:
            body = None
        return Response(status_code=204 if body is not None else 413)

    # How

    def _page(
        self, request: Request, *, organization: str, contact: str, token: str, view: JoinView | None
    ) -> Response:
        browser = browser_of(request.headers.get("user-agent", ""))
        words = self.renderer.words_for(languages_of(request)) if view is None else self.renderer.words_of(view)
        page = self.renderer.plain(
            "device_test.html",
            words,
            organization=organization,
            contact=contact,
            token=token,
            family=browser.family,
            waiting=view is not None and view.stage == "waiting",
            call_seconds=CALL_SECONDS,
            steps=steps_for(words),
            sentences=sentences_for(words, browser),
        )
        return HTMLResponse(page)

    async def _asked(self, ask: Callable[[], Value]) -> Value:
        try:
            return await asyncio.get_running_loop().run_in_executor(self.threads, ask)
        except Exception as error:
            self.report(error)
            raise HTTPException(500) from None

    def _require_own_page(self, request: Request) -> None:
        if not is_own_page(request.headers, self.public_url):
            raise HTTPException(403)

    def _loads_too_much(self, request: Request) -> bool:
        client = request.client.host if request.client else None
        address = peer_of(client, request.headers.get("x-forwarded-for"), self.trusted_proxies())
        return self._is_over(self._loads, address or "") or self._is_over(self._all_loads, "all")

    def _is_over(self, allowance: Guesses, source: str) -> bool:
        return allowance.over_limit(source, self.seconds())


def _steps(body: bytes | None) -> Any:
    """Raises: ValueError."""
    written = json.loads(body or b"")
    return written.get("steps") if isinstance(written, dict) else None


def _json(servers: Sequence[IceServer]) -> Response:
    """As RTCPeerConnection takes it."""
    listed = [
        {"urls": list(server.urls)}
        | ({} if server.credential is None else {"username": server.username, "credential": server.credential})
        for server in servers
    ]
    return JSONResponse({"servers": listed, "relay": any(server.credential is not None for server in servers)})


def _too_many() -> Response:
    return PlainTextResponse("Too many requests.\n", 429, {"retry-after": "60"})
