"""Promise I4 between processes: the answer to a cancellation waits for a text that another process posts, which the database says.

Two services on one database stand for two processes: each has its own connections, lock file and set of texts in flight.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from carebell.outbound import posts_elsewhere
from carebell.outbound.dispatcher import LEASE
from listener.client import MllpClient
from notifier.gateway import Sms
from store.file_lock import LockFile
from store.sending import still_sending
from store.tables import outbox
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.clinic import PATIENCE, Ack, Clinic, opened
from tests.story.ehr import signed
from tests.story.folder import CLOCK, make

AT = CLOCK.replace(hour=18, minute=0, second=30)
VISIT = AT.replace(day=28)


@dataclass(slots=True, kw_only=True)
class Race:
    """A cancellation that was sent to one service while another one posts the visit's text.

    Attributes:
        asked: how often the first one asked the database whether the text is still under way.
        over: lets the post come to its end.
    """

    receiving: Clinic
    sending: Clinic
    answer: asyncio.Task[Ack] = field(init=False)
    over: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    async def asked_again(self, times: int = 3) -> None:
        """The database was asked some more, or the answer came."""
        wanted = self.asked + times
        await self.receiving.until(lambda: self.asked >= wanted or self.answer.done())


@asynccontextmanager
async def race(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Race]:
    posting = threading.Event()
    twilio = PocketTwilio(now=lambda: CLOCK)
    path = make(folder / "clinic", {"environments": {"production": {"sms": {"debounce": "0s"}}}})
    async with (
        opened(path, at=AT, gateway=twilio, alone=False) as receiving,
        opened(path, at=AT, gateway=twilio, alone=False) as sending,
    ):
        under_test = Race(receiving=receiving, sending=sending)
        real = still_sending

        def counted(*args: Any) -> Any:
            under_test.asked += 1
            return real(*args)

        def before(_: Sms) -> None:
            posting.set()
            under_test.over.wait(PATIENCE)

        monkeypatch.setattr(posts_elsewhere, "still_sending", counted)
        twilio.before = before
        client = await receiving.connect()
        assert (await _send(client, "S12")).code == "AA"
        for clinic in (receiving, sending):
            clinic.clock.move_to(AT + timedelta(minutes=1))
        tick = asyncio.create_task(sending.service.dispatcher.tick())
        assert await asyncio.to_thread(posting.wait, PATIENCE)
        under_test.answer = asyncio.create_task(_send(client, "S15", status="Cancelled"))
        try:
            yield under_test
            assert (await under_test.answer).code == "AA"
        finally:
            under_test.over.set()
            await tick
            await client.close()


async def _send(client: MllpClient, event: str, **more: str) -> Ack:
    return Ack((await client.send(signed(event, event, sent=AT, start=VISIT, **more))).content)


async def test_the_answer_waits_until_the_post_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with race(tmp_path, monkeypatch) as running:
        await running.asked_again()
        assert not running.answer.done(), "answered while another process was posting"
        assert running.receiving.outbox()[0][2] == "sending"
        running.over.set()
        await running.answer
        assert running.receiving.outbox()[0][2] != "sending"


async def test_the_same_message_sent_again_waits_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with race(tmp_path, monkeypatch) as running:
        await running.asked_again()
        async with asyncio.timeout(PATIENCE):
            other = await running.receiving.connect()
        again = asyncio.create_task(_send(other, "S15", status="Cancelled"))
        await running.receiving.until(
            lambda: again.done() or sum(len(w.texts) for w in _waiting(running.receiving)) > 1
        )
        assert not again.done()
        running.over.set()
        assert (await again).code == "AA"
        await other.close()


def _waiting(clinic: Clinic) -> list[Any]:
    intake = clinic.service._receiving.intake
    assert intake is not None
    elsewhere = intake.in_flight._elsewhere
    assert elsewhere is not None
    return elsewhere._waiting


async def test_nobody_waits_longer_than_the_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with race(tmp_path, monkeypatch) as running:
        await running.asked_again()
        assert not running.answer.done()
        running.receiving.clock.move_to(running.receiving.clock.now() + LEASE)
        await running.answer


async def test_nobody_waits_for_the_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim of a process that was killed: no lock says that it lives, so nothing of it will be posted."""
    async with race(tmp_path, monkeypatch) as running:
        await running.asked_again()
        assert not running.answer.done()
        store = running.sending.service.store
        assert store.file is not None
        other = LockFile(store.file.with_name(f"{store.file.name}-turns"), store.file.stat())
        other.mark("another node")
        _claim_by(running, "another node")
        await running.asked_again()
        assert not running.answer.done(), "that one lives"
        other.close()
        await running.answer


def _claim_by(running: Race, node: str) -> None:
    with running.sending.service.store.write() as conn:
        conn.execute(update(outbox).where(outbox.c.state == "sending").values(node=node))
