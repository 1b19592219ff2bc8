"""Replies: the patients who ask for a person, and noting that somebody saw to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Literal, Protocol
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from portal.forms import Form
from portal.page_request import Answer, NotAllowed, NotThere, PageRequest, Redirect, Shown
from portal.people import Browser, Session
from portal.roles import Permission
from portal.route_table import Page

ReplyAsks = Literal["call_me", "cannot_come", "unknown"]
_ASKS: Final = {
    "call_me": "asks to be called",
    "cannot_come": "cannot come",
    "unknown": "was not understood",
}
_DONE: Final = {
    "done": "Noted. It stands in the audit log with your name.",
    "was": "Nothing was changed: somebody noted it before, or its number is forgotten.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyRow:
    """What one visit's patient asks for.

    Attributes:
        id: of the newest reply that asks for it. appointment: as the hospital knows it. number: masked.
        since: when the patient first asked for it. count: how often.
        start: of the visit; None: unknown. moved: it has another time since the patient wrote.
        zone: the clinic's.
    """

    id: str
    environment: str
    appointment: str
    number: str
    asks: ReplyAsks
    since: datetime
    count: int
    start: datetime | None
    moved: bool
    zone: ZoneInfo

    @property
    def words(self) -> str:
        return _ASKS[self.asks]


class ReplyDesk(Protocol):
    """What these pages ask for. That somebody saw to a reply is an entry of the audit log."""

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]: ...

    def rows(self, environments: Sequence[str] | None) -> tuple[Sequence[ReplyRow], bool]:
        """The one that waits longest first, and whether newer ones were not looked at. `environments`: only theirs; None: all."""
        ...

    def environment_of(self, reply_id: str) -> str | None:
        """None: there is no such reply."""
        ...

    def done(self, by: Session, reply_id: str, browser: Browser) -> bool:
        """False: it does not wait."""
        ...


def pages(desk: ReplyDesk) -> tuple[Page, ...]:
    return (
        Page(name="Replies", path="/replies", permission=Permission.SEE, menu=True, handler=partial(show, desk)),
        Page(
            name="Note a reply as done",
            path="/replies/done",
            method="POST",
            permission=Permission.FOLLOW_UP,
            handler=partial(done, desk),
        ),
    )


def show(desk: ReplyDesk, request: PageRequest) -> Answer:
    allowed = desk.environments(request.scope)
    chosen, environments = request.chosen_environment(allowed)
    rows, more = desk.rows(environments)
    return Shown(
        template="replies.html",
        title="Replies",
        view={
            "rows": rows,
            "more": more,
            "options": [("", "All"), *((name, name) for name in allowed)],
            "chosen": chosen,
            "may_follow_up": request.may(Permission.FOLLOW_UP),
            "done": _DONE.get(request.query.get("done", ""), ""),
        },
        form=Form().filled({"environment": chosen}),
    )


def done(desk: ReplyDesk, request: PageRequest) -> Answer:
    reply_id = request.form.text("id")
    environment = desk.environment_of(reply_id)
    if environment is None:
        raise NotThere
    if not request.may(Permission.FOLLOW_UP, environment):
        raise NotAllowed(Permission.FOLLOW_UP)
    outcome = "done" if desk.done(request.own_session, reply_id, request.browser) else "was"
    chosen = request.form.text("environment")
    asked = [("environment", chosen)] if chosen in desk.environments(request.scope) else []
    return Redirect(path=f"/replies?{urlencode([*asked, ('done', outcome)])}")
