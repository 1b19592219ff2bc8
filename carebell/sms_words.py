"""The words for a text's kind and for the reason why it is sent or not sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scheduler.sms import Reason, SmsKind

TITLES: Final[Mapping[str, str]] = {
    SmsKind.BOOKED: "booking",
    SmsKind.UPDATED: "change",
    SmsKind.CANCELED: "cancellation",
    SmsKind.REMINDER: "reminder",
    SmsKind.ANSWER: "answer",
}
WHY: Final[Mapping[str, str]] = {
    Reason.BOOKED: "the visit was booked",
    Reason.UPDATED: "something the patient sees has changed",
    Reason.CANCELED: "the visit was cancelled",
    Reason.REMINDER: "a reminder of the configuration",
    Reason.ANSWER: "the patient replied",
    Reason.OPTED_OUT: "the patient asked for no more texts",
    Reason.LATE_BOOKING: "its time had passed when the visit was booked or moved",
    Reason.QUIET_HOURS: "it was due in quiet hours and could not be moved out of them",
    Reason.TOO_CLOSE: "too close to a confirmation",
    Reason.NO_PHONE: "no number was given",
    Reason.INVALID_PHONE: "the number is not usable",
    Reason.LANDLINE: "only a landline is known",
    Reason.COUNTRY_NOT_ALLOWED: "the number's country is not allowed",
    Reason.NOT_ALLOW_LISTED: "not on the test environment's allow list",
    Reason.NOT_APPROVED: "sending is not approved",
    Reason.NO_CONSENT: "there is no consent",
    Reason.NO_VISIBLE_CHANGE: "nothing that the patient sees has changed",
    Reason.SUPERSEDED: "a newer text replaces it",
    Reason.CAP: "the number has received its allowed texts of the day or week",
    Reason.PAST: "too late: the visit has begun",
    Reason.EXPIRED: "it could not be sent in time",
    Reason.PURGED: "the number was deleted before",
    Reason.DECEASED: "the patient has died",
    Reason.SWITCHED_OFF: "switched off in the configuration",
    Reason.NO_TEXT: "no template gives a text",
    Reason.NO_TIME: "the visit has a date but no time",
    Reason.NO_RULE: "the configuration has no such reminder for this visit any more",
    Reason.LATE_RULE: "its time had passed when the configuration first asked for it",
    Reason.NOT_BOOKED: "the visit is not booked, or no longer booked: waitlisted, pending, held or blocked",
}


def title_of(kind: str, rule: str) -> str:
    """`reminder 24h`, `booking`, `answer confirmed`."""
    return f"{TITLES[kind]} {rule}" if kind in (SmsKind.REMINDER, SmsKind.ANSWER) else TITLES[kind]
