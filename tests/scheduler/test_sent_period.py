"""Which of two messages is newer: hours that the clocks repeat, mixed precisions, equal times (docs/explanation/planning.md).

`oracle.sent` finds out by looking at the clock when a message may have been sent; the messages here are read from their bytes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import permutations
from random import Random
from zoneinfo import ZoneInfo

import pytest

from certs.unverified import unverified
from parser import siu
from parser.event import SchedulingEvent, Start
from parser.siu import Rules
from scheduler.apply_event import apply, create, doubtful_fields
from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.sent_period import SentPeriod
from tests.parser.reading import rules
from tests.scheduler.oracle import Period, certainly_older, sent
from tests.scheduler.random_stories import ZONES, transitions
from tests.scheduler.stories import policy

POLICY = policy()
EVENTS = {"S12": "Booked", "S13": "Booked", "S14": "Booked", "S15": "Cancelled", "S17": "Deleted"}
STATUS = {
    "Booked": AppointmentStatus.ACTIVE,
    "Cancelled": AppointmentStatus.CANCELED,
    "Deleted": AppointmentStatus.DELETED,
}
OFF = (AppointmentStatus.CANCELED, AppointmentStatus.DELETED)
DIGITS = {"minute": 12, "second": 14, "fraction": 16}


@cache
def _rules(zone: str) -> Rules:
    return rules(zone=zone)


def message(event: str, written: str, day: int, zone: str) -> SchedulingEvent:
    """A message with this MSH-7 about a visit on a day of December 2026, read from its bytes."""
    content = (
        f"MSH|^~\\&|EHR|LAMNA|APPTSMS|LAMNA|{written}||SIU^{event}^SIU_S12|1|P|2.5.1\r"
        f"SCH||771001^EHR|||||ROUTINE|FOLLOWUP|30|MIN|^^30^202612{day:02}140000||||||||||||||{EVENTS[event]}\r"
        "PID|1||||||||||||^PRN^CP^^1^202^5550143\r"
    ).encode()
    at = datetime(2026, 6, 1, tzinfo=UTC)
    verified = unverified(content, environment="production", zone=ZoneInfo(zone), received_at=at)
    event_read = siu.rehearse(replace(verified, received_at=verified.sent_at), _rules(zone))
    assert isinstance(event_read, SchedulingEvent), event_read
    return replace(event_read, start=Start(instant=datetime(2026, 12, day, 18, tzinfo=UTC), zone=zone))


def after(first: SchedulingEvent, *others: SchedulingEvent) -> Appointment:
    """The appointment after these deliveries."""
    appointment = create(first, POLICY, id="1", zone="UTC")
    for event in others:
        appointment = apply(appointment, event, POLICY) or appointment
    return appointment


def random_written(random: Random, zone: str) -> str:
    """MSH-7 within two hours of where the clinic's clock is changed, to the minute, the second or a tenth of one."""
    around = random.choice(transitions(zone)) + timedelta(minutes=random.randrange(-60, 180))
    shown = (around + timedelta(seconds=random.choice((0, 0, 1, 30, 59)))).astimezone(ZoneInfo(zone))
    return (shown.strftime("%Y%m%d%H%M%S") + f".{random.randrange(10)}")[: random.choice(list(DIGITS.values()))]


def written_near(random: Random, written: str) -> str:
    """Another MSH-7 within two hours of that one, often at the same time to another precision."""
    minutes = random.choice((0, 0, 0, 1, -1, 40, -40, 60, -75))
    shown = datetime.strptime(written[:12], "%Y%m%d%H%M") + timedelta(minutes=minutes)  # noqa: DTZ007  (a clock's digits)
    second, tenth = random.choice((written[12:14] or "00", "00", "31")), random.randrange(10)
    return (shown.strftime("%Y%m%d%H%M") + f"{second}.{tenth}")[: random.choice(list(DIGITS.values()))]


@pytest.mark.parametrize("region", ZONES)
def test_the_later_arrival_counts_unless_it_is_certainly_older_and_a_cancellation_wins_the_doubt(region: str) -> None:
    seen = dict.fromkeys(("older", "newer", "doubt", "kept off"), 0)
    for number in range(400):
        random = Random(f"{region} order {number}")
        zone = random.choice(ZONES[region])
        first = random_written(random, zone)
        second = written_near(random, first)
        names = random.choice(list(EVENTS)), random.choice(list(EVENTS))
        known, said = (
            message(name, text, day, zone) for name, text, day in zip(names, (first, second), (7, 8), strict=True)
        )
        period_known, period_said = sent(first, zone), sent(second, zone)
        older, newer = certainly_older(period_said, period_known), certainly_older(period_known, period_said)
        status, before = STATUS[EVENTS[names[1]]], STATUS[EVENTS[names[0]]]
        kept_off = not newer and before in OFF and status not in OFF
        appointment = after(known, said)
        assert appointment.status is (before if older or kept_off else status), number
        assert appointment.start == (known if older else said).start.instant, number  # type: ignore[union-attr]
        doubt = not older and not newer
        expected = {"start", *(["status"] if before is not status else [])} if doubt else set()
        assert set(doubtful_fields(after(known), said)) == expected, number
        seen["older"] += older
        seen["newer"] += newer
        seen["doubt"] += doubt
        seen["kept off"] += doubt and kept_off
    assert min(seen.values()) > 10, f"these pairs look for trouble no more: {seen}"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (("S12", "20261101015000"), ("S15", "20261101011000"), AppointmentStatus.CANCELED),  # the hour came again
        (("S12", "20261101015000-0700"), ("S15", "20261101011000-0800"), AppointmentStatus.CANCELED),
        (("S12", "20261101015000-0700"), ("S15", "20261101011000-0700"), AppointmentStatus.ACTIVE),  # certainly older
        (("S12", "20261130100030"), ("S15", "202611301000"), AppointmentStatus.CANCELED),
        (("S12", "20261130100030.7"), ("S15", "20261130100030"), AppointmentStatus.CANCELED),
        (("S12", "202611301000"), ("S15", "20261130100000"), AppointmentStatus.CANCELED),
        (("S12", "20261130100000"), ("S15", "20261130100000"), AppointmentStatus.CANCELED),
        (("S15", "20261130100000"), ("S12", "20261130100000"), AppointmentStatus.CANCELED),
        (("S15", "202611301000"), ("S12", "20261130100059"), AppointmentStatus.CANCELED),
        (("S15", "202611301000"), ("S12", "20261130100100"), AppointmentStatus.ACTIVE),
        (("S15", "20261130100000"), ("S12", "20261130100001"), AppointmentStatus.ACTIVE),
        (("S17", "20261130100000"), ("S14", "202611301000"), AppointmentStatus.DELETED),
        (("S15", "20261101013000"), ("S13", "20261101014500"), AppointmentStatus.CANCELED),
        (("S15", "20261101013000"), ("S13", "20261101024500"), AppointmentStatus.ACTIVE),
    ],
)
def test_which_of_two_counts(first: tuple[str, str], second: tuple[str, str], expected: AppointmentStatus) -> None:
    known, said = (message(name, written, 7, "America/Los_Angeles") for name, written in (first, second))
    assert after(known, said).status is expected


def test_what_is_certainly_older_than_one_of_two_in_doubt_overrides_neither() -> None:
    zone = "America/Los_Angeles"
    exact, coarse = message("S14", "20261130100030", 7, zone), message("S14", "202611301000", 8, zone)
    late = message("S14", "20261130100015", 9, zone)
    assert after(exact, coarse, late).start == coarse.start.instant  # type: ignore[union-attr]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_where_no_order_is_in_doubt_the_delivery_decides_nothing(order: tuple[int, ...]) -> None:
    zone = "America/Los_Angeles"
    history = [message("S12", "202611301000", 7, zone), message("S15", "20261130100100", 8, zone),
               message("S13", "20261130100101.0", 9, zone)]  # fmt: skip
    found = after(*(history[index] for index in order))
    assert (found.status, found.start) == (AppointmentStatus.ACTIVE, history[2].start.instant)  # type: ignore[union-attr]


def test_a_period_precedes_another_only_where_it_ends_before() -> None:
    def period(begins: int, ends: int) -> SentPeriod:
        moments: Period = tuple(datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC) for second in (begins, ends))  # type: ignore[assignment]
        return SentPeriod(earliest=moments[0], until=moments[1])

    assert period(0, 1).precedes(period(1, 2))
    assert not period(0, 2).precedes(period(1, 2))
    assert period(0, 2).in_doubt_with(period(1, 3))
    assert period(0, 1).in_doubt_with(period(0, 1))
    assert not period(0, 1).in_doubt_with(period(1, 2))
    assert period(0, 5).taken_after(period(2, 3)) == period(2, 5)
