"""Posting the simulated Twilio's webhooks to us: signed as Twilio signs, delivered once, recorded in the ledger.

The signature covers the URL we asked for (`https://sms.lamna.example/...`); `deliver_to` sends the bytes elsewhere, as a
proxy in front of us would. Source: Twilio's "Webhooks security". Twilio waits 15 s for an answer, and so does this.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import hmac
import ssl
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import urlencode, urlsplit

import h11

from simulator.account import PendingWebhook
from simulator.ledger import Delivered, Ledger

PATIENCE = 15.0
LANES = 8
"""Webhooks of one message keep their order in one lane; messages in different lanes do not wait for one another."""


def sign(url: str, fields: Mapping[str, str], token: str) -> str:
    """X-Twilio-Signature of a form webhook: Base64(HMAC-SHA1(token, URL + each sorted name and its value))."""
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class Postman:
    """Delivers webhooks in the running loop: `start`, `hand_in`, `deliver` for one that is waited for, `stop`."""

    def __init__(self, *, token: str, ledger: Ledger, clock: Callable[[], datetime], deliver_to: str | None) -> None:
        self._token = token
        self._ledger = ledger
        self._clock = clock
        self._deliver_to = deliver_to
        self._lanes: list[asyncio.Queue[PendingWebhook]] = [asyncio.Queue() for _ in range(LANES)]
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._workers = [asyncio.create_task(self._work(lane)) for lane in self._lanes]

    async def stop(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def hand_in(self, webhook: PendingWebhook) -> None:
        self._lanes[zlib.crc32(webhook.lane.encode()) % LANES].put_nowait(webhook)

    async def _work(self, lane: asyncio.Queue[PendingWebhook]) -> None:
        while True:
            await self.deliver(await lane.get())

    async def deliver(self, webhook: PendingWebhook) -> None:
        """Post it and write down the answer's status; None where there was no answer. Never raises for the receiver's faults."""
        signature = sign(webhook.url, webhook.fields, self._token)
        try:
            async with asyncio.timeout(PATIENCE):
                status = await post_form(webhook.url, webhook.fields, signature, self._deliver_to)
        except (OSError, TimeoutError, h11.RemoteProtocolError, ValueError):
            status = None
        self._ledger.write(Delivered(time=self._clock(), url=webhook.url, params=dict(webhook.fields), status=status))


@functools.cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the system's certificates takes tens of milliseconds, in which this loop answers nobody."""
    return ssl.create_default_context()


async def post_form(url: str, fields: Mapping[str, str], signature: str, deliver_to: str | None = None) -> int:
    """POST a form on a connection of its own; returns the HTTP status, without following redirects."""
    asked = urlsplit(url)
    target = urlsplit(deliver_to) if deliver_to else asked
    secure = target.scheme == "https"
    reader, writer = await asyncio.open_connection(
        target.hostname, target.port or (443 if secure else 80), ssl=_tls() if secure else None
    )
    try:
        body = urlencode(fields).encode()
        connection = h11.Connection(our_role=h11.CLIENT)
        head = h11.Request(
            method="POST",
            target=(asked.path or "/") + (f"?{asked.query}" if asked.query else ""),
            headers=[
                ("Host", asked.netloc.rpartition("@")[2]),
                ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),
                ("Content-Length", str(len(body))),
                ("X-Twilio-Signature", signature),
                ("User-Agent", "TwilioProxy/1.1"),
                ("Connection", "close"),
            ],
        )
        parts = [connection.send(head), connection.send(h11.Data(data=body)), connection.send(h11.EndOfMessage())]
        writer.write(b"".join(part for part in parts if part))
        await writer.drain()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Response):
                return event.status_code
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionResetError("closed without an answer")
    finally:
        writer.close()
