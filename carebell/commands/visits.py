"""`visit`: list video visits, show what happened in one, make and revoke its links. A link is printed once, when it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from carebell.commands.open_store import Opened, opened
from carebell.commands.output import print_json, print_result, print_sentence, print_table
from carebell.environment_policy import environment_policy
from carebell.exits import OK, REFUSED, UsageStop
from carebell.outbound.visit_plans import changes_of
from carebell.times import Zones, iso
from scheduler.visit_life import LINK_ROLES, VisitEventSource, VisitRole, state_at
from store import audit, conferences, device_tests, visit_links, visits
from store.audit import AuditAction
from store.engine import Transaction
from store.outbox import ids_of
from store.visits import VideoVisit

_BEFORE: Final = timedelta(days=1)
_AFTER: Final = timedelta(days=7)
_MARK: Final = 8
"""Characters of a link's key by which people name it; a visit has few links."""


def list_all(config: Path | None, environment: str | None, *, at: datetime | None, as_json: bool) -> None:
    """Print the visits around now, by start."""
    with opened(config) as session:
        now = at or session.now()
        with session.store.read() as conn:
            names = None if environment is None else [environment]
            known = visits.between(conn, now - _BEFORE, now + _AFTER, environments=names)
            named = _conferences(conn, known)
        zones = Zones(session.loaded)
    if as_json:
        for visit in known:
            print_json(_row(visit, now, named))
        return
    if known:
        print_sentence(zones.sentence({visit.environment for visit in known}))
    print_table(
        ["Appointment", "Environment", "Start", "State", "Opens", "Ends", "Conference"],
        [
            (
                visit.reference,
                visit.environment,
                zones.clock(visit.start, visit.environment),
                state_at(visit.state, visit.window, now).value,
                zones.clock(visit.window.opens_at, visit.environment),
                zones.clock(visit.window.ends_at, visit.environment),
                named.get(visit.id) or "",
            )
            for visit in known
        ],
        empty="no video visits with links of our own in these days",
    )


def show(config: Path | None, appointment: str, environment: str | None, *, as_json: bool) -> int:
    """Print a visit, its links and its events; 1 if there is none."""
    with opened(config) as session:
        now, visit = session.now(), _visit(session, appointment, environment)
        if visit is None:
            return _none(appointment, as_json=as_json)
        with session.store.read() as conn:
            known, events = visit_links.links(conn, visit.id), visits.events(conn, [visit.id])
            tests, named = device_tests.of_visit(conn, visit.id), _conferences(conn, [visit])
        zones = Zones(session.loaded)
    links = [
        {
            "mark": link.key[:_MARK], "for": link.role.value, "made": iso(link.created_at), "ends": iso(link.ends_at),
            "revoked": iso(link.revoked_at), "admitted": iso(link.admitted_at),
        }
        for link in known
    ]  # fmt: skip
    if as_json:
        happened = [
            {"time": iso(event.at), "what": event.what.value, "who": event.who.value, "source": event.source.value}
            for event in events
        ]
        tested = [
            {
                "time": iso(test.at),
                "browser": test.browser,
                "results": {step.value: code for step, code in test.results.items()},
            }
            for test in tests
        ]
        print_json({**_row(visit, now, named), "links": links, "events": happened, "device_tests": tested})
        return OK
    print_sentence(f"{visit.reference}: {state_at(visit.state, visit.window, now).value}")
    if visit.id in named:
        print_sentence(f"conference {named[visit.id]}: it takes place together with the other visits of this group")
    print_sentence(zones.sentence({visit.environment}))
    print_table(
        ["Link", "For", "Ends", "Revoked"],
        [
            (
                link.key[:_MARK],
                link.role.value,
                zones.clock(link.ends_at, visit.environment),
                zones.clock(link.revoked_at, visit.environment),
            )
            for link in known
        ],
        empty="it has no links any more",
    )
    print_table(
        ["Time", "What", "Who", "Known from"],
        [
            (zones.clock(event.at, visit.environment), event.what.value, event.who.value, event.source.value)
            for event in events
        ],
        empty="nothing happened yet",
    )
    if tests:
        print_table(
            ["Device test", "Browser", "Result"],
            [(zones.clock(test.at, visit.environment), test.browser or "", test.words) for test in tests],
            empty="",
        )
    return OK


def link(config: Path | None, appointment: str, environment: str | None, role: str, *, as_json: bool) -> int:
    """Make a link and print it; 1 if there is no such visit, or its time is over."""
    if role not in [known.value for known in LINK_ROLES]:
        raise UsageStop(f"--for: {role} is none of {', '.join(known.value for known in LINK_ROLES)}")
    with opened(config) as session:
        now, visit = session.now(), _visit(session, appointment, environment)
        if visit is None or visit.window.ends_at <= now:
            return _none(appointment, as_json=as_json)
        join_url = environment_policy(session.loaded, visit.environment).join_url
        if join_url is None:
            raise UsageStop(f"environment {visit.environment} has no links of its own: visits.join is not `ours`")
        with session.store.write() as conn:
            locked = visits.lock(conn, visit.id)
            assert locked is not None
            token = visit_links.new_link(conn, session.vault, locked, VisitRole(role), now)
            audit.append(
                conn, session.author, AuditAction.VISIT_LINK, subject=visit.reference, environment=visit.environment,
                after=role, at=now,
            )  # fmt: skip
    row = {"appointment": visit.reference, "for": role, "link": f"{join_url}{token}", "ends": iso(visit.window.ends_at)}
    print_result(row, f"{join_url}{token}", as_json=as_json)
    return OK


def revoke(config: Path | None, appointment: str, environment: str | None, mark: str, *, as_json: bool) -> int:
    """Revoke a link; 1 if the visit has none of that mark, or it is revoked already."""
    with opened(config) as session:
        now, visit = session.now(), _visit(session, appointment, environment)
        if visit is None:
            return _none(appointment, as_json=as_json)
        with session.store.write() as conn:
            locked = visits.lock(conn, visit.id)
            assert locked is not None
            meant = [known for known in visit_links.links(conn, visit.id) if known.key.startswith(mark)]
            if len(meant) > 1:
                raise UsageStop(f"{mark} is the mark of {len(meant)} links; write more of it")
            event = (
                visit_links.revoke(conn, locked, meant[0].key, now, source=VisitEventSource.COMMAND) if meant else None
            )
            if event is not None:
                audit.append(
                    conn, session.author, AuditAction.VISIT_REVOKE, subject=visit.reference,
                    environment=visit.environment, before=meant[0].role.value, at=now,
                )  # fmt: skip
        for change in [] if event is None else changes_of([event]):
            session.log(change)
    row = {"appointment": visit.reference, "mark": mark, "revoked": event is not None}
    done = "it is revoked" if event is not None else "there is no such link, or it is revoked already"
    print_result(row, done, as_json=as_json)
    return OK if event is not None else REFUSED


def _visit(session: Opened, appointment: str, environment: str | None) -> VideoVisit | None:
    with session.store.read() as conn:
        known = [visits.named(conn, owner) for owner in ids_of(conn, appointment, environment=environment)]
    with_visit = [visit for visit in known if visit is not None]
    if len(with_visit) > 1:
        raise UsageStop(f"{appointment} names {len(with_visit)} visits; name their environment with -e")
    return with_visit[0] if with_visit else None


def _none(appointment: str, *, as_json: bool) -> int:
    print_result(
        {"appointment": appointment, "visit": None}, f"{appointment} has no video visit with a link", as_json=as_json
    )
    return REFUSED


def _conferences(conn: Transaction, known: Sequence[VideoVisit]) -> dict[str, str]:
    """Our id of a visit in a group -> the hospital's id of that, until its time is over."""
    groups = conferences.by_id(conn, {visit.conference for visit in known if visit.conference is not None})
    named = {visit.id: groups[visit.conference].reference for visit in known if visit.conference in groups}
    return {own_id: reference for own_id, reference in named.items() if reference is not None}


def _row(visit: VideoVisit, now: datetime, named: Mapping[str, str]) -> dict[str, object]:
    return {
        "appointment": visit.reference,
        "environment": visit.environment,
        "start": iso(visit.start),
        "state": state_at(visit.state, visit.window, now).value,
        "opens": iso(visit.window.opens_at),
        "ends": iso(visit.window.ends_at),
        "started": iso(visit.started_at),
        "ended": iso(visit.ended_at),
        "conference": named.get(visit.id),
    }
