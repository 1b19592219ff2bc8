"""A service in the test's own process, on real sockets, whose clock and whose ticks the test moves."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select

from carebell.bootstrap.doors import Door
from carebell.bootstrap.service import Service
from carebell.bootstrap.service_manager import ServiceManager
from carebell.maintenance.periodic import Pace
from config.load import Loaded
from journal.logs import setup
from journal.metrics import Metrics
from listener.client import MllpClient
from notifier.gateway import Gateway
from scheduler.clock import SteppingClock
from scheduler.sms import Reason, SmsState
from store import appointments, outbox
from store.tables import metadata
from tests.story.folder import CLOCK, load, texts

BY_HAND: Final = Pace(dispatch=3600.0, reconciliation=3600.0, purge=3600.0, overdue=3600.0, alarms=3600.0)
"""The test rings itself: nothing leaves between two lines of it."""
PATIENCE: Final = 60.0
"""Seconds after which what does not happen is taken for never: a failure, not a measure."""


@dataclass(slots=True, kw_only=True)
class Clinic:
    """Attributes:
    terminal: what the service said for people.
    """

    folder: Path
    service: Service
    clock: SteppingClock
    terminal: StringIO

    def port(self, environment: str = "production") -> int:
        return next(number for port, number in self.service.ports if environment in port.environments)

    async def connect(self, environment: str = "production", **more: Any) -> MllpClient:
        return await MllpClient.connect("127.0.0.1", self.port(environment), **more)

    async def send(self, *contents: bytes, environment: str = "production") -> list[Ack]:
        """Send over one connection, each after the last one's answer."""
        client = await self.connect(environment)
        try:
            return [Ack((await client.send(content)).content) for content in contents]
        finally:
            await client.close()

    async def send_over(self, tls: ssl.SSLContext, content: bytes) -> Ack:
        """Send one message over TLS to production, which shows a certificate for carebell.example."""
        client = await self.connect(tls=tls, server_name="carebell.example")
        try:
            return Ack((await client.send(content)).content)
        finally:
            await client.close()

    # Time

    async def pass_to(self, instant: datetime) -> list[dict[str, Any]]:
        """Let time pass, stopping wherever a text falls due and a phone is to be forgotten; the texts that left."""
        before = len(texts(self.folder))
        while True:
            due = await asyncio.to_thread(self._next_due)
            if due is None or due > instant:
                break
            self.clock.move_to(max(due, self.clock.now()))
            await self.service.dispatcher.tick()
            await asyncio.to_thread(self.service.retention.round)
        self.clock.move_to(instant)
        await asyncio.to_thread(self.service.retention.round)
        return texts(self.folder)[before:]

    async def pass_by(self, span: timedelta) -> list[dict[str, Any]]:
        return await self.pass_to(self.clock.now() + span)

    def _next_due(self) -> datetime | None:
        with self.service.store.read() as conn:
            return outbox.next_due(conn)

    # What is stored and said

    def counts(self) -> dict[str, int]:
        """Rows of every table."""
        with self.service.store.read() as conn:
            return {
                name: conn.execute(select(func.count()).select_from(table)).scalar_one()
                for name, table in metadata.tables.items()
            }

    def outbox(self, reference: str | None = None) -> list[tuple[str, str, str, str]]:
        """Kind, rule, state and reason of every text and silence, by due."""
        with self.service.store.read() as conn:
            rows = list(outbox.rows(conn, appointment=reference))
        return [(row.kind.value, row.rule, row.state.value, row.reason.value) for row in rows]

    def files(self) -> list[Path]:
        """Every file of the folder but the file gateway's: that one holds numbers on purpose."""
        return [path for path in self.folder.rglob("*") if path.is_file() and path.name != "outbox.jsonl"]

    def phones(self) -> list[str | None]:
        """The appointments' phones, masked."""
        with self.service.store.read() as conn:
            return [one.phone for one in appointments.listed(conn, self.service.vault, self.clock.now())]

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The log file's lines."""
        file = self.service.loaded.configuration.log.file
        assert file is not None
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if name is None or line["event"] == name]

    def silences_without_a_line(self) -> list[tuple[object, ...]]:
        """Texts that did not leave and of which the log does not say why; what is withdrawn with a number is one line for all."""
        names = ("environment", "appointment", "kind", "rule", "revision", "reason")
        logged = {tuple(line[name] for name in names) for line in self.events("sms_suppressed")}
        with self.service.store.read() as conn:
            rows = list(outbox.rows(conn, state=SmsState.SUPPRESSED))
        silences = [
            (row.environment, row.reference, row.kind.value, row.rule, row.revision, row.reason.value)
            for row in rows
            if row.reason is not Reason.PURGED
        ]
        return [silence for silence in silences if silence not in logged]

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for what the service does by itself."""
        async with asyncio.timeout(PATIENCE):
            while not happened():  # noqa: ASYNC110  # it shows in files and tables, which ring no event
                await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Ack:
    """An acknowledgement, split as any engine does."""

    content: bytes

    @property
    def segments(self) -> dict[str, list[str]]:
        text = self.content.decode("utf-8")
        fields = [line.split(text[3]) for line in text.split("\r") if line]
        return {segment[0]: segment for segment in fields}

    @property
    def code(self) -> str:
        """MSA-1."""
        return self.segments["MSA"][1]

    @property
    def control_id(self) -> str:
        """MSA-2."""
        return self.segments["MSA"][2]

    @property
    def failure(self) -> str:
        """ERR-5.1, our code; "-" where there is no ERR."""
        error = self.segments.get("ERR")
        return error[5].split("^")[0] if error is not None else "-"


@asynccontextmanager
async def opened(
    configuration: Path,
    *,
    at: datetime = CLOCK,
    reloads: bool = False,
    gateway: Gateway | None = None,
    pace: Pace = BY_HAND,
    loaded: Loaded | None = None,
    alone: bool = True,
    manager: ServiceManager | None = None,
    doors: Sequence[Door] = (),
) -> AsyncIterator[Clinic]:
    """A started service, stopped at the end.

    Args:
        loaded: what it starts with; None: what the file says now.
        manager: what started it; None: a terminal.
        doors: beside the one for webhooks and health.
        alone: no other node writes to its database, so every silence in it has a line in this one's log.
    """
    clock, terminal, loaded = SteppingClock(at), StringIO(), loaded or load(configuration)
    level = logging.getLevelNamesMapping()[loaded.configuration.log.level.upper()]
    metrics = Metrics()
    with setup(
        now=clock.now,
        file=loaded.configuration.log.file,
        terminal=terminal,
        level=level,
        on_dropped=metrics.log_fields_dropped.inc,
    ) as journal:
        service = Service(
            loaded=loaded,
            journal=journal,
            metrics=metrics,
            clock=clock,
            pace=pace,
            reloads=reloads,
            environ={},
            gateway=gateway,
            manager=manager or ServiceManager(),
            doors=doors,
        )
        await service.start()
        clinic = Clinic(folder=configuration.parent, service=service, clock=clock, terminal=terminal)
        try:
            yield clinic
            if alone and level <= logging.INFO:
                assert clinic.silences_without_a_line() == []
        finally:
            await service.stop()
        assert journal.dropped == {}
