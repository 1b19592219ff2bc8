"""One meeting for each visit: made ahead, at a tap, by several at once, and after an answer that never came."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from carebell.maintenance.meeting_upkeep import AGAIN
from carebell.outbound.meeting_making import SETTLES
from config.model import MeetingSettings
from scheduler.visit_life import VisitState
from simulator.meetings.zoom import MakingFault
from store import visits
from tests.carebell.patients.zoom_place import ZoomPlace, zoom_place

REFERENCE = "900100"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[ZoomPlace]:
    with zoom_place(tmp_path) as made:
        yield made


def test_a_meeting_is_made_ahead_and_a_tap_leads_there(place: ZoomPlace) -> None:
    place.upkeep.round()
    [number] = place.numbers(REFERENCE)
    assert place.go(REFERENCE) == f"https://us05web.zoom.us/j/{number}?pwd=known"
    with place.clinic.service.store.read() as conn:
        stored = visits.meeting_of(conn, place.clinic.service.vault, place.clinic.visit().id)
    assert stored is not None
    assert "zak" not in stored


def test_many_taps_at_once_make_one_meeting(place: ZoomPlace) -> None:
    with ThreadPoolExecutor(4) as threads:
        ways = list(threads.map(lambda n: place.go(REFERENCE, f"d{n}"), range(4)))
    assert len(place.numbers(REFERENCE)) == 1
    assert len({way for way in ways if way is not None}) == 1
    assert place.missed == []


@pytest.mark.parametrize("fault", list(MakingFault))
def test_a_patient_without_a_room_reads_words_and_gets_the_one_meeting_later(
    place: ZoomPlace, fault: MakingFault
) -> None:
    place.zoom.faults = [fault]
    token = place.clinic.token()
    place.clinic.here(token)
    assert place.go(REFERENCE) is None
    assert place.missed == [None]
    place.clinic.service.step(SETTLES)
    assert place.go(REFERENCE) is not None
    assert len(place.numbers(REFERENCE)) == 1


def test_a_visits_report_gives_its_times_when_its_meeting_is_empty(place: ZoomPlace) -> None:
    place.upkeep.round()
    [number] = place.numbers(REFERENCE)
    place.held = False
    stays = [place.zoom.enter(number, host=True), place.zoom.enter(number)]
    place.held = True  # nobody hears that they leave
    began = place.clinic.service.now
    place.clinic.service.step(timedelta(minutes=20))
    for stay in stays:
        place.zoom.leave(number, stay)
    left = place.clinic.service.now
    place.held = False
    place.zoom.close(number)
    place.clinic.service.step(timedelta(minutes=10))
    place.upkeep.round()
    visit = place.clinic.visit()
    assert (visit.state, visit.started_at, visit.ended_at) == (VisitState.ENDED, began, left)
    with place.clinic.service.store.read() as conn:
        assert "report" in {event.source.value for event in visits.events(conn, [visit.id])}


def test_what_cannot_be_made_ahead_is_said_once_a_minute_and_made_later(place: ZoomPlace) -> None:
    place.zoom.faults = [MakingFault.BUSY, MakingFault.BUSY]
    for _ in range(3):
        place.upkeep.round()
    assert place.missed == [None]
    place.clinic.service.step(AGAIN)
    place.upkeep.round()
    assert place.missed == [None, None]
    place.clinic.service.step(AGAIN)
    place.upkeep.round()
    assert len(place.numbers(REFERENCE)) == 1


def test_where_nobody_tells_who_comes_going_there_counts() -> None:
    zoom = MeetingSettings(kind="zoom", webhook_secret_file=Path("token"))
    assert zoom.tells
    assert not zoom.model_copy(update={"webhook_secret_file": None}).tells
    assert not MeetingSettings(kind="teams", webhook_secret_file=Path("token")).tells
