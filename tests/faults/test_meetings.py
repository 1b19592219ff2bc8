"""P18, P19: making a meeting fails, is doubled or late; its webhooks are forged, doubled, reversed and lost before the report."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from carebell.outbound.meeting_making import SETTLES
from simulator.meetings.zoom import MakingFault
from tests.carebell.patients.room import START
from tests.carebell.patients.zoom_place import ZoomPlace, zoom_place
from tests.faults.conftest import Tally
from tests.store.conftest import migrated_file

__all__ = ["migrated_file"]


def _book(place: ZoomPlace, number: int, conference: str = "") -> str:
    reference = str(910_000 + number)
    start = place.clinic.service.now + timedelta(minutes=5)
    place.clinic.hear("S12", start=start, reference=reference, conference=conference)
    return reference


@pytest.mark.faults("P18")
def test_a_visit_has_one_meeting(tmp_path: Path, tally: Tally) -> None:
    chance = random.Random(18)
    with zoom_place(tmp_path, groups=True) as place, ThreadPoolExecutor(3) as threads:
        for number in tally.rounds():
            reference = _book(place, number)
            taken = [reference]
            if chance.random() < 0.3:  # a group of two or three, any of whom may be the first
                sizes = range(chance.randrange(2, 4))
                taken = [_book(place, 10_000 * (size + 1) + number, f"G-{number}") for size in sizes]
                reference = taken[0]
                tally.seen["groups"] += 1
            place.zoom.faults = chance.choices(list(MakingFault), k=chance.randrange(4))
            way, tries = None, 0
            while way is None:
                devices = range(chance.randrange(1, 4))
                taps = [threads.submit(place.go, chance.choice(taken), f"d{device}") for device in devices]
                if chance.random() < 0.5:
                    place.upkeep.round()
                ways = {tap.result() for tap in taps} - {None}
                way = ways.pop() if ways else None
                assert not ways
                tally.seen["taps answered with words" if way is None else "taps that led into the meeting"] += 1
                tries += 1
                assert tries < 20
                place.clinic.service.step(SETTLES)
            [made] = place.numbers(reference)
            assert f"/{made}?" in way
            assert {place.go(another) for another in taken} == {way}


@pytest.mark.faults("P19")
def test_a_visit_has_the_times_of_its_report(tmp_path: Path, tally: Tally) -> None:
    chance = random.Random(19)
    with ExitStack() as stack:
        for number in tally.rounds():
            if number % _ONE_PLACE == 0:  # another place before the throwaway certificate expires
                stack.close()
                folder = tmp_path / f"place{number}"
                folder.mkdir()
                place = stack.enter_context(zoom_place(folder))
            _live_and_compare(place, number, chance, tally)
            assert place.refused == ["signature"] * len(place.refused)


_ONE_PLACE: Final = 500


def _live_and_compare(place: ZoomPlace, number: int, chance: random.Random, tally: Tally) -> None:
    reference = _book(place, number)
    place.upkeep.round()
    [meeting] = place.numbers(reference)
    began, ended = _held(place, meeting, chance)
    _deliver(place, chance, tally)
    place.clinic.service.step(timedelta(minutes=11))
    place.upkeep.round()
    if place.clinic.visit(reference).ended_at is None:  # so much was lost that it is thought to go on
        place.clinic.service.step(_until_its_end(place, reference) - timedelta(minutes=5))
        place.upkeep.round()
        place.clinic.service.step(timedelta(minutes=5))
        place.clinic.upkeep.round()
        tally.seen["visits that the clock ended"] += 1
    visit = place.clinic.visit(reference)
    assert (visit.started_at, visit.ended_at) == (began, ended), number


def _until_its_end(place: ZoomPlace, reference: str) -> timedelta:
    return place.clinic.visit(reference).window.ends_at - place.clinic.service.now


def _held(place: ZoomPlace, meeting: int, chance: random.Random) -> tuple[datetime, datetime]:
    """Provider and patient come and go, each perhaps twice; when the patient came first, and when the last one left."""
    assert place.clinic.service.now >= START
    place.calls.clear()
    began: list[datetime] = []
    for _session in range(chance.randrange(1, 3)):
        order = [True, False]
        chance.shuffle(order)
        stays = []
        for host in order:
            place.clinic.service.step(timedelta(seconds=chance.randrange(1, 60)))
            stays.append(place.zoom.enter(meeting, host=host))
            if not host:
                began.append(place.clinic.service.now)
        for stay in stays:
            place.clinic.service.step(timedelta(seconds=chance.randrange(1, 600)))
            place.zoom.leave(meeting, stay)
    place.zoom.close(meeting)
    return began[0], place.clinic.service.now


def _deliver(place: ZoomPlace, chance: random.Random, tally: Tally) -> None:
    calls = list(place.calls)
    chance.shuffle(calls)
    for body, headers in calls:
        fate = chance.choice(["lost", "once", "twice", "forged"])
        tally.seen[f"webhooks {fate}"] += 1
        if fate == "forged":
            assert place.send(body.replace(b"T", b"t", 1), headers) == 403
        for _ in range({"once": 1, "twice": 2}.get(fate, 0)):
            assert place.send(body, headers) == 200
