"""What every answer of a door of pages carries, and the refusal of requests for another host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.origin import host_of

_TRANSPORT: Final = "max-age=63072000"
"""Two years, once the pages are reached by https."""


class OwnHost:
    """Adds the security headers to every answer, and answers requests for another host with 421.

    Args:
        app: gets the requests for the host of `public_url`.
        headers: name -> value. An answer that says nothing about being stored is not stored.
        elsewhere: the sentence for a request that came to another host.
    """

    def __init__(self, app: ASGIApp, public_url: str, headers: Mapping[str, str], elsewhere: str) -> None:
        self._app = app
        self._host = host_of(public_url)
        self._headers = {**headers, **({"strict-transport-security": _TRANSPORT} if public_url[:6] == "https:" else {})}
        self._elsewhere = f"{elsewhere}\n"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        if scope["type"] == "http" and Headers(scope=scope).get("host", "").lower() != self._host:
            await PlainTextResponse(self._elsewhere, status_code=421)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)
