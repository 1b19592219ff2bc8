"""A message after the start: nothing of it is kept that is forgotten at the start, and no text is planned because of that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from carebell.maintenance.retention import forget_now
from store.tables import appointments, visit_links
from tests.carebell.patients.room import MINUTE, NOW, START, Clinic, clinic
from tests.story import folder

HOUR = timedelta(hours=1)
EVENTS = ["S14", "S13", "S12"]


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Clinic]:
    """Of a clinic whose texts say where a visit takes place."""
    place = tmp_path / "clinic"
    place.mkdir()
    words = {"default": "{organization}: your visit at {facility} is at {time}."}
    folder.write(place / "texts.yaml", {"en": {"booked": words, "updated": words, "reminder": words}})
    with clinic(place, at=NOW, sms={"templates": "texts.yaml"}) as made:
        yield made


def _hear_late(day: Clinic, event: str) -> None:
    before = {(row.kind, row.revision) for row in day.service.rows()}
    day.hear(event)
    day.service.step(HOUR / 4)
    assert day.service.tick() == 0
    late = [row for row in day.service.rows() if (row.kind, row.revision) not in before]
    assert {row.state.value for row in late} <= {"suppressed"}, "no text leaves because a place is known again"


def _kept(day: Clinic) -> tuple[list[str | None], list[bytes | None]]:
    """(facility, provider, location), the token of each link."""
    of = appointments.c
    with day.service.store.read() as conn:
        named = conn.execute(select(of.facility, of.provider, of.location)).one()
        return list(named), list(conn.execute(select(visit_links.c.sealed)).scalars())


def _booked(day: Clinic) -> None:
    day.hear("S12")
    day.service.step(MINUTE)
    assert day.service.tick() == 1
    named, [token] = _kept(day)
    assert any(named)
    assert token is not None


@pytest.mark.parametrize("event", EVENTS)
def test_a_message_after_the_visit_was_forgotten(day: Clinic, event: str) -> None:
    _booked(day)
    day.service.step(to=START)
    assert forget_now(day.service.store, day.service.vault, day.service.now).appointments == 1
    for _ in range(2):
        _hear_late(day, event)
        assert _kept(day) == ([None] * 3, [None])


@pytest.mark.parametrize("event", EVENTS)
def test_a_message_between_the_start_and_the_round(day: Clinic, event: str) -> None:
    _booked(day)
    day.service.step(to=START)
    for _ in range(2):
        _hear_late(day, event)
        assert _kept(day) == ([None] * 3, [None])
        assert forget_now(day.service.store, day.service.vault, day.service.now).appointments == 0


@pytest.mark.parametrize("event", EVENTS)
def test_a_first_message_about_a_visit_that_began(day: Clinic, event: str) -> None:
    day.service.step(to=START)
    for _ in range(2):
        _hear_late(day, event)
        assert _kept(day) == ([None] * 3, [None])


def test_a_visit_that_is_moved_after_its_start_has_all_of_it_again(day: Clinic) -> None:
    _booked(day)
    day.service.step(to=START)
    _hear_late(day, "S14")
    day.hear("S13", start=START + timedelta(days=2))
    day.service.step(MINUTE)
    assert day.service.tick() == 1
    named, tokens = _kept(day)
    assert any(named)
    assert [token is not None for token in tokens].count(True) == 1
