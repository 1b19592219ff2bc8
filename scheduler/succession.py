"""A visit that goes on under another id: some senders give a new filler id (SCH-2) with every reschedule; pure.

`same_visit()` calls two visits different whose filler ids differ, because a series shares its placer or visit number. An S13 is
different evidence: it says that a visit was moved. It **replaces** the one visit that shares a placer or visit number with it, if
nothing speaks against that. Where something does (several visits share the number, so it is a series'; another number or telephone
differs; the visit is over, or a newer message was about it), both visits stay, and the caller warns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType

from parser.event import Action, SchedulingEvent
from parser.phone_number import PhoneNumber
from scheduler.apply_event import apply, sent_period
from scheduler.appointment import Appointment, AppointmentStatus, aliases_of_kind
from scheduler.policy import Policy

_SHARED_KINDS = ("placer", "visit")


def shared_aliases(known: Iterable[str], event: SchedulingEvent) -> set[str]:
    """The placer and visit numbers that the event has in common with these aliases."""
    aliases = tuple(known)
    return {
        alias
        for kind in _SHARED_KINDS
        for alias in aliases_of_kind(aliases, kind) & aliases_of_kind(event.aliases, kind)
    }


def sharable_aliases(event: SchedulingEvent) -> tuple[str, ...]:
    """The event's placer and visit numbers."""
    return tuple(alias for alias in event.aliases if alias.split("|", 3)[2:3] in (["placer"], ["visit"]))


def comparable_kinds(event: SchedulingEvent) -> tuple[str, ...]:
    """The kinds of the event's numbers by which it may replace a visit that is known under another filler id.

    Empty: it can replace none, because it is no S13, has no filler id, or has no placer or visit number.
    """
    if event.action is not Action.RESCHEDULE or not aliases_of_kind(event.aliases, "filler"):
        return ()
    return tuple(kind for kind in _SHARED_KINDS if aliases_of_kind(event.aliases, kind))


def sharing(appointments: Iterable[Appointment], event: SchedulingEvent) -> list[Appointment]:
    """Those that share a placer or visit number with an S13 that is about none of them by its filler id."""
    if not comparable_kinds(event):
        return []
    return [appointment for appointment in appointments if shared_aliases(appointment.aliases, event)]


def replaced_by(appointments: Iterable[Appointment], event: SchedulingEvent) -> Appointment | None:
    """The appointment that goes on under the event's ids; None: the evidence is not good enough for any."""
    sharers = sharing(appointments, event)
    if len(sharers) != 1:
        return None
    known = sharers[0]
    begun = known.deadline is None or known.deadline <= event.received_at
    if known.status is not AppointmentStatus.ACTIVE or begun or sent_period(event).precedes(known.sent):
        return None
    if isinstance(event.phone, PhoneNumber) and known.phone is not None and event.phone.e164() != known.phone.e164():
        return None
    for kind in _SHARED_KINDS:
        stored, sent = aliases_of_kind(known.aliases, kind), aliases_of_kind(event.aliases, kind)
        if stored and sent and stored.isdisjoint(sent):
            return None
    return known


def succeed(known: Appointment, event: SchedulingEvent, policy: Policy, *, id: str) -> Appointment | None:  # noqa: A002
    """The visit under its new ids: moved as by a reschedule under the old ones, so that what the patient knows still counts.

    Args:
        id: a fresh random id.
    """
    moved = apply(known, event, policy)
    if moved is None:
        return None
    return replace(
        moved,
        id=id,
        reference=event.reference,
        aliases=event.aliases,
        revision=1,
        planned_at=event.received_at,
        planned_revision=1,
        window_revision=1 if moved.window_open else None,
    )


def end_replaced(known: Appointment, event: SchedulingEvent) -> Appointment:
    """The visit under its old ids: over and silent. The shared numbers are the new one's; its own id stays, for what comes late.

    What the patient was told is the new one's too: a sender that also cancels the old id causes no "canceled" text.
    """
    sent = sent_period(event).taken_after(known.sent)
    return replace(
        known,
        status=AppointmentStatus.ENDED,
        revision=known.revision + 1,
        phone=None,
        phone_fault="purged",
        purged_at=event.received_at,
        last_notified=None,
        window_revision=None,
        window_due=None,
        window_text=False,
        aliases=tuple(alias for alias in known.aliases if alias not in shared_aliases(known.aliases, event)),
        stamps=MappingProxyType({**known.stamps, "status": sent}),
    )
