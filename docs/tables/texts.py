"""Pages about texts: the reasons of the plan, and the gateway's codes."""

from __future__ import annotations

from typing import Final

from docs.tables.markdown import code, table
from notifier.outcomes import (
    BACKOFF,
    CODES,
    NEXT_WINDOW,
    ONCE_AFTER,
    SHED_AFTER,
    SLOWLY,
    UNREACHABLE_RETRIES,
    Rule,
    Scope,
)
from scheduler.messages import Reason

REASONS: Final[dict[Reason, tuple[str, str]]] = {
    Reason.BOOKED: ("A text: the visit was booked.", ""),
    Reason.UPDATED: ("A text: something the patient sees has changed.", ""),
    Reason.CANCELED: (
        "Of a text: it tells the cancellation. Of a silence: the visit was cancelled before this text left.",
        "",
    ),
    Reason.REMINDER: ("A text: a reminder of `sms.reminders`.", ""),
    Reason.OPTED_OUT: (
        "The number has asked for no more texts from this sender.",
        "`carebell optout list`; only the patient may undo it, by texting START or by asking.",
    ),
    Reason.LATE_BOOKING: (
        "The reminder's time had passed when the visit was booked or moved. It is never sent at once instead.",
        "",
    ),
    Reason.QUIET_HOURS: (
        "It fell into `sms.quiet_hours` and could be moved neither to their end nor before their beginning.",
        "`always: true` on the reminder lets it pass.",
    ),
    Reason.TOO_CLOSE: (
        "Less than `sms.min_gap` lies between it and a confirmation of the same visit.",
        "`always: true` on the reminder lets it pass.",
    ),
    Reason.NO_PHONE: ("No message gave a number for this patient.", "`carebell explain` shows what the feed sends."),
    Reason.INVALID_PHONE: (
        "Every number given is impossible, has an extension, or was refused by the gateway as bad.",
        "Correct it in the hospital's own system.",
    ),
    Reason.LANDLINE: ("Only a landline is known, and `sms.landline` is `skip`.", ""),
    Reason.COUNTRY_NOT_ALLOWED: ("The number belongs to a country that is not in `sms.countries`.", ""),
    Reason.NOT_ALLOW_LISTED: ("A test environment texts only the numbers of `sms.allow_list`.", ""),
    Reason.NOT_APPROVED: ("`sms.approved` is false: texts are planned and recorded, none is sent.", ""),
    Reason.NO_CONSENT: (
        "A switch of `sms.consent` is false, or the patient's own field says no.",
        "Both switches must be true; see `carebell check-config`.",
    ),
    Reason.NO_VISIBLE_CHANGE: ("An edit changed nothing that the patient sees.", ""),
    Reason.SUPERSEDED: (
        "A later message took its place, or a reminder nearer to the visit leaves in the same minute.",
        "",
    ),
    Reason.CAP: ("The number has had as many texts as `sms.caps` allows.", ""),
    Reason.PAST: ("It would have left at or after the start, or the visit is over.", ""),
    Reason.EXPIRED: (
        "It could not leave in time: an outage, a hold, a full queue at the gateway.",
        "`carebell logs --since 24h --level warning` shows which.",
    ),
    Reason.PURGED: ("The number was deleted, as it must be, before the text left.", ""),
    Reason.DECEASED: ("The patient has died (PID-30, PID-29).", ""),
    Reason.SWITCHED_OFF: ("`sms.confirmation` is false for this change.", ""),
    Reason.NO_TEXT: ("No template gives a text for these values.", "`carebell check-config` names the template."),
    Reason.NO_TIME: ("The start is a date without a time of day: no timed reminder is possible.", ""),
}

TWILIO: Final[dict[int, str]] = {
    10001: "the account is not active",
    20003: "wrong account or token",
    20429: "too many requests",
    20503: "the service is unavailable for a moment",
    21211: "the recipient is no telephone number",
    21212: "the sender is no telephone number",
    21268: "a premium-rate number",
    21408: "the region is not enabled in the account",
    21606: "the sender is not a number of the account that can text",
    21608: "a trial account may text verified numbers only",
    21609: "the callback address is not valid",
    21610: "the recipient has replied STOP to this sender",
    21611: "the sender's queue is full",
    21612: "no route from this sender to this recipient",
    21614: "the recipient cannot receive texts",
    21617: "the text is too long",
    21635: "the recipient is a landline",
    21659: "the sender is not a number or short code of the account",
    30001: "the queue overflowed",
    30002: "the account is suspended",
    30003: "the handset cannot be reached: off, or out of coverage",
    30004: "the recipient's number is blocked for texts",
    30005: "the number does not exist or is no longer in use",
    30006: "a landline, or a carrier that cannot be reached",
    30007: "the carrier filtered it as spam",
    30008: "delivery failed for a reason that nobody gave",
    30009: "a part of the text is missing",
    30010: "the text costs more than the limit given",
    30022: "the carrier's rate limit for the campaign",
    30023: "the carrier's daily limit for the brand",
    30024: "the sender is not provisioned by the carrier",
    30027: "the carrier's daily limit for the campaign",
    30032: "the toll-free sender is not verified",
    30034: "the sender belongs to no registered campaign",
    30036: "its validity period ended before delivery",
    30410: "the provider timed out",
    30450: "not delivered; see the dictionary",
    30500: "an internal failure at the gateway",
    30610: "not delivered; see the dictionary",
    30640: "not delivered; see the dictionary",
    63018: "the sender's rate limit",
}


def reasons() -> str:
    rows = [(code(reason.value), *REASONS[reason]) for reason in Reason]
    return f"""# Reasons

Why a text leaves, and why one does not. Every text and every silence has one: in `carebell plan`, in `carebell outbox` and in the
log lines `sms_sent` and `sms_suppressed`.

{table(["reason", "meaning", "what to do, if it should be otherwise"], rows)}"""


def gateway_codes() -> str:
    rows = [(code(str(number)), TWILIO[number], _policy(rule), _shown(rule)) for number, rule in sorted(CODES.items())]
    waits = ", ".join(f"{int(wait.total_seconds())}" for wait in BACKOFF)
    return f"""# Gateway codes

What Twilio's error codes mean for a text, whether they come with the answer to our request or in a later callback. Twilio's own
dictionary has more words for each: `https://www.twilio.com/docs/api/errors/CODE`.

{table(["code", "what it says", "what we do", "status in the report"], rows)}
Any other code: the text has failed, and an alarm names the code as unmapped, so that somebody looks at it once.

- Retries wait {waits} seconds, the last one again and again, and stop when the text would come too late to be of use.
- A read time-out, a reset connection and every 5xx leave the text `unknown`: it may have been taken, so it is looked up, never
  sent again blindly.
"""


def _policy(rule: Rule) -> str:
    said = _first(rule)
    if rule.number_bad:
        said += "; the number is marked unusable"
    if rule.opt_out:
        said += "; recorded as an opt-out from this sender"
    if rule.alert is not None and rule.breaker is None:
        said += f"; alarm ({rule.alert.value})"
    return said


def _first(rule: Rule) -> str:
    seconds = " and ".join(str(int(wait.total_seconds())) for wait in UNREACHABLE_RETRIES)
    match rule.kind.value:
        case "permanent":
            return "failed, not tried again"
        case "retry":
            return "tried again while useful"
        case "slow":
            wait = int(SLOWLY.total_seconds())
            return f"tried again every {wait} s while useful; a reminder gives way after {SHED_AFTER} attempts"
        case "unreachable":
            return f"tried again after {seconds} s while useful"
        case "once":
            return f"tried once more after {int(ONCE_AFTER.total_seconds())} s"
        case "window":
            return f"tried again when the carrier's window opens, or after {int(NEXT_WINDOW.total_seconds()) // 3600} h"
        case "breaker":
            what = "the environment" if rule.breaker is Scope.ENVIRONMENT else "the sender"
            return f"{what} stops sending until the trouble is resolved; its texts wait; alarm"
        case "expired":
            return "expired"
        case other:
            raise ValueError(f"no words for {other}")


def _shown(rule: Rule) -> str:
    return "-" if rule.kind.value == "retry" else rule.status.value
