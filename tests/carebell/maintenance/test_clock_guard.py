"""A clock that jumps ahead destroys nothing at once; one that stays ahead, and a service that was off, delay nothing for long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from carebell.bootstrap.service import Service
from carebell.maintenance.clock_guard import PATIENCE, TOLERANCE, ClockGuard, doubt_of
from carebell.maintenance.retention import Retention
from journal.logs import setup
from journal.metrics import Metrics
from scheduler.clock import RealClock, SteppingClock
from store import appointments
from store.tables import day_keys
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import unsigned
from tests.story.folder import load, make

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
ROUND, DAY = timedelta(seconds=15), timedelta(days=1)
PROMISED = timedelta(minutes=15)


@dataclass
class Machine:
    """A service's housekeeping on a machine whose wall clock can be set, and whose counter cannot."""

    service: Pieces
    server: timedelta | None = None  # how far the database server's clock is from ours; None: it has none
    counted: timedelta = timedelta()

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """The service starts (again); it remembers nothing of before."""
        of = self.service
        doubt = ClockGuard(
            seconds=lambda: self.counted.total_seconds(), witness=self.witness, journal=of.retention._journal
        )
        self.retention = Retention(
            keep_audit=lambda: timedelta(days=2192),
            store=of.store,
            vault=of.vault,
            clock=of.clock,
            node="n1",
            marker=of.log.with_name(".pulse"),
            journal=doubt.journal,
            certificates=lambda _: None,
            doubt=doubt,
        )
        self.retention.round()

    def witness(self) -> datetime | None:
        return None if self.server is None else self.service.now + self.server

    def pass_by(self, span: timedelta) -> None:
        """Time as it goes by, round by round."""
        while span > timedelta():
            step = min(ROUND, span)
            self.counted += step
            self.service.step(step)
            self.retention.round()
            span -= step

    def set_clock(self, by: timedelta) -> None:
        self.service.step(by)
        self.retention.round()

    def kept(self) -> list[str]:
        """References of the visits whose number can still be read."""
        with self.service.store.read() as conn:
            return sorted(one.reference for one in appointments.listed(conn, self.service.vault, NOW) if one.phone)

    def keys(self) -> int:
        with self.service.store.read() as conn:
            return len(conn.execute(day_keys.select()).all())

    def lines_of(self, name: str) -> list[dict[str, object]]:
        lines = map(json.loads, self.service.log.read_text("utf-8").splitlines())
        return [
            {key: line[key] for key in ("reason", "shift_seconds", "seconds") if key in line}
            for line in lines
            if line["event"] == name
        ]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with pieces(tmp_path / "clinic", at=NOW, gateway=PocketTwilio(now=lambda: NOW)) as service:
        for number, ahead in enumerate((timedelta(minutes=5), timedelta(hours=3), DAY, 20 * DAY)):
            service.hear(
                unsigned(
                    "S12",
                    f"m{number}",
                    sent=NOW,
                    start=NOW + ahead,
                    reference=f"V{number}",
                    phone=f"+1202555010{number}",
                )
            )
        assert service.refused == []
        yield Machine(service)


def test_a_jump_that_is_put_right_destroys_nothing(machine: Machine) -> None:
    keys = machine.keys()
    machine.pass_by(ROUND)
    machine.set_clock(30 * DAY)
    machine.pass_by(PATIENCE - ROUND)
    machine.set_clock(-30 * DAY)
    machine.pass_by(ROUND)
    assert machine.kept() == ["V1", "V2", "V3"], "only the visit that began meanwhile is forgotten, and that one is"
    assert machine.keys() == keys
    assert machine.lines_of("clock_doubted") == [{"shift_seconds": (30 * DAY).total_seconds(), "seconds": 600.0}]
    assert machine.lines_of("clock_believed") == [{"reason": "put_right", "seconds": 585.0}]


def test_what_is_due_by_the_time_that_passed_is_forgotten_on_time(machine: Machine) -> None:
    machine.set_clock(30 * DAY)
    machine.pass_by(timedelta(minutes=5) - ROUND)
    assert "V0" in machine.kept()
    machine.pass_by(ROUND)
    assert machine.kept() == ["V1", "V2", "V3"]


def test_a_jump_that_stays_is_believed_within_what_is_promised(machine: Machine) -> None:
    """The machine slept, or its clock was wrong before: the visits have begun."""
    machine.set_clock(2 * DAY)
    assert len(machine.kept()) == 4
    machine.pass_by(PATIENCE)
    assert machine.kept() == ["V3"]
    assert machine.keys() == 1
    assert PATIENCE + 2 * ROUND < PROMISED
    assert machine.lines_of("clock_believed") == [{"reason": "stayed", "seconds": 600.0}]
    machine.set_clock(18 * DAY)
    machine.pass_by(PATIENCE)
    assert machine.kept() == [], "the next jump is doubted, and believed, anew"


def test_jumps_upon_jumps_postpone_nothing_further(machine: Machine) -> None:
    for _ in range(4):
        machine.set_clock(DAY)
        machine.pass_by(PATIENCE / 4)
    assert machine.kept() == ["V3"]


@pytest.mark.parametrize("by", [TOLERANCE, -timedelta(hours=1)], ids=["a small step", "back"])
def test_a_small_step_or_one_back_is_believed_at_once(machine: Machine, by: timedelta) -> None:
    machine.set_clock(by)
    machine.pass_by(timedelta(minutes=5) - by)
    assert machine.kept() == ["V1", "V2", "V3"]
    assert machine.lines_of("clock_doubted") == []


def test_a_service_that_was_off_over_the_deadline_forgets_at_its_start(machine: Machine) -> None:
    machine.service.step(2 * DAY)
    machine.start()
    assert machine.kept() == ["V3"]
    assert machine.lines_of("clock_doubted") == []


def test_a_node_that_starts_ahead_of_its_database_server_waits(machine: Machine) -> None:
    machine.service.step(2 * DAY)
    machine.server = -2 * DAY
    machine.start()
    assert len(machine.kept()) == 4
    machine.pass_by(PATIENCE)
    assert machine.kept() == ["V3"]


def test_a_node_that_was_off_believes_its_database_server(machine: Machine) -> None:
    machine.service.step(2 * DAY)
    machine.server = timedelta(seconds=1)
    machine.start()
    assert machine.kept() == ["V3"]


class SetClock(RealClock):
    """The machine's clock, and how far somebody has set it."""

    offset = timedelta()

    def now(self) -> datetime:
        return super().now() + self.offset


async def test_the_service_doubts_the_machines_clock(tmp_path: Path) -> None:
    loaded, clock, log = load(make(tmp_path / "clinic")), SetClock(), tmp_path / "service.log"
    with setup(now=clock.now, file=log, terminal=StringIO()) as journal:
        service = Service(
            loaded=loaded, journal=journal, metrics=Metrics(), clock=clock, roles=frozenset(), reloads=False, environ={}
        )
        await service.start()
        await asyncio.to_thread(service.retention.round)
        clock.offset = 2 * DAY
        await asyncio.to_thread(service.retention.round)
        await service.stop()
    assert log.read_text("utf-8").count('"clock_doubted"') == 1


def test_a_rehearsals_clock_is_in_no_doubt(machine: Machine) -> None:
    journal = machine.service.retention._journal
    assert doubt_of(SteppingClock(NOW), machine.service.store, journal) is None
