"""A portal in memory: people with sessions, and a browser that has the cookie and sends forms as a browser does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

from httpx2 import Response
from starlette.testclient import TestClient

from portal.people import Browser as Peer
from portal.people import Person, Session, SignInRefused
from portal.roles import Role
from portal.route_table import Page
from portal.staff_app import build

NOW = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)
PUBLIC = "https://portal.lamna.example"
PASSWORD = "a long enough password"


@dataclass
class FakeSessions:
    """Sessions by token; an administrator can be asked."""

    by_token: dict[str, Session] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def session(self, token: str, *, touch: bool = True) -> Session | None:
        return self.by_token.get(token)

    def confirm_again(self, by: Session, password_or_code: str, browser: Peer) -> Session | SignInRefused:
        if password_or_code != PASSWORD:
            return SignInRefused(reason="wrong")
        return replace(by, confirmed_until=NOW + timedelta(minutes=10))

    def denied(self, by: Session, page: str, browser: Peer) -> None:
        self.refused.append((by.person.login, page))

    def people(self) -> tuple[Person, ...]:
        return (person(Role.ADMINISTRATOR),)


def person(role: Role, environments: Sequence[str] = ()) -> Person:
    names = {Role.ADMINISTRATOR: "Kim", Role.ANALYST: "Dana", Role.SUPPORT: "Sam", Role.AUDITOR: "Avery"}
    return Person(
        id=role.value,
        login=names[role].lower(),
        name=names[role],
        role=role.value,
        environments=tuple(environments),
        created_at=NOW,
    )


def session_of(somebody: Person, *, confirmed: bool = True) -> Session:
    return Session(
        key=f"key of {somebody.login}",
        person=somebody,
        csrf=f"token-of-{somebody.login}",
        created_at=NOW,
        seen_at=NOW,
        ends_at=NOW + timedelta(hours=12),
        idle_ends_at=NOW + timedelta(minutes=30),
        confirmed_until=NOW + timedelta(minutes=10) if confirmed else None,
        address="203.0.113.7",
        agent=None,
    )


@dataclass
class Browser:
    """One browser at the portal."""

    client: TestClient
    sessions: FakeSessions
    failures: list[tuple[str, Exception]]

    def sign_in(self, role: Role, environments: Sequence[str] = (), *, confirmed: bool = True) -> Browser:
        """Set the cookie of a session of somebody with this role."""
        session = session_of(person(role, environments), confirmed=confirmed)
        self.sessions.by_token["t" * 43] = session
        self.client.cookies.set("__Host-carebell", "t" * 43)
        return self

    def get(self, path: str, *, part: str | None = None) -> Response:
        """Ask for a page; `part`: as htmx asks for one of its blocks."""
        headers = {"hx-request": "true", "hx-target": part} if part else {}
        return self.client.get(path, headers=headers, follow_redirects=False)

    def post(
        self,
        path: str,
        fields: Mapping[str, Any] | None = None,
        *,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        csrf: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a form from a page of the portal, with the session's token."""
        session = self.sessions.by_token.get(self.client.cookies.get("__Host-carebell") or "")
        token = csrf if csrf is not None else (session.csrf if session else "")
        sent = {"sec-fetch-site": "same-origin"} if headers is None else dict(headers)
        data = {**(fields or {}), "csrf": token}
        return self.client.post(path, data=data, files=files, headers=sent, follow_redirects=False)


@contextmanager
def browsing(
    pages: Sequence[Page], *, sessions: FakeSessions | None = None, public_url: str = PUBLIC, now: datetime = NOW
) -> Iterator[Browser]:
    """A portal of these pages, and a browser."""
    sessions, failures = sessions or FakeSessions(), list[tuple[str, Exception]]()
    with ThreadPoolExecutor(2) as threads:
        app = build(
            pages,
            sessions=sessions,
            organization=lambda: "Lamna Healthcare",
            zone=lambda: ZoneInfo("America/Los_Angeles"),
            public_url=public_url,
            trusted_proxies=lambda: [],
            now=lambda: now,
            threads=threads,
            report=lambda path, error: failures.append((path, error)),
        )
        with TestClient(app, base_url=public_url) as client:
            yield Browser(client=client, sessions=sessions, failures=failures)


def words(response: Response) -> str:
    """What somebody reads: the text without tags, white space made one."""
    body = re.sub(r"(?s)<(head|dialog|style|script).*?</\1>", " ", response.text)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
