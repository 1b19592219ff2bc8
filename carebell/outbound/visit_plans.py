"""Which appointments have a video visit with a link of Carebell's own, and when that is open. What is stored: `store.visits`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from carebell.environment_policy import EnvironmentPolicy
from journal.events.visits import VisitChanged
from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.visit_life import window_of
from store import visit_links
from store.engine import Transaction
from store.vault import Vault
from store.visit_planning import VisitPlan, adopt, keep
from store.visits import VisitEvent


def keep_visits(
    conn: Transaction,
    vault: Vault,
    policies: Mapping[str, EnvironmentPolicy],
    appointments: Iterable[Appointment],
    now: datetime,
    *,
    taken_over: Mapping[str, Sequence[str]] | None = None,
) -> list[VisitEvent]:
    """Make, move and cancel visits in the transaction that saved these appointments, which it has locked.

    Of those that began it forgets the tokens of their links.

    Args:
        policies: of the enabled environments; one without links of Carebell's own leaves what visits it has alone.
        taken_over: our id of an appointment -> those that proved to be the same visit, or that go on as it.

    Returns:
        What changed, to be logged after the commit (`changes_of`).
    """
    saved = tuple(appointments)
    concerned = [appointment for appointment in saved if _has_links(policies.get(appointment.environment))]
    left = set[str]()
    for appointment in concerned:
        others = (taken_over or {}).get(appointment.id, ())
        if others:
            left |= adopt(conn, appointment.id, others)
    plans = (plan_of(appointment, policies[appointment.environment]) for appointment in concerned)
    wanted = [plan for plan in plans if plan is not None]
    events = keep(conn, vault, wanted, now, left=left) if concerned else []
    visit_links.forget_late(conn, saved, now)
    return events


def plan_of(appointment: Appointment, policy: EnvironmentPolicy) -> VisitPlan | None:
    """What an appointment asks for; None: its visit stays as it is. Many an EHR says `arrived` while the patient is on the line."""
    if appointment.status is AppointmentStatus.ENDED:
        return None
    visits = policy.environment.visits
    wanted = (
        appointment.status is AppointmentStatus.ACTIVE
        and not appointment.deceased
        and appointment.visit_mode in visits.modes
    )
    window = (
        window_of(
            appointment.start,
            zone=appointment.zone,
            date_only=appointment.date_only,
            duration=appointment.duration,
            opens=visits.opens,
            ends_after=visits.ends_after,
        )
        if wanted and appointment.start is not None
        else None
    )
    grouped = bool(policy.rules.field_map.conference) and appointment.start is not None
    return VisitPlan(
        environment=appointment.environment,
        appointment=appointment.id,
        window=window,
        kind=visits.meeting.kind,
        meeting=appointment.join_link if visits.meeting.takes_given_address else None,
        conference=appointment.conference if grouped else None,
        day=_day(appointment) if grouped else None,
    )


def _day(appointment: Appointment) -> str | None:
    """At the clinic."""
    start = appointment.start
    return None if start is None else start.astimezone(ZoneInfo(appointment.zone)).date().isoformat()


def changes_of(events: Iterable[VisitEvent]) -> list[VisitChanged]:
    """The log's line for each."""
    return [
        VisitChanged(
            environment=event.environment,
            appointment=event.reference,
            visit_event=event.what,
            visit_role=event.who,
            visit_state=event.state,
            source=event.source,
        )
        for event in events
    ]


def _has_links(policy: EnvironmentPolicy | None) -> bool:
    return policy is not None and policy.join_url is not None
