"""The sentence at the top of a trace: why the patient got no text, or which text arrived, and what becomes of the next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from carebell.inquiries.remedies import remedy_of, remedy_of_failure, remedy_of_retry
from carebell.inquiries.trace_entries import code_words
from carebell.inquiries.wait_explainer import Wait, Waiting
from carebell.sms_words import WHY, title_of
from scheduler.sms import Reason, SmsKind, SmsState
from store.appointments import AppointmentFacts
from store.outbox_row import OutboxRow

STOPPED: Final = (Wait.OPTED_OUT, Wait.CAP, Wait.EXPIRED)
"""Waiting texts that will not go when their time comes, by what is known now."""
_NEED_SOMEBODY: Final = (Wait.SWITCHED_OFF, Wait.HOLD, Wait.BREAKER, Wait.SERVICE)
"""Waiting texts that leave only when somebody does something."""
_BESIDE: Final = (Reason.SUPERSEDED, Reason.NO_VISIBLE_CHANGE)
"""Silences that nobody misses: another text says the same, or there is nothing to say."""
_WITHOUT_A_REMINDER: Final = (Reason.NO_RULE, Reason.LATE_RULE)
"""Likewise, where the visit has another reminder."""
_AS_THEY_SHOULD_BE: Final = (*_BESIDE, *_WITHOUT_A_REMINDER, Reason.LATE_BOOKING, Reason.TOO_CLOSE, Reason.PAST)
"""Silences of the rules. A text that was tried and failed is asked about before them."""
_FAILED: Final = (SmsState.FAILED, SmsState.UNDELIVERED)


def answer(
    facts: AppointmentFacts,
    rows: Sequence[OutboxRow],
    waiting: Mapping[str, Waiting],
    details: Mapping[str, str],
    clock: Callable[[datetime], str],
) -> str:
    """One or two sentences.

    Args:
        rows: every text of the appointment.
        waiting: id of a text that is due -> what it waits for.
        details: id of a text that was not sent -> more about its reason: since when, used up by what.
    """
    decided = [row for row in rows if row.state is not SmsState.DUE]
    last, upcoming = _last_decided(facts, rows), _upcoming(rows)
    parts = []
    if last is not None:
        parts.append(
            _cancelled(decided) if last.reason is Reason.CANCELED and _is_silent(last) else _last(last, details, clock)
        )
    elif not upcoming:
        parts.append(_nothing(facts))
    if upcoming:
        parts.append(_next(upcoming[0], waiting.get(upcoming[0].id), clock))
    if last is not None and _retried(upcoming, waiting) is not None and _is_as_it_should_be(last):
        parts.reverse()
    return " ".join(parts)


def reason_of(facts: AppointmentFacts, rows: Sequence[OutboxRow], waiting: Mapping[str, Waiting]) -> str | None:
    """The `Reason` or `Wait` of the answer, where something did not go, or will not; None: all is as it should be."""
    upcoming, last = _upcoming(rows), _last_decided(facts, rows)
    next_wait = waiting[upcoming[0].id].wait if upcoming and upcoming[0].id in waiting else None
    if next_wait in (*STOPPED, *_NEED_SOMEBODY):
        return next_wait.value
    return last.reason.value if last is not None and _is_silent(last) else None


def remedy(facts: AppointmentFacts, rows: Sequence[OutboxRow], waiting: Mapping[str, Waiting]) -> str:
    """What to do about the text that the answer begins with; empty: nothing needs to be done."""
    last, retried = _last_decided(facts, rows), _retried(_upcoming(rows), waiting)
    if retried is not None and (last is None or _is_as_it_should_be(last)):
        return remedy_of_retry(retried.code)
    reason = reason_of(facts, rows, waiting)
    if reason is None and last is not None and last.state in _FAILED:
        return remedy_of_failure(last.code)
    return remedy_of(reason)


def _last_decided(facts: AppointmentFacts, rows: Sequence[OutboxRow]) -> OutboxRow | None:
    """The one that a person is most likely asked about: the last, but a failed text before silences as they should be."""
    decided = [row for row in rows if row.state is not SmsState.DUE]
    beside = (*_BESIDE, *(_WITHOUT_A_REMINDER if _has_a_reminder(rows) else ()))
    missed = [row for row in decided if row.reason not in beside] or decided
    tried = [row for row in missed if row.past.gone]
    if tried and max(tried, key=lambda row: _decided_at(row, facts)).state in _FAILED:
        missed = [row for row in missed if not _is_as_it_should_be(row)]
    return max(missed, key=lambda row: _decided_at(row, facts), default=None)


def _has_a_reminder(rows: Sequence[OutboxRow]) -> bool:
    return any(row.kind is SmsKind.REMINDER and row.state not in (SmsState.SUPPRESSED, *_FAILED) for row in rows)


def _is_as_it_should_be(row: OutboxRow) -> bool:
    return _is_silent(row) and row.reason in _AS_THEY_SHOULD_BE


def _retried(upcoming: Sequence[OutboxRow], waiting: Mapping[str, Waiting]) -> OutboxRow | None:
    """The next text, if it was tried, failed, and is tried again."""
    of = waiting.get(upcoming[0].id) if upcoming else None
    return upcoming[0] if of is not None and of.wait is Wait.RETRY else None


def _upcoming(rows: Sequence[OutboxRow]) -> list[OutboxRow]:
    return sorted((row for row in rows if row.state is SmsState.DUE), key=lambda row: row.due or row.created_at)


def _decided_at(row: OutboxRow, facts: AppointmentFacts) -> tuple[datetime, datetime]:
    """When it was sent or decided about: a reminder of the far future that a message withdrew counts as of that message."""
    at = row.sent_at or row.final_at
    if at is None:
        at = min(row.due or row.created_at, max(facts.changed_at, row.created_at))
    return at, row.created_at


def _is_silent(row: OutboxRow) -> bool:
    return row.state is SmsState.SUPPRESSED


def _cancelled(rows: Sequence[OutboxRow]) -> str:
    if all(_is_silent(row) for row in rows):
        return "No text went: the visit was cancelled before one had gone, so there was nothing to tell."
    return "The visit was cancelled, so the texts that still waited were withdrawn."


def _last(row: OutboxRow, details: Mapping[str, str], clock: Callable[[datetime], str]) -> str:
    title = title_of(row.kind.value, row.rule)
    sent = clock(row.sent_at) if row.sent_at is not None else ""
    match row.state:
        case SmsState.SUPPRESSED:
            detail = details.get(row.id)
            return f"The {title} text did not go: {detail or WHY[row.reason]}."
        case SmsState.DELIVERED:
            return f"The last text, {title}, was delivered {clock(row.final_at or row.sent_at or row.created_at)}."
        case SmsState.FAILED | SmsState.UNDELIVERED:
            words = code_words(row.code) if row.code else "the gateway gives no reason"
            return f"The {title} text did not arrive: {words}."
        case SmsState.UNKNOWN:
            return f"It is not known whether the {title} text was sent; it is looked up at the gateway."
        case SmsState.SENDING:
            return f"The {title} text is being sent now."
        case _:
            return f"The last text, {title}, was taken by the gateway {sent}; it has not said yet whether it arrived."


def _next(row: OutboxRow, waiting: Waiting | None, clock: Callable[[datetime], str]) -> str:
    title, due = title_of(row.kind.value, row.rule), clock(row.due) if row.due is not None else "without a time"
    if waiting is None:
        return f"The next text, {title}, is due {due}."
    if waiting.wait in (Wait.TIME, Wait.QUIET_HOURS):
        return f"The next text, {title}, {waiting.text}: {due}."
    return f"The next text, {title}, due {due}: {waiting.text}."


def _nothing(facts: AppointmentFacts) -> str:
    if facts.forgotten_at is not None:
        return "No text was ever planned, and the number is deleted."
    return f"No text was ever planned: the visit is {facts.status}, and the configuration asks for no text."
