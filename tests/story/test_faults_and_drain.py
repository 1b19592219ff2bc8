"""Our own trouble, and being told to stop: nothing is half done, and the sender knows what to send again."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from listener.client import MllpClient, SendError, SendFault
from notifier.gateway import Sms
from tests.carebell.pocket_twilio import PocketTwilio
from tests.faults.node import Node
from tests.story.clinic import BY_HAND, PATIENCE, Ack, Clinic, opened
from tests.story.ehr import signed
from tests.story.folder import CLOCK, make

VISIT = datetime(2026, 3, 20, 21, 0, tzinfo=UTC)
TRIAL = {"facility": "LAMNATST", "processing_id": "T"}


async def test_a_locked_database_resets_the_connection_or_answers_ae_and_stores_nothing(tmp_path: Path) -> None:
    path = make(tmp_path, {"environments": {"test": {"on_transient": "AE"}}})
    async with opened(path) as clinic:
        before = clinic.counts()
        booking = signed("S12", "1", sent=CLOCK, start=VISIT)
        trial = signed("S12", "1", sent=CLOCK, start=VISIT, **TRIAL)
        with closing(sqlite3.connect(tmp_path / "carebell.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            reset, answered = await asyncio.gather(_outcome(clinic, booking), _outcome(clinic, trial, "test"))
            other.execute("ROLLBACK")
        assert reset == SendFault.RESET
        assert isinstance(answered, Ack)
        assert (answered.code, answered.control_id, answered.failure) == ("AE", "1", "TRANSIENT")
        assert clinic.counts() == before
        assert {(line["environment"], line["answer"]) for line in clinic.events("message_failed")} == {
            ("production", "reset"),
            ("test", "AE"),
        }
        # The senders try again, byte for byte.
        again = [*await clinic.send(booking), *await clinic.send(trial, environment="test")]
        assert [ack.code for ack in again] == ["AA", "AA"]
        assert clinic.counts()["appointments"] == 2


async def _outcome(clinic: Clinic, content: bytes, environment: str = "production") -> Ack | SendFault:
    try:
        [ack] = await clinic.send(content, environment=environment)
    except SendError as error:
        return error.code
    return ack


async def test_sigterm_under_load_answers_what_it_stored_and_ends_well(tmp_path: Path) -> None:
    path = make(tmp_path)
    node = await asyncio.to_thread(Node, path, roles="listener")
    try:
        engines = [_Engine(node.port, name) for name in "ABC"]
        sending = [asyncio.create_task(engine.send_until_closed()) for engine in engines]
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(engine.busy.wait() for engine in engines))
            node.signal(signal.SIGTERM)
            ends = await asyncio.gather(*sending)
        assert await asyncio.to_thread(node.ended) == 0
    finally:
        if node.running:
            node.kill()
    assert {end in (SendFault.CLOSED, SendFault.RESET) for end in ends} == {True}
    assert {code for engine in engines for code in engine.answers.values()} == {"AA"}
    answered = {control_id for engine in engines for control_id in engine.answers}
    with closing(sqlite3.connect(tmp_path / "carebell.db")) as database:
        stored = {row[0] for row in database.execute("SELECT msh10 FROM messages")}
        [appointments] = database.execute("SELECT count(*) FROM appointments").fetchone()
    assert stored == answered
    assert appointments == len(answered)


async def test_a_text_at_the_gateway_is_recorded_at_the_end_and_those_behind_it_are_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carebell.bootstrap.descriptors._GATEWAY", 1)
    twilio = PocketTwilio(now=lambda: CLOCK)
    at_the_gateway, loop = asyncio.Event(), asyncio.get_running_loop()
    async with opened(make(tmp_path), gateway=twilio, pace=replace(BY_HAND, dispatch=0.02)) as clinic:

        def answer_late(_: Sms) -> None:
            loop.call_soon_threadsafe(at_the_gateway.set)
            assert clinic.service.dispatcher._ending.wait(PATIENCE)

        twilio.before, twilio.now = answer_late, clinic.clock.now
        for name in "ABC":
            await clinic.send(signed("S12", name, sent=CLOCK, start=VISIT, reference=name))
        clinic.clock.move_to(CLOCK + timedelta(hours=1))  # the quiet hours are over
        async with asyncio.timeout(PATIENCE):
            await at_the_gateway.wait()
    with closing(sqlite3.connect(tmp_path / "carebell.db")) as database:
        booked = database.execute("SELECT state, attempts FROM outbox WHERE kind = 'booked' ORDER BY state").fetchall()
    assert booked == [("accepted", 1), ("due", 0), ("due", 0)]
    assert len(twilio.ledger.accepted) == 1


class _Engine:
    """An engine that books without end, eight messages ahead of their answers.

    Attributes:
        answers: control id -> MSA-1. busy: set when answers flow.
    """

    def __init__(self, port: int, name: str) -> None:
        self.answers: dict[str, str] = {}
        self.busy = asyncio.Event()
        self._port = port
        self._name = name

    async def send_until_closed(self) -> SendFault:
        client = await MllpClient.connect("127.0.0.1", self._port)
        try:
            async for answer in client.exchange(self._bookings(), window=8):
                ack = Ack(answer.content)
                self.answers[ack.control_id] = ack.code
                if len(self.answers) == 10:
                    self.busy.set()
        except SendError as error:
            return error.code
        finally:
            await client.close()
        raise AssertionError("bookings have no end")

    def _bookings(self) -> Iterator[bytes]:
        now = datetime.now(UTC)
        for number in count():
            name = f"{self._name}{number}"
            yield signed("S12", name, sent=now, start=now + timedelta(days=9), reference=name)
