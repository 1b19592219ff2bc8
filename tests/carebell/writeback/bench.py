"""An environment whose events go back to a simulated engine on this machine: a real database and sockets, time in our hand."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import random
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from carebell.ids import ControlIds
from carebell.writeback.recording import WritebackRecorder
from carebell.writeback.sender import WritebackSender
from config.load import Loaded, load
from journal.logs import Journal, setup
from journal.metrics import Metrics
from scheduler.clock import SteppingClock
from scheduler.writeback import Fact, WritebackChannel, WritebackEvent, WritebackIntent, WritebackState
from simulator.inbound import EngineAct, InboundEngine
from store import schema, writeback_rows, writebacks
from store.engine import Store, open_store
from store.keys import KeyRing
from store.vault import Vault
from store.writeback_rows import WritebackRow
from tests.config.conftest import SMALL
from tests.store.samples import NOW, appointment, first, put

HL7: Final = "    writeback:\n      events: {confirmed: hl7}\n      hl7: {host: 127.0.0.1, port: %d, sending_facility: A,\n            receiving_application: B, receiving_facility: C}\n    listener: {port: 2575}\n"  # noqa: E501
PATIENCE: Final = timedelta(milliseconds=60)
"""The shortest wait for an answer that a test can afford; the configuration allows a second."""


def configured(folder: Path, port: int, **changes: Any) -> Loaded:
    """A configuration whose environment `prod` has this engine; `changes` of `writeback.hl7`, and `hold`."""
    path = folder / "carebell.yaml"
    path.write_text(SMALL.replace("    listener: {port: 2575}\n", HL7 % port, 1), encoding="utf-8")
    loaded = load(path, {})
    environment = loaded.configuration.environments["prod"]
    section = environment.writeback
    assert section.hl7 is not None
    hold = changes.pop("hold", False)
    hl7 = section.hl7.model_copy(update={"ack_timeout": PATIENCE} | changes)
    section = section.model_copy(update={"hl7": hl7, "hold": hold})
    environments = {**loaded.configuration.environments, "prod": environment.model_copy(update={"writeback": section})}
    return replace(loaded, configuration=loaded.configuration.model_copy(update={"environments": environments}))


@dataclass(slots=True, kw_only=True)
class Bench:
    store: Store
    vault: Vault
    clock: SteppingClock
    engine: InboundEngine
    loaded: Loaded
    log: Path
    journal: Journal
    metrics: Metrics
    sender: WritebackSender
    ids: ControlIds
    closing: contextlib.ExitStack
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def make_sender(self, node: str = "n") -> WritebackSender:
        rng = random.Random(7)
        recorder = WritebackRecorder(
            store=self.store, clock=self.clock, journal=self.journal, metrics=self.metrics, chance=rng.random
        )
        return WritebackSender(
            store=self.store,
            vault=self.vault,
            loaded=lambda: self.loaded,
            clock=self.clock,
            node=node,
            journal=self.journal,
            recorder=recorder,
        )

    def visits(self, count: int) -> list[str]:
        """New visits of `prod`; their `Appointment.id`s."""
        made = [appointment(next(self.numbers), environment="prod") for _ in range(count)]
        put(self.store, self.vault, [first(visit) for visit in made])
        return [visit.id for visit in made]

    def add(
        self,
        owner: str,
        event: WritebackEvent = WritebackEvent.CONFIRMED,
        lasts: timedelta | None = None,
        channel: WritebackChannel = WritebackChannel.HL7,
        **facts: Fact,
    ) -> str:
        now = self.clock.now()
        intent = WritebackIntent(
            environment="prod",
            appointment=owner,
            event=event,
            event_seq=None,
            channel=channel,
            facts={"by": "patient"} | facts,
            expires_at=now + (lasts or timedelta(days=2)),
            not_before=now,
        )
        with self.store.write() as conn:
            own_id = writebacks.add(conn, intent, ids=self.ids, now=now)
        assert own_id is not None
        return own_id

    async def turn(self, sender: WritebackSender | None = None) -> None:
        """One look, and what follows from it."""
        worker = sender or self.sender
        await worker.tick()
        await worker.idle()
        await worker.tick()

    async def until_settled(
        self, *, most: timedelta = timedelta(days=3), step: timedelta = timedelta(seconds=1)
    ) -> None:
        """Move the clock until nothing waits."""
        ends = self.clock.now() + most
        while self.open_rows() and self.clock.now() < ends:
            await self.turn()
            self.clock.move_to(max(self.clock.now() + step, self._next()))

    def _next(self) -> datetime:
        times = [row.next_attempt_at for row in self.open_rows() if row.next_attempt_at is not None]
        return min(times, default=self.clock.now())

    def rows(self) -> list[WritebackRow]:
        """Oldest first."""
        with self.store.read() as conn:
            return writeback_rows.rows(conn, limit=100_000)[::-1]

    def open_rows(self) -> list[WritebackRow]:
        with self.store.read() as conn:
            waiting = writeback_rows.rows(conn, state=WritebackState.DUE, limit=100_000)
            return [*waiting, *writeback_rows.rows(conn, state=WritebackState.SENDING, limit=100_000)]

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines()]


def _bench(folder: Path, engine: InboundEngine, port: int, node: str, clock: SteppingClock, **changes: Any) -> Bench:
    journal_stack, drawn = contextlib.ExitStack(), itertools.count()
    log = folder / f"log-{node}"
    made = Bench(
        store=open_store(f"sqlite:///{folder / 'carebell.db'}"),
        vault=Vault(KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"p" * 32)),
        clock=clock,
        engine=engine,
        loaded=configured(folder, port, **changes),
        log=log,
        journal=journal_stack.enter_context(setup(now=clock.now, file=log, level=logging.DEBUG)),
        metrics=Metrics(),
        sender=None,  # type: ignore[arg-type]
        ids=ControlIds(lambda: int(clock.now().timestamp() * 1_000 + next(drawn)) * 1_000_000),
        closing=journal_stack,
    )
    made.sender = made.make_sender(node)
    return made


@asynccontextmanager
async def bench(
    folder: Path, script: Iterable[EngineAct] = (), *, tls_of_engine: ssl.SSLContext | None = None, **changes: Any
) -> AsyncIterator[Bench]:
    """Args:
    script: of the engine; after it everything is taken.
    tls_of_engine: None: it listens unencrypted.
    """
    store = open_store(f"sqlite:///{folder / 'carebell.db'}")
    schema.upgrade(store)
    store.close()
    engine = InboundEngine(script=itertools.chain(iter(script), itertools.repeat(EngineAct.AA)), late=0.02)
    port = await engine.start(tls=tls_of_engine)
    made = _bench(folder, engine, port, "n", SteppingClock(NOW), **changes)
    try:
        yield made
    finally:
        await made.sender.finish()
        await engine.stop()
        made.store.close()
        made.closing.close()


@asynccontextmanager
async def attached(folder: Path, port: int, *, node: str, at: datetime) -> AsyncIterator[Bench]:
    """Another process of a bench: its database, and the engine that listens elsewhere."""
    made = _bench(folder, InboundEngine(), port, node, SteppingClock(at))
    try:
        yield made
    finally:
        await made.sender.finish()
        made.store.close()
        made.closing.close()
