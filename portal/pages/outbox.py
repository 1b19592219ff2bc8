"""Outbox: the texts that wait or are under way, with what each one waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Literal, Protocol
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from portal.forms import Form
from portal.page_request import Answer, PageRequest, Shown
from portal.roles import Permission
from portal.route_table import Page

PAGE_ROWS: Final = 50
STATES: Final = (
    ("due", "Waiting"),
    ("sending", "Being sent"),
    ("accepted", "With the gateway"),
    ("sent", "Sent, not yet delivered"),
    ("unknown", "Of unknown fate"),
)
OutboxState = Literal["due", "sending", "accepted", "sent", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxText:
    """One text.

    Attributes:
        appointment: as the hospital knows it.
        title: `reminder 24h`.
        why: what it waits for, or its reason. will_not_go: it waits in vain.
        to: masked; None: forgotten.
        zone: the clinic's.
    """

    due: datetime | None
    environment: str
    appointment: str
    title: str
    state: str
    why: str
    will_not_go: bool
    attempts: int
    to: str | None
    zone: ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxPage:
    """Attributes: after: where the next page begins; "": this is the last one. held: environments whose texts are held."""

    texts: Sequence[OutboxText]
    after: str
    held: Sequence[str]


class OutboxDesk(Protocol):
    """What this page asks for."""

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]: ...

    def texts(self, state: OutboxState, environments: Sequence[str] | None, after: str, limit: int) -> OutboxPage:
        """`environments`: only theirs; None: all. Waiting ones by when they are tried next, others by when they were taken up."""
        ...


def pages(desk: OutboxDesk) -> tuple[Page, ...]:
    return (Page(name="Outbox", path="/outbox", permission=Permission.SEE, menu=True, handler=partial(show, desk)),)


def show(desk: OutboxDesk, request: PageRequest) -> Answer:
    allowed = desk.environments(request.scope)
    chosen, environments = request.chosen_environment(allowed)
    state = _state(request.query.get("state", ""))
    page = desk.texts(state, environments, request.query.get("after", ""), PAGE_ROWS)
    asked = [(name, value) for name, value in (("environment", chosen), ("state", state)) if value]
    more = f"/outbox?{urlencode([*asked, ('after', page.after)])}" if page.after else ""
    return Shown(
        template="outbox.html",
        title="Outbox",
        view={
            "page": page,
            "options": [("", "All"), *((name, name) for name in allowed)],
            "chosen": chosen,
            "states": STATES,
            "more": more,
            "first_page": f"/outbox?{urlencode(asked)}" if request.query.get("after") else "",
            "may_hold": request.may(Permission.HOLD, chosen or None),
        },
        form=Form().filled({"environment": chosen, "state": state}),
    )


def _state(written: str) -> OutboxState:
    match written:
        case "sending" | "accepted" | "sent" | "unknown":
            return written
        case _:
            return "due"
