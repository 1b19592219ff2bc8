"""Visits: who waits in the waiting room since when, and letting them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from portal.page_request import Answer, NotAllowed, NotThere, PageRequest, Redirect, Shown
from portal.people import Browser, Session
from portal.roles import Permission
from portal.route_table import Page

POLL_SECONDS: Final = 5
_DONE: Final = {
    "in": "They are let in, and go on to the meeting by themselves.",
    "was-in": "They were let in already, or have gone.",
    "later": "They are told that you need a few more minutes.",
    "gone": "They have gone, or their link was revoked.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRow:
    """One person in a waiting room.

    Attributes:
        link: names the person's link; it leads nowhere.
        reference: the hospital's id of the appointment. role: patient, guest or interpreter.
        start, zone: of the visit.
        device_test: what the newest device test of the visit found; None: nobody made one.
        since: when they came. admitted: they were let in and have not gone on yet. put_off: they were asked for more minutes.
        group: names the group of visits that theirs is of; None: it is by itself.
        conference: the hospital's id of that group.
    """

    link: str
    environment: str
    reference: str
    role: str
    start: datetime | None
    zone: ZoneInfo
    since: datetime
    admitted: bool
    put_off: bool
    device_test: str | None = None
    group: str | None = None
    conference: str | None = None


class VisitsDesk(Protocol):
    """What these pages ask for. Letting in and putting off are entries of the audit log."""

    def waiting(self) -> Sequence[WaitingRow]:
        """Those who wait longest first."""
        ...

    def has_links(self) -> bool:
        """Whether an environment has join links of Carebell's own."""
        ...

    def let_in(self, by: Session, link: str, browser: Browser) -> bool:
        """Whether they waited for it."""
        ...

    def put_off(self, by: Session, link: str, browser: Browser) -> bool:
        """Whether they still wait."""
        ...


def pages(desk: VisitsDesk) -> tuple[Page, ...]:
    return (
        Page(name="Visits", path="/visits", permission=Permission.SEE, menu=True, handler=partial(show, desk)),
        Page(
            name="Who waits now",
            path="/visits/waiting",
            permission=Permission.SEE,
            passive=True,
            handler=partial(show, desk),
        ),
        Page(
            name="Let somebody in",
            path="/visits/let-in",
            method="POST",
            permission=Permission.ADMIT,
            handler=partial(let_in, desk),
        ),
        Page(
            name="Ask somebody for more minutes",
            path="/visits/not-yet",
            method="POST",
            permission=Permission.ADMIT,
            handler=partial(not_yet, desk),
        ),
    )


def show(desk: VisitsDesk, request: PageRequest) -> Answer:
    scope = request.scope
    rows = [row for row in desk.waiting() if scope is None or row.environment in scope]
    return Shown(
        template="visits.html",
        title="Visits",
        view={
            "groups": _groups(rows),
            "has_links": desk.has_links(),
            "may_admit": request.may(Permission.ADMIT),
            "poll_seconds": POLL_SECONDS,
            "done": _DONE.get(request.query.get("done", ""), ""),
        },
    )


def _groups(rows: Sequence[WaitingRow]) -> list[tuple[str | None, list[WaitingRow]]]:
    """(conference, who waits): a group together, at the place of the one who waits longest. Conference None: no group."""
    together: dict[tuple[str | None, str], list[WaitingRow]] = {}
    for row in rows:
        together.setdefault((row.group, "" if row.group else row.link), []).append(row)
    return [(rows[0].conference if rows[0].group else None, rows) for rows in together.values()]


def let_in(desk: VisitsDesk, request: PageRequest) -> Answer:
    row = _row(desk, request)
    was_waiting = row is not None and desk.let_in(request.own_session, row.link, request.browser)
    return Redirect(path=f"/visits?done={'in' if was_waiting else 'was-in'}")


def not_yet(desk: VisitsDesk, request: PageRequest) -> Answer:
    row = _row(desk, request)
    still_waits = row is not None and desk.put_off(request.own_session, row.link, request.browser)
    return Redirect(path=f"/visits?done={'later' if still_waits else 'gone'}")


def _row(desk: VisitsDesk, request: PageRequest) -> WaitingRow | None:
    """Whom the form names; None: they have gone."""
    link = request.form.text("link")
    if not link:
        raise NotThere
    row = next((row for row in desk.waiting() if row.link == link), None)
    if row is not None and not request.may(Permission.ADMIT, row.environment):
        raise NotAllowed(Permission.ADMIT)
    return row
