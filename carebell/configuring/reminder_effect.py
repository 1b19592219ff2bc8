"""What a configuration does to patients' reminders: which move to another time before the visit, and who gets none any more.

A reminder's rule is part of its identity, so one that moves is a text fewer and a text more. People want to read of one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from carebell.outbound.foresee import Change, ForeseenChange
from carebell.sms_words import WHY, title_of
from scheduler.sms import Reason, SmsKind

_LATE = (Reason.LATE_RULE, Reason.LATE_BOOKING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderMove:
    """A visit's reminder that waits by another rule then. `fewer`, `more`: the same as two changes."""

    fewer: ForeseenChange
    more: ForeseenChange

    @property
    def words(self) -> str:
        """`from 24h to 48h before the visit`."""
        return f"from {_named(self.fewer.rule)} to {_named(self.more.rule)} before the visit"


def reminder_moves(changes: Sequence[ForeseenChange]) -> Iterator[ReminderMove]:
    """Each visit's reminders that the configuration has no more, with those that it has instead, both in the order of time."""
    for of_visit in _by_visit([change for change in changes if change.kind is SmsKind.REMINDER]):
        fewer = [change for change in of_visit if change.reason is Reason.NO_RULE]
        more = [change for change in of_visit if change.change is Change.PLANNED]
        for before, after in zip(fewer, more, strict=False):
            yield ReminderMove(fewer=before, more=after)


def unreminded(changes: Sequence[ForeseenChange]) -> Iterator[tuple[ForeseenChange, str]]:
    """Each visit that gets no reminder any more: the last of its reminders that waited, and why no other goes instead."""
    for of_visit in _by_visit([change for change in changes if change.is_last_reminder]):
        last = of_visit[-1]
        yield last, _why_none_instead(last) or WHY[last.reason]


def because(change: ForeseenChange) -> str:
    """Why a text goes then, or does not; of a visit's last reminder also why no other goes instead."""
    instead = _why_none_instead(change)
    return f"{WHY[change.reason]}, and {instead}" if instead else WHY[change.reason]


def _by_visit(changes: Sequence[ForeseenChange]) -> Iterator[list[ForeseenChange]]:
    visits: dict[tuple[str, str], list[ForeseenChange]] = defaultdict(list)
    for change in sorted(changes, key=lambda change: change.at):
        visits[change.environment, change.appointment].append(change)
    yield from visits.values()


def _why_none_instead(change: ForeseenChange) -> str:
    """`48h before has passed already`; empty: the configuration asks for no other reminder, or it was silent before."""
    late = [_named(rule) for rule, reason in change.not_instead if reason in _LATE]
    parts = [f"{' and '.join(late)} before {'has' if len(late) == 1 else 'have'} passed already"] if late else []
    parts += [
        f"{title_of(SmsKind.REMINDER, rule)}: {WHY[reason]}"
        for rule, reason in change.not_instead
        if reason not in _LATE
    ]
    return ", ".join(parts)


def _named(rule: str) -> str:
    """`7d (10:00)` for `7d@10:00`."""
    offset, _, clock = rule.partition("@")
    return f"{offset} ({clock})" if clock else offset
