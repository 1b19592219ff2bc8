"""F24: messages change the visits whose texts are being sent, answered and reported: on PostgreSQL nothing waits in a circle."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from threading import Event, Lock
from typing import Any, Final

import psycopg
import pytest

from notifier.failures import Failure
from notifier.gateway import Accepted, Ambiguous, DeliveryStatus, NotSent, Receipt, Refused, Resend, SentMessage, Sms
from notifier.twilio.codes import failure_of
from notifier.webhook import StatusUpdate
from simulator.patients import fictitious_number
from tests.carebell.pieces import Pieces, pieces, signed
from tests.faults.conftest import Tally
from tests.faults.playing import SENDER
from tests.store.postgresql import NoServer, Server
from tests.story.ehr import unsigned
from tests.story.folder import CLOCK

VISITS: Final = 200
GROUP: Final = 12
"""Messages that one transaction stores: of visits chosen at random, in no order."""
_INVALID, _UNREACHABLE = 21211, 30003


@dataclass(slots=True)
class MoodyGateway:
    """Takes most texts, and refuses, drops or doubts the others. `reports`: webhooks that are still to come."""

    resends: Resend = Resend.CANCELLATIONS
    asked: int = 0
    reports: list[StatusUpdate] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def send(self, sms: Sms) -> Receipt:
        mood = zlib.crc32(f"{sms.id} {sms.attempt}".encode()) % 20
        with self._lock:
            self.asked += 1
            number = self.asked
        if mood < 4:
            return NotSent(why="not_connected")
        if mood == 4:
            return Ambiguous(why="read_timeout")
        if mood == 5:
            return Refused(failure=failure_of(_INVALID))
        message_id = f"SM{number:032x}"
        failure = failure_of(_UNREACHABLE) if mood < 9 else None
        status = DeliveryStatus.UNDELIVERED if failure is not None else DeliveryStatus.DELIVERED
        with self._lock:
            self.reports.append(_report(sms, message_id, status, failure))
        return Accepted(message_id=message_id)

    def due_reports(self) -> list[StatusUpdate]:
        with self._lock:
            due, self.reports = self.reports, []
        return due

    def fetch(self, message_id: str) -> SentMessage | None:
        return None

    def find(self, sms: Sms, since: Any) -> list[SentMessage] | None:
        return None

    def forget(self, message_id: str) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""


def _report(sms: Sms, message_id: str, status: DeliveryStatus, failure: Failure | None) -> StatusUpdate:
    return StatusUpdate(message_id=message_id, outbox_id=sms.id, attempt=sms.attempt, status=status, failure=failure)


class Hospital:
    """Moves visits at random: each message gives a new time."""

    def __init__(self, service: Pieces, seed: int) -> None:
        self._service = service
        self._rng = random.Random(seed)
        self._numbers = count()
        self._name = f"h{seed}"

    def commit_group(self, visits: list[int]) -> None:
        now = self._service.now
        contents = [
            unsigned(
                "S13",
                f"{self._name}-{next(self._numbers)}",
                sent=now,
                start=now + timedelta(days=self._rng.randrange(10, 300), minutes=self._rng.randrange(600)),
                reference=f"V{visit}",
                phone=fictitious_number(visit),
            )
            for visit in visits
        ]
        validated = [self._service.validator.validate(signed(content), now) for content in contents]
        assert [message.refused for message in validated if message.refused is not None] == []
        with self._service.store.write() as conn:
            self._service.registry.commit_group(conn, validated)

    def some(self) -> list[int]:
        return self._rng.sample(range(VISITS), GROUP)


@pytest.mark.faults("F24")
@pytest.mark.timeout(7200)
def test_the_way_in_and_the_record_of_answers_never_wait_in_a_circle(tally: Tally, tmp_path: Path) -> None:
    try:
        server = Server()
    except (NoServer, OSError) as reason:
        pytest.skip(f"no PostgreSQL here: {reason}")
    try:
        _play(server, tally, tmp_path)
        assert _deadlocks(server) == 0
    finally:
        server.stop()


def _play(server: Server, tally: Tally, folder: Path) -> None:
    gateway = MoodyGateway()
    changes = {
        "storage": {"url": server.url("postgres")},
        "gateway": {"segments_per_second": {SENDER: 1000}},
    }
    sms = {"debounce": "0s", "caps": {"per_day": 100_000, "per_week": 100_000}, "quiet_hours": None}
    morning = CLOCK.replace(hour=18, minute=0, second=30)
    with pieces(folder / "clinic", at=morning, gateway=gateway, changes=changes, sms=sms) as service:
        Hospital(service, 0).commit_group(list(range(VISITS)))
        over, groups = Event(), [0, 0]

        def move(seed: int) -> None:
            hospital = Hospital(service, seed)
            while not over.is_set():
                hospital.commit_group(hospital.some())
                groups[seed - 1] += 1

        def report() -> None:
            while not over.is_set():
                for update in gateway.due_reports():
                    service.webhooks._status(update)
                time.sleep(0.01)

        with ThreadPoolExecutor(3) as others:
            tasks = [others.submit(work) for work in (lambda: move(1), lambda: move(2), report)]
            try:
                _send_until(
                    tally.fault.rounds,
                    lambda: gateway.asked + GROUP * sum(groups),
                    service,
                    tally.progress,
                    lambda: any(task.done() for task in tasks),
                )
            finally:
                over.set()
            for task in tasks:
                task.result()
        tally.seen.update({"texts posted": gateway.asked, "messages stored": GROUP * sum(groups), "deadlocks": 0})


def _send_until(
    rounds: int,
    so_far: Callable[[], int],
    service: Pieces,
    progress: Callable[[int, int], None],
    broken: Callable[[], bool],
) -> None:
    while (done := so_far()) < rounds and not broken():
        service.step(timedelta(minutes=1))
        service.tick()
        service.reconciliation._expire_leases(service.now)
        progress(done, rounds)


def _deadlocks(server: Server) -> int:
    """As PostgreSQL counts them; its backends have ended, so all of them are counted."""
    with psycopg.connect(server.url("template1").replace("+psycopg", "")) as conn:
        row = conn.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'").fetchone()
    assert row is not None
    return int(row[0])
