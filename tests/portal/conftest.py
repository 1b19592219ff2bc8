"""The real application around fakes, served on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from notifier.replies import Inbound
from notifier.reply_words import read_reply_words
from notifier.twilio.webhooks import SignatureCheck, twilio_webhooks
from notifier.webhook import StatusUpdate
from portal.app import build
from portal.health import Health, HealthPart
from portal.server import serve
from portal.webhooks import WebhookEvent

PUBLIC = "https://sms.lamna.example"


@dataclass
class Behind:
    """What stands behind the application: it remembers, and can be told to fail."""

    statuses: list[StatusUpdate] = field(default_factory=list)
    replies: list[Inbound] = field(default_factory=list)
    events: list[WebhookEvent] = field(default_factory=list)
    health: Health = field(default_factory=lambda: Health(parts={"database": HealthPart(ok=True)}))
    public_keys: dict[str, Any] = field(default_factory=dict)
    broken: Exception | None = None
    hang: asyncio.Event | None = None

    async def on_status(self, update: StatusUpdate) -> None:
        await self._maybe_fail()
        self.statuses.append(update)

    async def on_inbound(self, reply: Inbound) -> None:
        await self._maybe_fail()
        self.replies.append(reply)

    async def ask_health(self) -> Health:
        await self._maybe_fail()
        return self.health

    async def _maybe_fail(self) -> None:
        if self.hang is not None:
            await self.hang.wait()
        if self.broken is not None:
            raise self.broken


Ask = Callable[..., Awaitable[requests.Response]]


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
async def ask(behind: Behind) -> AsyncIterator[Ask]:
    """`await ask("POST", "/twilio/status", ...)` over a real socket."""
    app = build(
        webhooks=twilio_webhooks(SignatureCheck(public_url=PUBLIC, tokens=("t0ken",)), read_reply_words()),
        on_status=behind.on_status,
        on_inbound=behind.on_inbound,
        health=behind.ask_health,
        metrics=lambda: b"carebell_up 1\n",
        report=behind.events.append,
        public_keys=lambda: behind.public_keys,
    )
    async with serve(app, "127.0.0.1", 0) as (host, port):

        def request(method: str, path: str, **kwargs: object) -> requests.Response:
            with requests.Session() as session:
                session.trust_env = False
                return session.request(method, f"http://{host}:{port}{path}", timeout=30, **kwargs)  # type: ignore[arg-type]

        yield lambda *args, **kwargs: asyncio.to_thread(request, *args, **kwargs)
