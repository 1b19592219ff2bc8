"""A reschedule under a new filler id: which visit it replaces, and when it must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from parser.event import SchedulingEvent
from parser.phone_number import PhoneNumber
from scheduler.apply_event import apply, create
from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.succession import end_replaced, replaced_by, sharing, succeed
from tests.scheduler.stories import NEW_YORK, event, local, policy, texts

POLICY = policy({"before": "24h"})
VISIT, MOVED = "2026-06-20 14:00", "2026-06-22 09:00"


def ids(**numbers: str) -> tuple[str, ...]:
    return tuple(f"EHR|LAMNA|{kind}|{number}|EHR" for kind, number in numbers.items())


def booked(*, name: str = "S12", at: str = "2026-06-01 09:00", **more: Any) -> SchedulingEvent:
    return event(name, at, VISIT, **({"aliases": ids(filler="F1", placer="P", visit="V"), "reference": "F1"} | more))


def moved(**more: Any) -> SchedulingEvent:
    said = {"aliases": ids(filler="F2", placer="P", visit="V"), "reference": "F2"} | more
    return event(said.pop("name", "S13"), "2026-06-02 09:00", MOVED, **said)


def known(*events: SchedulingEvent) -> Appointment:
    appointment = create(events[0], POLICY, id="1", zone=NEW_YORK)
    for later in events[1:]:
        appointment = apply(appointment, later, POLICY) or appointment
    return appointment


@pytest.mark.parametrize(
    ("before", "message", "replaces"),
    [
        ([booked()], moved(), True),
        ([booked()], moved(aliases=ids(filler="F2", placer="P")), True),
        ([booked()], moved(aliases=ids(filler="F2", visit="V")), True),
        ([booked()], moved(phone=None), True),
        ([booked()], moved(name="S12"), False),  # a booking is a visit of its own
        ([booked()], moved(name="S14"), False),
        ([booked()], moved(aliases=ids(filler="F2", placer="P", visit="V2")), False),  # the visits of a series
        ([booked()], moved(aliases=ids(filler="F2", placer="P2", visit="V")), False),
        ([booked()], moved(aliases=ids(filler="F2")), False),
        ([booked()], moved(phone=PhoneNumber("+12025550144")), False),  # another patient
        ([booked(), booked(name="S15", at="2026-06-01 10:00")], moved(), False),
        ([booked(), booked(name="S14", at="2026-06-02 10:00")], moved(), False),  # the old id was spoken of later
        ([booked(at="2026-05-01 09:00")], moved(received_at=local("2026-06-20 14:00")), False),  # it has begun
    ],
)
def test_what_a_reschedule_under_a_new_id_replaces(
    before: list[SchedulingEvent], message: SchedulingEvent, replaces: bool
) -> None:
    appointment = known(*before)
    assert replaced_by([appointment], message) is (appointment if replaces else None)


def test_a_number_of_several_visits_is_a_series_and_replaces_none() -> None:
    series = [known(booked()), known(booked(aliases=ids(filler="F3", placer="P"), reference="F3"))]
    assert replaced_by(series, moved()) is None
    assert sharing(series, moved()) == series


def test_the_visit_goes_on_under_its_new_ids_and_is_over_under_the_old_ones() -> None:
    before = replace(known(booked(consent=True, language="es")), window_text=True)
    after = succeed(before, moved(phone=None), POLICY, id="2")
    assert after is not None
    assert (after.id, after.reference, after.aliases) == ("2", "F2", ids(filler="F2", placer="P", visit="V"))
    assert (after.start, after.phone, after.language, after.consent) == (local(MOVED), before.phone, "es", True)
    assert (after.revision, after.window_revision, after.planned_revision) == (1, 1, 1)
    ended = end_replaced(before, moved())
    assert (ended.status, ended.phone, ended.aliases) == (AppointmentStatus.ENDED, None, ids(filler="F1"))
    assert ended.revision > before.revision  # what is claimed and not posted is decided anew
    late = booked(name="S14", at="2026-06-02 08:59", received_at=local("2026-06-02 09:01"))
    assert (apply(ended, late, POLICY) or ended).status is AppointmentStatus.ENDED  # an older message revives nothing


def test_the_patient_is_told_once_of_what_is_new() -> None:
    assert texts([booked(), moved()], POLICY) == [
        ("booked", "scheduled", "06-01 09:01", "goes"),
        ("reminder", "24h", "06-19 14:00", "superseded"),
        ("updated", "updated", "06-02 09:01", "goes"),
        ("reminder", "24h", "06-21 09:00", "goes"),
    ]
    soon = replace(moved(), received_at=local("2026-06-01 09:00:30"), occurred_at=local("2026-06-01 09:00:30"))
    assert [text[0::3] for text in texts([booked(), soon], POLICY)] == [
        ("booked", "superseded"), ("reminder", "superseded"), ("booked", "goes"), ("reminder", "goes"),
    ]  # fmt: skip
