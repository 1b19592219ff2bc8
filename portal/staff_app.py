"""The staff's door as one Starlette application, made from the route table. It is another origin than the gateway's webhooks.

How a page is made: a module in `portal/pages` has a Protocol of what it asks for, its handlers, and `pages(desk)` that returns
its rows of the route table. Its template extends `layout.html`, and `portal/pages/__init__.py` lists it. A handler is a blocking
function of a `PageRequest` and answers with a `Shown`, `Redirect` or `Download`. It never opens the store: what it asks for comes
in, from `carebell/staff`. A part of a page that htmx swaps is a block with the name of the element's id: `hx-target="#results"`
gets the block `results` of the same template, so a page is written once.

Every answer carries the headers of `HEADERS`; a request for another host is answered 421.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from portal.gate import Gate, Sessions
from portal.origin import Network
from portal.own_host import OwnHost
from portal.rendering import Renderer
from portal.route_table import Page, checked
from portal.static_files import StaticEndpoint, read_all

HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), "
        "payment=(), usb=()"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_ELSEWHERE: Final = "This is not the portal's address: `portal.public_url` in carebell.yaml has it."


def build(
    pages: Sequence[Page],
    *,
    sessions: Sessions,
    organization: Callable[[], str],
    zone: Callable[[], ZoneInfo],
    public_url: str,
    trusted_proxies: Callable[[], Sequence[Network]],
    now: Callable[[], datetime],
    threads: Executor,
    report: Callable[[str, Exception], None],
) -> ASGIApp:
    """The application. Arguments: see `portal.gate.Gate` and `portal.rendering.Renderer`.

    Raises:
        ValueError: the route table has a mistake.
    """
    table = checked(pages)
    static = read_all()
    gate = Gate(
        sessions=sessions,
        renderer=Renderer(organization=organization, zone=zone, static=static, pages=table),
        public_url=public_url,
        trusted_proxies=trusted_proxies,
        now=now,
        threads=threads,
        report=report,
    )

    async def problem(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 400
        if status == 404:
            return await gate.problem(request, gate.page_request(request), 404, "There is no page at this address.")
        return await gate.problem(
            request,
            gate.page_request(request),
            status,
            "This address does not answer such a request. Nothing was changed.",
        )

    files = StaticEndpoint(static)

    async def static_file(request: Request) -> Response:
        return files.answer(request)

    async def favicon(request: Request) -> Response:
        return RedirectResponse(static["favicon.svg"].address, status_code=302)

    routes = [Route(page.path, gate.endpoint(page), methods=[page.method]) for page in _by_path(table)]
    routes += [Route("/static/{name}", static_file, methods=["GET"]), Route("/favicon.ico", favicon, methods=["GET"])]
    app = Starlette(routes=routes, exception_handlers={HTTPException: problem})
    app.router.redirect_slashes = False
    return OwnHost(app, public_url, HEADERS, _ELSEWHERE)


def _by_path(table: Sequence[Page]) -> list[Page]:
    """Addresses without parameters first, so that `/environments/new` is not an environment's name."""
    return sorted(table, key=lambda page: ("{" in page.path, page.path.count("{")))
