"""Random clinics and histories that look for trouble: transition nights, quiet boundaries, due minutes and their seconds.

Everything comes from a `random.Random`, so that one number is a story that can be told again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from parser.event import SchedulingEvent, Start, Status
from scheduler.policy import Policy
from tests.scheduler.stories import event, policy

ZONES = {
    "United States": (
        "America/New_York",
        "America/Chicago",
        "America/Denver",
        "America/Phoenix",
        "America/Los_Angeles",
        "America/Anchorage",
        "Pacific/Honolulu",
    ),
    "Canada": ("America/St_Johns", "America/Halifax", "America/Toronto", "America/Regina", "America/Vancouver"),
    "Europe": ("Europe/London", "Europe/Berlin", "Europe/Lisbon", "Europe/Athens", "Atlantic/Azores"),
    "south": (  # Santiago changes at midnight, Lord Howe by half an hour
        "Australia/Sydney",
        "Australia/Lord_Howe",
        "Pacific/Auckland",
        "America/Santiago",
        "America/Sao_Paulo",
    ),
}
RULES: tuple[dict[str, Any], ...] = (
    {"before": "2w"},
    {"before": "7d", "at": "10:00"},
    {"before": "3d"},
    {"before": "2d", "at": "02:30"},
    {"before": "1d"},
    {"before": "1d", "at": "07:59"},
    {"before": "1d", "at": "01:30"},
    {"before": "1d", "at": "21:00"},
    {"before": "0d", "at": "08:00"},
    {"before": "0d", "at": "02:15"},
    {"before": "48h"},
    {"before": "36h"},
    {"before": "24h"},
    {"before": "26h", "always": True},
    {"before": "8h"},
    {"before": "3h"},
    {"before": "2h"},
    {"before": "90m"},
    {"before": "30m", "visit_modes": ["in-person", "phone"]},
    {"before": "15m", "always": True, "visit_modes": ["video"]},
    {"before": "20m", "visit_modes": ["video"]},
    {"before": "1h", "always": True},
)
NIGHTS: tuple[tuple[str, str] | None, ...] = (
    ("21:00", "08:00"),
    ("21:00", "08:00"),
    ("22:30", "06:15"),
    None,
    ("01:30", "03:30"),
    ("02:00", "03:00"),
    ("23:00", "01:30"),
    ("12:00", "13:00"),
    ("03:00", "02:30"),  # all day but the half hour that a transition may skip
    ("00:00", "23:59"),
    ("09:00", "09:00"),  # nothing
)
DEBOUNCES = ("0s", "30s", "60s", "60s", "60s", "90s", "10m", "3h")
GAPS = ("0s", "1m", "45m", "2h", "2h", "12h")
LEADS = ("0s", "30m", "30m", "3h", "14h")
LATENESSES = ("0s", "10m", "2h", "1d")
MODES = (None, None, "video", "in-person", "phone")
PLACES = (None, None, None, "North", "South")


@dataclass(frozen=True, slots=True)
class Case:
    """One clinic's rules and one appointment's history."""

    policy: Policy
    events: list[SchedulingEvent]
    zone: str


@cache
def transitions(zone: str, year: int = 2026) -> tuple[datetime, ...]:
    """The hours of a year after which the clinic's clock is changed, UTC; none: New Year."""
    clock = ZoneInfo(zone)
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(365 * 24)]
    offsets = [hour.astimezone(clock).utcoffset() for hour in hours]
    found = tuple(hours[n] for n in range(len(hours) - 1) if offsets[n] != offsets[n + 1])
    return found or (datetime(year, 12, 31, 22, tzinfo=UTC),)


def random_case(random: Random, zones: tuple[str, ...]) -> Case:
    zone = random.choice(zones)
    rules = random_rules(random)
    start = random_start(random, zone)
    events: list[SchedulingEvent] = []
    now = start.instant - timedelta(minutes=random.choice((3, 20, 90, 600, 1500, 3000, 8000, 30000)) * random.random())
    if random.random() < 0.4:
        now = min(now, telling_moment(random, rules, start, now))
    starts = [start]
    for number in range(random.choice((1, 1, 2, 2, 3, 3, 4, 5, 6))):
        if number:
            now = random_later(random, rules, starts[-1], now)
        events.append(random_event(random, now, starts, zone, first=not number))
    return Case(rules, events, zone)


def random_rules(random: Random) -> Policy:
    night = random.choice(NIGHTS)
    return policy(
        *random.sample(RULES, random.randrange(5)),
        shown=random.choice(((), ("facility",), ("facility", "provider"))),
        quiet_hours=None if night is None else {"from": night[0], "to": night[1]},
        debounce=random.choice(DEBOUNCES),
        min_gap=random.choice(GAPS),
        min_lead=random.choice(LEADS),
        max_lateness=random.choice(LATENESSES),
        confirmation={name: random.random() < 0.9 for name in ("scheduled", "updated", "canceled")},
    )


def random_start(random: Random, zone: str) -> Start:
    """Mostly within days of a change of the clock; now and then a date without a time."""
    around = random.choice(transitions(zone))
    minutes = random.choice((300, 2000, 6000, 30000)) * (2 * random.random() - 1)
    instant = (around + timedelta(minutes=minutes)).replace(second=0, microsecond=0)
    if random.random() < 0.6:
        instant = instant.replace(minute=instant.minute // 15 * 15)
    if random.random() < 0.03:
        local = instant.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, fold=0)
        return Start(instant=local.astimezone(UTC), zone=zone, date_only=True)
    return Start(instant=instant, zone=zone)


def telling_moment(random: Random, rules: Policy, start: Start, now: datetime) -> datetime:
    """Within seconds of where something changes: a reminder's time, a gap or lead before it, a quiet boundary, the start."""
    moments = [start.instant, start.instant - timedelta(hours=24), start.instant - rules.sms.min_lead]
    for reminder in rules.sms.reminders:
        due = start.instant - reminder.offset
        moments += [due, due - rules.sms.min_gap, due - rules.sms.debounce]
    if rules.sms.quiet_hours is not None:
        today = now.astimezone(ZoneInfo(start.zone))
        for clock in (rules.sms.quiet_hours.begins, rules.sms.quiet_hours.ends):
            boundary = datetime.combine(today.date(), clock, tzinfo=today.tzinfo).astimezone(UTC)
            moments += [boundary, boundary - rules.sms.debounce]
    return random.choice(moments) + timedelta(
        seconds=random.choice((-61, -60, -59, -30, -1, -0.5, 0, 0, 0.5, 1, 30, 60))
    )


def random_later(random: Random, rules: Policy, start: Start, now: datetime) -> datetime:
    """When the next message comes: at once, around the debounce's end, at a telling moment, or hours or days later."""
    kind = random.random()
    debounce = rules.sms.debounce
    if kind < 0.25:
        return now + timedelta(seconds=random.choice((0.25, 1, 10, 29, 30, 31)))
    if kind < 0.45:
        return now + debounce + timedelta(seconds=random.choice((0.001, 1, 30, 59, 60, 61, 120)))
    if kind < 0.75:
        moment = telling_moment(random, rules, start, now)
        if moment > now:
            return moment
    return now + timedelta(minutes=random.choice((1, 20, 200, 1500, 9000)) * random.random() + 0.01)


def random_event(random: Random, now: datetime, starts: list[Start], zone: str, *, first: bool) -> SchedulingEvent:
    """The next message; it remembers the start it gave, so that a later one can change it back."""
    names = (
        "S12 S12 S12 S12 S13 S14 S15 S16 S17 S26 S18 S14"
        if first
        else "S12 S13 S13 S13 S14 S14 S14 S14 S15 S15 S15 S16 S17 S26 S18"
    )
    name = random.choice(names.split())
    start: Start | None = starts[-1]
    if not first:
        start = random_next_start(random, name, starts, zone)
    more: dict[str, Any] = {
        "start": start,
        **random_sending(random, now),
        "received_at": now,
        "visit_mode": random.choice(MODES),
        "facility": random.choice(PLACES),
        "provider": random.choice(PLACES),
    }
    if name in ("S14", "S18"):
        more["status"] = random.choice(
            (Status.BOOKED,) * 5
            + (Status.UNKNOWN, Status.UNKNOWN, Status.ARRIVED, Status.COMPLETED, Status.CANCELED)
            + (Status.PENDING, Status.WAITLIST, Status.BLOCKED)
        )
    elif name in ("S12", "S13") and random.random() < 0.2:
        more["status"] = random.choice((Status.UNKNOWN, Status.WAITLIST, Status.PENDING))
    if random.random() < 0.3:
        more["duration"] = timedelta(minutes=random.choice((15, 30, 45)))
    return replace(event(name, "2026-01-01 00:00", None, zone=zone), **more)


def random_sending(random: Random, now: datetime) -> dict[str, Any]:
    """When MSH-7 says that a message of this moment was sent: to the second or the minute, or in an hour that comes twice."""
    minute = now.replace(second=0, microsecond=0)
    kind = random.random()
    if kind < 0.85:
        return {"occurred_at": now, "occurred_within": timedelta(seconds=1)}
    if kind < 0.95:
        return {"occurred_at": minute, "occurred_within": timedelta(minutes=1)}
    earlier = minute - timedelta(hours=random.randrange(2))
    return {"occurred_at": earlier, "occurred_within": timedelta(hours=1, minutes=1)}


def random_next_start(random: Random, name: str, starts: list[Start], zone: str) -> Start | None:
    kind = random.random()
    if kind < 0.15:
        return None
    moving = 0.75 if name == "S13" else 0.25
    if random.random() > moving:
        return starts[-1]
    if kind < 0.4:
        return random.choice(starts)
    if kind < 0.5:
        starts.append(random_start(random, zone))
    elif kind < 0.55:  # another clinic, the same instant; a day without a time has none
        if not starts[-1].date_only:
            starts.append(replace(starts[-1], zone="Etc/GMT+8" if zone == starts[-1].zone else zone))
    else:
        by = timedelta(minutes=random.choice((-3000, -600, -45, -1, 1, 15, 60, 600, 1440, 5000, 10080)))
        starts.append(Start(instant=starts[-1].instant + by, zone=starts[-1].zone))
    return starts[-1]
