"""Group visits in meetings that tell something: one is made for all, and each visit gets its own times."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from carebell.inquiries.visit_report import COLUMNS
from scheduler.visit_life import VisitRole, VisitState
from store import visit_pages
from store.visit_pages import VisitFilter
from tests.carebell.outbound.test_meeting_recording import Place, place
from tests.carebell.patients.room import MINUTE, START, Clinic
from tests.carebell.patients.test_group_visits import GROUP
from tests.carebell.patients.zoom_place import zoom_place

REPORTED: Final = {key: value for key, _, value in COLUMNS}


def test_many_who_open_it_first_make_one_meeting(tmp_path: Path) -> None:
    with zoom_place(tmp_path, groups=True) as at, ThreadPoolExecutor(3) as threads:
        for reference in GROUP:
            at.clinic.hear("S12", start=at.clinic.service.now + MINUTE, reference=reference, conference="G-77")
        ways = list(threads.map(at.go, GROUP))
        assert len(at.numbers(GROUP[0])) == 1
        assert len({way for way in ways if way is not None}) == 1
        assert {at.go(reference) for reference in GROUP} == {way for way in ways if way is not None}
        at.upkeep.round()
        assert len(at.numbers(GROUP[0])) == 1
        assert at.missed == []


def test_a_meeting_that_knows_no_patients_tells_of_the_care_team_alone(tmp_path: Path) -> None:
    with zoom_place(tmp_path, groups=True) as at:
        at.held = False
        for reference in GROUP:
            at.clinic.hear("S12", start=at.clinic.service.now + MINUTE, reference=reference, conference="G-77")
        at.upkeep.round()
        [number] = at.numbers(GROUP[0])
        host = at.zoom.enter(number, host=True)
        for reference in GROUP[:2]:
            assert at.go(reference) is not None
            at.zoom.enter(number)
        assert [at.clinic.visit(reference).state for reference in GROUP] == [
            VisitState.IN_VISIT, VisitState.IN_VISIT, VisitState.PLANNED,
        ]  # fmt: skip
        assert [at.clinic.events(reference) for reference in GROUP] == [
            ["planned", "connected", "connected"], ["planned", "connected", "connected"], ["planned", "connected"],
        ]  # fmt: skip
        at.clinic.service.step(20 * MINUTE)
        at.zoom.leave(number, host)
        at.zoom.close(number)
        at.clinic.service.step(11 * MINUTE)
        at.upkeep.round()
        at.upkeep.round()
        assert at.clinic.visit(GROUP[0]).state is VisitState.ENDED
        at.clinic.service.step(timedelta(days=1))
        at.clinic.upkeep.round()
        assert _reported(at.clinic, "status") == ["Completed", "Completed", "No show"]
        assert _reported(at.clinic, "source_of_times") == [
            "Waiting room; care team: meeting", "Waiting room; care team: meeting", "Meeting's report",
        ]  # fmt: skip
        assert _reported(at.clinic, "attendees") == [2, 2, 1]
        assert len(set(_reported(at.clinic, "meeting_id"))) == 1


def test_a_meeting_that_returns_our_refs_tells_each_visit_its_own_times(tmp_path: Path) -> None:
    with place(tmp_path, groups=True) as at:
        _jitsi_group(at)
        assert [at.clinic.events(reference) for reference in GROUP] == [
            ["planned", "connected", "connected", "disconnected", "disconnected"],
            ["planned", "connected", "connected", "disconnected"],
            ["planned", "connected", "disconnected"],
        ]  # fmt: skip


def test_a_patient_s_token_has_the_times_of_their_own_visit(tmp_path: Path) -> None:
    """By those of the group it told when others come and go, and opened the room when the own visit was long over."""
    with place(tmp_path, groups=True) as at:
        now = at.clinic.service.now + MINUTE
        for number, reference in enumerate(GROUP):
            at.clinic.hear("S12", start=now + number * 10 * MINUTE, reference=reference, conference="G-77")
        windows = [at.clinic.visit(reference).window for reference in GROUP]
        first, last = _times(windows[0].opens_at, windows[0].ends_at), _times(windows[0].opens_at, windows[2].ends_at)
        own = _times(windows[1].opens_at, windows[1].ends_at)
        assert _claimed(at, at.clinic.token(GROUP[0])) == first
        assert _claimed(at, at.clinic.token(GROUP[1])) == own
        assert _claimed(at, at.clinic.new_link(VisitRole.GUEST, GROUP[1])) == own
        assert _claimed(at, at.clinic.new_link(VisitRole.PROVIDER, GROUP[1])) == last


def _times(*instants: datetime) -> tuple[int, ...]:
    return tuple(int(instant.timestamp()) for instant in instants)


def _claimed(at: Place, token: str) -> tuple[int, ...]:
    """From when until when the token in an address is good."""
    at.clinic.here(token)
    way = at.clinic.room.go(token, "d1")
    assert way is not None
    content = (way.url or "").rpartition("jwt=")[2].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    return claims["nbf"], claims["exp"]


def _jitsi_group(at: Place) -> None:
    for reference in GROUP:
        at.clinic.hear("S12", start=at.clinic.service.now + MINUTE, reference=reference, conference="G-77")
    at.jitsi.rooms.clear()
    provider = at.enter(VisitRole.PROVIDER, GROUP[2])
    came = [at.enter(VisitRole.PATIENT, reference) for reference in GROUP[:2]]
    assert "900201" not in came[0].role
    assert came[0].role != came[1].role
    [room] = at.jitsi.rooms
    at.wait(5)
    at.jitsi.leave(room, came[0])
    at.wait(5)
    at.jitsi.leave(room, provider)


def _reported(day: Clinic, key: str) -> list[Any]:
    ids = {day.visit(reference).id: reference for reference in GROUP}
    with day.service.store.read() as conn:
        begins, ends = START - timedelta(days=40), START + timedelta(days=40)
        page = visit_pages.reported(conn, begins, ends, VisitFilter(), after=None, limit=50)
    rows = {ids[visit.id]: REPORTED[key](visit) for visit in page.visits if visit.id in ids}
    return [rows[reference] for reference in GROUP]
