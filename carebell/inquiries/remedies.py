"""What to do about a text that was not sent, or waits in vain: one or two sentences for staff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from carebell.inquiries.wait_explainer import Wait
from notifier.failures import ReportStatus
from notifier.gateways import failure_of
from scheduler.sms import Reason

REMEDIES: Final[Mapping[str, str]] = {
    Reason.OPTED_OUT: "Nothing, unless the patient asks for texts again: then the patient texts START, or an administrator removes "
    "the opt-out.",
    Reason.LATE_BOOKING: "Nothing: a reminder whose time is over is never sent late.",
    Reason.QUIET_HOURS: "If it must go at night, an administrator lets this reminder pass the quiet hours.",
    Reason.TOO_CLOSE: "Nothing: the confirmation said the same a moment before.",
    Reason.NO_PHONE: "Enter a mobile number in the EHR; the next message about the visit brings it.",
    Reason.INVALID_PHONE: "Correct the number in the EHR; the next message about the visit brings it.",
    Reason.LANDLINE: "Enter a mobile number in the EHR. If this number takes texts, an administrator lets landlines be texted.",
    Reason.COUNTRY_NOT_ALLOWED: "If patients of this country are to be texted, an administrator adds the country.",
    Reason.NOT_ALLOW_LISTED: "A test environment texts only its list of numbers. An administrator adds the number to it.",
    Reason.NOT_APPROVED: "An administrator switches sending on, or the approver approves the environment.",
    Reason.NO_CONSENT: "Both boxes of SMS notifications must be ticked, and the patient's consent in the EHR must not say no.",
    Reason.NO_VISIBLE_CHANGE: "Nothing: the patient would have read the same again.",
    Reason.SUPERSEDED: "Nothing: a newer text says it.",
    Reason.CAP: "Look at the visits that used it up. If they are all right, an administrator raises the limit of the day or week.",
    Reason.PAST: "Nothing: the visit has begun.",
    Reason.EXPIRED: "Look at the log of that time for an outage, a hold or a full queue at the gateway.",
    Reason.PURGED: "Nothing: the number was deleted on request, or because the visit was over.",
    Reason.DECEASED: "Nothing. If the EHR is wrong, correct it there.",
    Reason.SWITCHED_OFF: "An administrator switches this notification on, if it is wanted.",
    Reason.NO_TEXT: "An administrator corrects the template that the check of the configuration names.",
    Reason.NO_TIME: "Enter the time of the visit in the EHR.",
    Reason.NO_RULE: "No text replaces it unless another reminder waits. If the patient must be reminded, call.",
    Reason.LATE_RULE: "Nothing: a reminder whose time is over is never sent late. If the patient must be told, call.",
    Reason.NOT_BOOKED: "Nothing until the EHR books the visit.",
    Reason.CANCELED: "Nothing: the visit was cancelled before.",
}
"""A silence's reason -> what to do."""

_WAITS: Final[Mapping[Wait, str]] = {
    Wait.SWITCHED_OFF: "An administrator switches the environment on.",
    Wait.OPTED_OUT: REMEDIES[Reason.OPTED_OUT],
    Wait.CAP: REMEDIES[Reason.CAP],
    Wait.EXPIRED: REMEDIES[Reason.EXPIRED],
    Wait.HOLD: "An administrator releases it on the page Holds when the reason is over.",
    Wait.BREAKER: "Look at the gateway's account. Carebell asks again by itself; a release on the page Holds asks at once.",
    Wait.SERVICE: "Whoever runs the server looks whether the service runs: `carebell doctor`.",
}


def remedy_of(reason: str | None) -> str:
    """What to do about a silence (`Reason`), or about what a text waits for (`Wait`); empty: nothing needs to be done."""
    if reason is None:
        return ""
    waits = next((words for wait, words in _WAITS.items() if wait.value == reason), "")
    return waits or REMEDIES.get(reason, "")


_FAILURES: Final[Mapping[ReportStatus, str]] = {
    ReportStatus.INVALID: REMEDIES[Reason.INVALID_PHONE],
    ReportStatus.NONEXISTENT: REMEDIES[Reason.INVALID_PHONE],
    ReportStatus.UNREACHABLE: "Call the patient. If the number stays out of reach, enter another mobile number in the EHR.",
    ReportStatus.BLOCKED_NUMBER: "Call the patient, or enter another mobile number in the EHR.",
    ReportStatus.BLOCKED_BY_RECIPIENT: REMEDIES[Reason.OPTED_OUT],
    ReportStatus.SPAM: "Call the patient. An administrator looks at the text's wording and at the sender's registration.",
}


def remedy_of_failure(code: int | None) -> str:
    """What to do about a text that was tried and failed with this code of the gateway; None: it gave none."""
    if code is None:
        return "Call the patient. The gateway gave no reason."
    known = _FAILURES.get(failure_of(code).status)
    return known or "Call the patient. An administrator looks the code up at the gateway."


def remedy_of_retry(code: int | None) -> str:
    """What to do about a text that failed with this code and is tried again."""
    known = None if code is None else _FAILURES.get(failure_of(code).status)
    return known or "Nothing yet: it is tried again by itself."
