"""The staff's pages on a real socket: odd requests, wrong hosts and half requests, as proxies and strangers send them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from portal.http_limits import Closed, HttpLimits
from portal.page_request import Answer, PageRequest, PlainText, Redirect
from portal.people import Session
from portal.roles import Permission, Role
from portal.route_table import Page
from portal.server import serve
from portal.staff_app import build
from tests.portal.pages.staff import NOW, FakeSessions, person, session_of

PATIENCE: Final = 30
HOST: Final = "portal.lamna.example"
TOKEN: Final = "t" * 43
SAME_SITE: Final = "Sec-Fetch-Site: same-origin\r\n"


@dataclass
class Behind:
    """What came through the door."""

    address: tuple[str, int] = ("", 0)
    session: Session = field(default_factory=lambda: session_of(person(Role.ADMINISTRATOR)))
    changes: int = 0
    closed: list[Closed] = field(default_factory=list)

    def show(self, request: PageRequest) -> Answer:
        login = "nobody" if request.session is None else request.session.person.login
        return PlainText(text=f"{login} at {request.path}")

    def change(self, request: PageRequest) -> Answer:
        self.changes += 1
        return Redirect(path="/")

    async def ask(self, head: str, body: str = "") -> str:
        """The whole answer to `head`, which is sent as it is."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(*self.address)
            writer.write(f"{head}Connection: close\r\n\r\n{body}".encode("latin-1"))
            answer = await reader.read()
            writer.close()
        return answer.decode("utf-8")


@asynccontextmanager
async def door(limits: HttpLimits | None = None) -> AsyncIterator[Behind]:
    behind = Behind()
    pages = (
        Page(name="Overview", path="/", permission=Permission.SEE, handler=behind.show),
        Page(name="Hello", path="/hello", signed_in=False, handler=behind.show),
        Page(name="Change", path="/change", method="POST", permission=Permission.SEE, handler=behind.change),
    )
    with ThreadPoolExecutor(2) as threads:
        app = build(
            pages,
            sessions=FakeSessions(by_token={TOKEN: behind.session}),
            organization=lambda: "Lamna Healthcare",
            zone=lambda: ZoneInfo("America/Los_Angeles"),
            public_url=f"https://{HOST}",
            trusted_proxies=lambda: [],
            now=lambda: NOW,
            threads=threads,
            report=lambda path, error: None,
        )
        async with serve(app, "127.0.0.1", 0, behind.closed.append, limits) as behind.address:
            yield behind


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"GET /hello HTTP/1.1\r\nHost: {HOST}\r\n", "200"),
        (f"GET /hello HTTP/1.1\r\nHost: {HOST.upper()}\r\n", "200"),
        (f"GET /hello HTTP/1.0\r\nHost: {HOST}\r\n", "200"),
        ("GET /hello HTTP/1.0\r\n", "421"),
        ("GET /hello HTTP/1.1\r\n", "400"),
        (f"GET /hello HTTP/1.1\r\nHost: {HOST}\r\nHost: evil.example\r\n", "400"),
        ("GET /hello HTTP/1.1\r\nHost:\r\n", "421"),
        ("GET /hello HTTP/1.1\r\nHost: evil.example\r\n", "421"),
        ("GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n", "421"),
        (f"GET /hello HTTP/1.1\r\nHost: {HOST}:8443\r\n", "421"),
        (f"GET /hello HTTP/1.1\r\nHost: {HOST}.\r\n", "421"),
        (f"GET /hello HTTP/1.1\r\nHost: {HOST}.evil.example\r\n", "421"),
        (f"GET /hello HTTP/1.1\r\nHost: {HOST}@evil.example\r\n", "421"),
        (f"GET /hello HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: {HOST}\r\n", "421"),
        (f"GET /hello HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-Host: evil.example\r\n", "200"),
        (f"GET /hello HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-Proto: http\r\n", "200"),
        ("GET /hello HTTP/1.1\r\nHost: evil.example\r\nForwarded: host=" + HOST + "\r\n", "421"),
    ],
    ids=[
        "the portal's", "in capitals", "HTTP 1.0", "HTTP 1.0 without one", "without one", "two", "empty", "another",
        "the address", "another port", "a dot at its end", "a longer name", "as a user name", "forwarded, and another",
        "another forwarded", "forwarded as http", "forwarded in the standard's way",
    ],
)  # fmt: skip
async def test_the_host_decides(head: str, status: str) -> None:
    async with door() as behind:
        answer = await behind.ask(head)
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert "evil" not in answer


async def test_a_wrong_host_changes_nothing() -> None:
    body = f"csrf={session_of(person(Role.ADMINISTRATOR)).csrf}"
    rest = (
        f"Cookie: __Host-carebell={TOKEN}\r\n{SAME_SITE}Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n"
    )
    async with door() as behind:
        answer = await behind.ask(f"POST /change HTTP/1.1\r\nHost: evil.example\r\n{rest}", body)
        assert (answer[:12], behind.changes) == ("HTTP/1.1 421", 0)
        answer = await behind.ask(f"POST /change HTTP/1.1\r\nHost: {HOST}\r\n{rest}", body)
        assert (answer[:12], behind.changes) == ("HTTP/1.1 303", 1)


@pytest.mark.parametrize(
    "target",
    ["//", "//hello", "/hello//", "//evil.example/", "/%2f%2fevil.example", "/\\evil.example", "/hello/", "/./hello"],
)
async def test_an_address_that_is_no_pages_leads_nowhere_else(target: str) -> None:
    async with door() as behind:
        answer = await behind.ask(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n")
    assert answer.startswith("HTTP/1.1 404 ")
    assert "location:" not in answer.lower()


@pytest.mark.parametrize("target", [f"https://{HOST}/hello", "http://evil.example/hello", "http://evil.example", "*"])
async def test_a_target_with_a_host_of_its_own_is_no_page(target: str) -> None:
    """What is for a forward proxy. Nothing of it comes back in a link or a redirect."""
    async with door() as behind:
        answer = await behind.ask(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n")
    assert answer.startswith("HTTP/1.1 404 ")
    assert "evil" not in answer


async def test_long_cookies_of_other_sites_keep_nobody_out() -> None:
    others = "; ".join(f"other{number}={'x' * 410}" for number in range(20))
    assert len(others) > 8192
    async with door() as behind:
        head = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: {others}; __Host-carebell={TOKEN}\r\n"
        answer = await behind.ask(head)
        assert answer.endswith("\r\n\r\nkim at /")
        answer = await behind.ask(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: __Host-carebell={'t' * 8192}\r\n")
        assert answer.startswith("HTTP/1.1 303 ")


@pytest.mark.parametrize(
    "half",
    [
        b"GET /hello HTTP/1.1\r\nHost: port",
        b"POST /change HTTP/1.1\r\nHost: portal.lamna.example\r\nContent-Length: 100\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\ncsrf=",
    ],
    ids=["head", "body"],
)
async def test_half_a_request_ends_and_keeps_nobody_waiting(half: bytes) -> None:
    async with door(HttpLimits(whole_request=0.1)) as behind, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*behind.address)
        writer.write(half)
        await writer.drain()
        answer = await behind.ask(f"GET /hello HTTP/1.1\r\nHost: {HOST}\r\n")
        assert answer.startswith("HTTP/1.1 200 ")
        assert not (await _rest(reader)).startswith(b"HTTP/1.1 2")
        assert [closed.reason for closed in behind.closed] == ["too_slow"]
        assert behind.changes == 0
        writer.close()


async def test_a_crowd_of_half_requests_gives_way() -> None:
    """The one that has waited longest is closed for the next; there is a place for a whole request."""
    async with door(HttpLimits(whole_request=3600, connections=5)) as behind, asyncio.timeout(PATIENCE):
        crowd = [await asyncio.open_connection(*behind.address) for _ in range(8)]
        for _, writer in crowd:
            writer.write(b"GET / HTTP/1.1\r\nHo")
        answer = await behind.ask(f"GET /hello HTTP/1.1\r\nHost: {HOST}\r\n")
        assert answer.startswith("HTTP/1.1 200 ")
        assert {closed.reason for closed in behind.closed} == {"crowded_out"}
        for _, writer in crowd:
            writer.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""
