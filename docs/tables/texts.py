"""Pages about texts: the reasons of the plan, and the gateway's codes."""

from __future__ import annotations

from typing import Final

from docs.tables.markdown import code, table
from notifier.failures import Failure, Handling
from notifier.gateways import CODE_TABLES
from notifier.outcomes import BACKOFF, NEXT_WINDOW, ONCE_AFTER, SHED_AFTER, SLOWLY, UNREACHABLE_RETRIES
from scheduler.sms import HoldScope, Reason

REASONS: Final[dict[Reason, tuple[str, str]]] = {
    Reason.BOOKED: ("A text: the visit was booked.", ""),
    Reason.UPDATED: ("A text: something the patient sees has changed.", ""),
    Reason.CANCELED: (
        "If the text was sent: it tells the cancellation. If it was not sent: the visit was cancelled before.",
        "",
    ),
    Reason.REMINDER: ("A text: a reminder of `sms.reminders`.", ""),
    Reason.ANSWER: ("A text: it answers what the patient replied (`sms.replies`).", ""),
    Reason.OPTED_OUT: (
        "The patient has asked for no more texts from this sender.",
        "See `carebell optout list`. Only the patient may undo it, by texting START or by asking staff.",
    ),
    Reason.LATE_BOOKING: (
        "The reminder's time had passed when the visit was booked or moved. It is never sent at once instead.",
        "",
    ),
    Reason.QUIET_HOURS: (
        "It was due in `sms.quiet_hours` and could be moved neither to their end nor before their beginning.",
        "`always: true` on the reminder lets it pass.",
    ),
    Reason.TOO_CLOSE: (
        "Less than `sms.min_gap` lies between it and a confirmation of the same visit.",
        "`always: true` on the reminder lets it pass.",
    ),
    Reason.NO_PHONE: ("No message gave a number for this patient.", "`carebell explain` shows what the feed sends."),
    Reason.INVALID_PHONE: (
        "Every given number is impossible, has an extension, or was refused by the gateway as invalid.",
        "Correct it in the hospital's own system.",
    ),
    Reason.LANDLINE: ("Only a landline is known, and `sms.landline` is `skip`.", ""),
    Reason.COUNTRY_NOT_ALLOWED: ("The number belongs to a country that is not in `sms.countries`.", ""),
    Reason.NOT_ALLOW_LISTED: ("A test environment texts only the numbers of `sms.allow_list`.", ""),
    Reason.NOT_APPROVED: ("`sms.approved` is false: texts are planned and recorded, none is sent.", ""),
    Reason.NO_CONSENT: (
        "A switch of `sms.consent` is false, or the patient's consent field says no.",
        "Both switches must be true; see `carebell check-config`.",
    ),
    Reason.NO_VISIBLE_CHANGE: ("An edit changed nothing that the patient sees.", ""),
    Reason.SUPERSEDED: (
        "A later message replaced it, or a reminder nearer to the visit is sent in the same minute.",
        "",
    ),
    Reason.CAP: ("The number has received as many texts as `sms.caps` allows.", ""),
    Reason.PAST: ("It would have been sent at or after the start, or the visit is over.", ""),
    Reason.EXPIRED: (
        "It could not be sent in time: there was an outage, a hold, or a full queue at the gateway.",
        "`carebell logs --since 24h --level warning` shows the cause.",
    ),
    Reason.PURGED: ("The number was deleted, as required, before the text was sent.", ""),
    Reason.DECEASED: ("The patient has died (PID-30, PID-29).", ""),
    Reason.SWITCHED_OFF: ("`sms.confirmation` is false for this change.", ""),
    Reason.NO_TEXT: ("No template gives a text for these values.", "`carebell check-config` names the template."),
    Reason.NO_TIME: ("The start is a date without a time of day: no timed reminder is possible.", ""),
    Reason.NO_RULE: (
        "The reminder waited, and `sms.reminders` has it no more for this visit: the configuration changed, or the visit's mode. "
        "Nothing replaces it, unless another reminder waits.",
        "`carebell config preview` warns of visits that would get no reminder any more.",
    ),
    Reason.LATE_RULE: (
        "The reminder's time had passed when `sms.reminders` first had it for this visit: the configuration, or the visit's mode, "
        "changed after that time. It is never sent at once instead.",
        "",
    ),
    Reason.NOT_BOOKED: (
        "The visit is waitlisted, pending, held or blocked: the patient is told nothing until a message books it.",
        "`carebell explain` shows which field says so; the words are the field map's `status` lists.",
    ),
}

GATEWAYS: Final[dict[str, tuple[str, str]]] = {
    "twilio": (
        "Twilio",
        "Twilio's error dictionary explains each code: `https://www.twilio.com/docs/api/errors/CODE`.",
    ),
    "http": (
        "HTTP",
        "The gateway writes the word, in an answer or in a status ([protocol](http-gateway.md)). Carebell stores and shows the "
        "number; numbers from 200 on came with a status.",
    ),
}
"""Kind of gateway that has codes -> its name, and where the gateway explains its codes."""


def reasons() -> str:
    rows = [(code(reason.value), *REASONS[reason]) for reason in Reason]
    return f"""# Reasons

A reason says why a text is sent, or why it is not sent. Every text has one. It is shown by `carebell plan`, by `carebell outbox`
and in the log lines `sms_sent` and `sms_suppressed`.

{table(["reason", "meaning", "what to do, if you want to change it"], rows)}"""


def gateway_codes() -> str:
    waits = ", ".join(f"{int(wait.total_seconds())}" for wait in BACKOFF)
    return f"""# Gateway codes

This page says what a gateway's error codes mean for a text. A code comes with the answer to Carebell's request or in a later
webhook. No two gateways share a code, so a stored code keeps its meaning after a change of gateway.

{"".join(_table_of(kind) for kind in CODE_TABLES)}## For all gateways

For any other code the text has failed, and an alarm names the code as unmapped, so that somebody looks at it once.

- Retries wait {waits} seconds. The last wait repeats. Retries stop when the text would come too late to be useful.
- After a read time-out, a reset connection or any 5xx the text is `unknown`: the gateway may have taken it. Carebell looks it up
  and never sends it again without knowing.
"""


def _table_of(kind: str) -> str:
    name, words = GATEWAYS[kind]
    failures = [CODE_TABLES[kind][number] for number in sorted(CODE_TABLES[kind])]
    headings = ["code", "meaning", "what Carebell does", "status in the report"]
    rows = [[code(str(line.code)), line.meaning, _policy(line), _shown(line)] for line in failures]
    if any(line.name for line in failures):
        headings.insert(1, "the gateway writes")
        rows = [[row[0], code(line.name), *row[1:]] for row, line in zip(rows, failures, strict=True)]
    return f"## {name}\n\n{words}\n\n{table(headings, rows)}\n"


def _policy(failure: Failure) -> str:
    said = _first(failure)
    if failure.invalid_number:
        said += "; the number is marked unusable"
    if failure.opt_out:
        said += "; recorded as an opt-out from this sender"
    if failure.alert is not None and failure.breaker is None:
        said += f"; alarm ({failure.alert.value})"
    return said


def _first(failure: Failure) -> str:
    seconds = " and ".join(str(int(wait.total_seconds())) for wait in UNREACHABLE_RETRIES)
    match failure.handling:
        case Handling.FINAL:
            return "failed, not tried again"
        case Handling.RETRY:
            return "tried again while the text is useful"
        case Handling.RETRY_SLOWLY:
            wait = int(SLOWLY.total_seconds())
            return f"tried again every {wait} s while the text is useful; a reminder is given up after {SHED_AFTER} attempts"
        case Handling.RETRY_UNREACHABLE:
            return f"tried again after {seconds} s while the text is useful"
        case Handling.RETRY_ONCE:
            return f"tried once more after {int(ONCE_AFTER.total_seconds())} s"
        case Handling.NEXT_WINDOW:
            return f"tried again when the carrier's window opens, or after {int(NEXT_WINDOW.total_seconds()) // 3600} h"
        case Handling.BREAKER:
            what = "the environment" if failure.breaker is HoldScope.ENVIRONMENT else "the sender"
            return f"{what} stops sending until the problem is resolved; its texts wait; alarm"
        case Handling.EXPIRED:
            return "expired"


def _shown(failure: Failure) -> str:
    return "-" if failure.handling is Handling.RETRY else failure.status.value
