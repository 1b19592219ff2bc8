"""`simulator ehr`: the scheduling feed of an invented hospital, for rehearsals and load tests. Its patients do not exist."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from carebell.bootstrap.components import environment_named, load
from carebell.commands.output import print_json
from carebell.commands.progress import progress
from carebell.commands.send import SendTls, acknowledged, address, tls_context
from carebell.commands.signals import signalled
from carebell.commands.signer import Sign, signer
from carebell.exits import OK, REFUSED, TransientStop, UsageStop
from config.model import Environment
from listener.client import MllpClient, SendError
from simulator.ehr import stream
from simulator.shapes import Feed, ShapeName

_SHAPES: Final[tuple[ShapeName, ...]] = ("epic", "oracle_health")

Connect = Callable[[], Awaitable[MllpClient]]


def ehr(
    config: Path | None,
    to: str,
    *,
    environment: str | None,
    key: Path | None,
    cert: Path | None,
    tls: SendTls | None,
    seed: int | None,
    rate: float | None,
    count: int | None,
    connections: int,
    as_json: bool,
) -> int:
    """Send an invented feed until a signal or `count` messages; 1 if an answer was not AA or CA."""
    host, port = address(to)
    if (key is None) != (cert is None):
        raise UsageStop("--key and --cert go together")
    feed = Feed()
    if config is not None or environment is not None:
        loaded = load(config)
        name = environment or next(iter(loaded.configuration.environments))
        feed = feed_of(environment_named(loaded, name))
    rng = random.Random(seed if seed is not None else secrets.randbits(32))  # noqa: S311 (a rehearsal's, not a secret)
    messages = islice(stream(rng, lambda: datetime.now(UTC), feed=feed), count)
    sign = signer(key, cert) if key is not None and cert is not None else _unsigned
    hospital = _Hospital(messages=messages, count=count, sign=sign, rate=rate, as_json=as_json)
    context = tls_context(tls) if tls is not None else None

    async def connect() -> MllpClient:
        return await MllpClient.connect(host, port, tls=context, server_name=tls.name if tls else None)

    try:
        return asyncio.run(hospital.run(connect, connections))
    except SendError as error:
        raise TransientStop(f"{host}:{port}: {error}") from None


def feed_of(environment: Environment) -> Feed:
    """A feed with the header fields that the environment accepts."""
    sender = environment.sender
    return Feed(
        shape=next((shape for shape in _SHAPES if shape == environment.ehr), "generic"),
        facility=sender.facilities[0],
        receiving_application=sender.receiving_application,
        receiving_facility=sender.receiving_facility,
        processing_id=sender.processing_ids[0],
        zone=environment.time_zone,
    )


def _unsigned(content: bytes) -> bytes:
    return content


@dataclass(slots=True, kw_only=True)
class _Hospital:
    """Attributes:
    count: of the messages; None: no end. rate: messages a second; None: as fast as the answers come. answers: by code.
    """

    messages: Iterator[bytes]
    count: int | None
    sign: Sign
    rate: float | None
    as_json: bool
    answers: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    slowest: float = 0.0

    async def run(self, connect: Connect, connections: int) -> int:
        """SendError if a connection breaks; the messages sent before are summed up first."""
        began = time.monotonic()
        try:
            with signalled() as signal_received, progress("Sending", self.count) as step:
                await self._send(connect, connections, began, signal_received, step)
        finally:
            self._sum_up(time.monotonic() - began)
        return OK if set(self.answers) <= {"AA", "CA"} else REFUSED

    async def _send(
        self,
        connect: Connect,
        connections: int,
        began: float,
        signal_received: asyncio.Future[None],
        step: Callable[[int], None],
    ) -> None:
        """Send on all connections until the messages end, a signal comes, or a connection breaks."""
        senders = [asyncio.create_task(self._connection(connect, began, step)) for _ in range(connections)]
        try:
            await asyncio.wait({signal_received, *senders}, return_when=asyncio.FIRST_COMPLETED)
            if not signal_received.done():
                await asyncio.gather(*senders)
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)

    async def _connection(self, connect: Connect, began: float, step: Callable[[int], None]) -> None:
        """Send one message at a time and wait for its answer, as interface engines do. A free connection takes the next message."""
        client = await connect()
        try:
            for content in self.messages:
                number, self.sent = self.sent, self.sent + 1
                if self.rate is not None:
                    await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))
                answer = await client.send(self.sign(content))
                code, _ = acknowledged(answer.content)
                self.answers[code] += 1
                self.slowest = max(self.slowest, answer.milliseconds)
                step(1)
        finally:
            with contextlib.suppress(SendError):
                await client.close()

    def _sum_up(self, seconds: float) -> None:
        answered = self.answers.total()
        if self.as_json:
            print_json({
                "sent": self.sent, "answers": dict(self.answers), "seconds": round(seconds, 2),
                "slowest_milliseconds": round(self.slowest, 1),
            })  # fmt: skip
            return
        codes = ", ".join(f"{count} {code}" for code, count in sorted(self.answers.items())) or "none"
        pace = answered / seconds if seconds > 0 else 0.0
        print(f"{self.sent} sent; answers: {codes}; {pace:.0f} a second, the slowest after {self.slowest:.0f} ms")
