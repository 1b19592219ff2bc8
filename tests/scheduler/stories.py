"""Building histories for the planner's tests: events by hand, in a clinic of one zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from config.model import SmsSettings
from parser.event import Action, SchedulingEvent, Start, Status
from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment
from scheduler.policy import Policy
from scheduler.rehearsal import Rehearsed, rehearse
from scheduler.sms import Reason

NEW_YORK = "America/New_York"

_ACTIONS = {
    "S12": (Action.BOOK, Status.BOOKED),
    "S13": (Action.RESCHEDULE, Status.BOOKED),
    "S14": (Action.MODIFY, Status.BOOKED),
    "S15": (Action.CANCEL, Status.CANCELED),
    "S16": (Action.CANCEL, Status.CANCELED),
    "S17": (Action.DELETE, Status.DELETED),
    "S18": (Action.RESOURCE, Status.BOOKED),
    "S26": (Action.NO_SHOW, Status.NO_SHOW),
    "S27": (Action.ANNOUNCE, Status.BOOKED),
}


def local(written: str, zone: str = NEW_YORK) -> datetime:
    """`2026-03-09 14:00` on the clinic's clock, as UTC."""
    return datetime.fromisoformat(written).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def event(name: str, at: str, start: str | None, *, zone: str = NEW_YORK, **more: Any) -> SchedulingEvent:
    """An event received (and sent) at a clock time, about a visit at a clock time."""
    action, status = _ACTIONS[name]
    received = local(at, zone)
    said: dict[str, Any] = {
        "environment": "production",
        "event": name,
        "action": action,
        "status": status,
        "reference": "900100",
        "aliases": ("EPIC|LAMNA|filler|900100|EPIC",),
        "occurred_at": received,
        "received_at": received,
        "start": None if start is None else Start(instant=local(start, zone), zone=zone),
        "phone": PhoneNumber("+12025550143"),
    }
    return SchedulingEvent(**(said | more))


def policy(*reminders: dict[str, Any], shown: tuple[str, ...] = (), **sms: Any) -> Policy:
    """The shipped defaults with these reminders and changes."""
    section = {"from": "+14255550100", "reminders": list(reminders)} | sms
    return Policy(sms=SmsSettings.model_validate(section), shown=shown)


def texts(
    events: list[SchedulingEvent], rules: Policy, blocked: Reason | None = None
) -> list[tuple[str, str, str, str]]:
    """(kind, rule, due on the clinic's clock or -, `goes` or the reason why not) of a history, by due."""

    def why(_: Appointment) -> Reason | None:
        return blocked

    zone = events[0].start.zone if events[0].start else NEW_YORK
    return [_told(each, zone) for each in rehearse(events, rules, why, zone=zone).texts]


def _told(each: Rehearsed, zone: str) -> tuple[str, str, str, str]:
    row = each.row
    due = "-" if row.due is None else row.due.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M")
    return row.kind.value, row.rule, due, "goes" if each.leaves else row.reason.value


def later(at: str, **by: float) -> str:
    """A clock time moved, for seconds and minutes after an event."""
    return (datetime.fromisoformat(at) + timedelta(**by)).isoformat(" ")
