"""Sent back: what went back to the EHR, what became of it and why, and sending it again."""

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

PAGE_ROWS: Final = 50
STATES: Final = (
    ("", "All"),
    ("due", "Waiting"),
    ("sending", "Being sent"),
    ("acknowledged", "Taken by the EHR"),
    ("refused", "Refused by the EHR"),
    ("expired", "Given up"),
    ("unknown", "Of unknown fate"),
    ("superseded", "Replaced by a later one"),
)
ReturnState = Literal["", "due", "sending", "acknowledged", "refused", "expired", "unknown", "superseded"]
_DONE: Final = {
    "again": "It is sent again within seconds, with the same id.",
    "open": "Nothing was changed: it waits already, or the EHR has it, or its environment is gone.",
}
_KINDS: Final = {"acknowledged": "good", "refused": "bad", "expired": "bad", "unknown": "warning", "held": "warning"}
_WORDS: Final = {
    "due": "waiting",
    "sending": "being sent",
    "acknowledged": "taken",
    "expired": "given up",
    "unknown": "unknown",
    "superseded": "replaced",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRow:
    """One message to the EHR.

    Attributes:
        id: MSH-10, or what a web service knows it by. appointment: as the hospital knows it; "": forgotten.
        event: in words. state: as stored, or `held`.
        why: one sentence. remedy: what to do. code: the EHR's answer and error code, or Carebell's code. Each "": none.
        recorded: when it happened. tried: the last attempt; None: none yet. zone: the clinic's.
        may_go_again: it is over, and the EHR has not taken it.
    """

    id: str
    environment: str
    appointment: str
    event: str
    state: str
    why: str
    remedy: str
    code: str
    attempts: int
    recorded: datetime
    tried: datetime | None
    zone: ZoneInfo
    may_go_again: bool

    @property
    def kind(self) -> str:
        """Of the state's mark."""
        return _KINDS.get(self.state, "quiet")

    @property
    def state_words(self) -> str:
        """The state as it is read."""
        return _WORDS.get(self.state, self.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnsPage:
    """Attributes: after: where the next page begins; "": this is the last one."""

    rows: Sequence[ReturnRow]
    after: str


class ReturnsDesk(Protocol):
    """What these pages ask for. Sending again is an entry of the audit log."""

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]: ...

    def rows(self, state: ReturnState, environments: Sequence[str] | None, after: str, limit: int) -> ReturnsPage:
        """The newest first. `state`: "" for all. `environments`: only theirs; None: all."""
        ...

    def environment_of(self, row_id: str) -> str | None:
        """None: there is no such row."""
        ...

    def send_again(self, by: Session, row_id: str, browser: Browser) -> bool:
        """False: it is open or taken already, or its environment is gone."""
        ...


def pages(desk: ReturnsDesk) -> tuple[Page, ...]:
    return (
        Page(name="Sent back", path="/returns", permission=Permission.SEE, menu=True, handler=partial(show, desk)),
        Page(
            name="Send something back again",
            path="/returns/retry",
            method="POST",
            permission=Permission.SEND_AGAIN,
            handler=partial(send_again, desk),
        ),
    )


def show(desk: ReturnsDesk, request: PageRequest) -> Answer:
    allowed = desk.environments(request.scope)
    chosen, environments = request.chosen_environment(allowed)
    state = _state(request.query.get("state", ""))
    page = desk.rows(state, environments, request.query.get("after", ""), PAGE_ROWS)
    asked = _asked(chosen, state)
    return Shown(
        template="returns.html",
        title="Sent back",
        view={
            "page": page,
            "options": [("", "All"), *((name, name) for name in allowed)],
            "chosen": chosen,
            "state": state,
            "states": STATES,
            "more": f"/returns?{urlencode([*asked, ('after', page.after)])}" if page.after else "",
            "first_page": f"/returns?{urlencode(asked)}" if request.query.get("after") else "",
            "may_send_again": request.may(Permission.SEND_AGAIN),
            "done": _DONE.get(request.query.get("done", ""), ""),
        },
        form=Form().filled({"environment": chosen, "state": state}),
    )


def send_again(desk: ReturnsDesk, request: PageRequest) -> Answer:
    row_id = request.form.text("id")
    environment = desk.environment_of(row_id)
    if environment is None:
        raise NotThere
    if not request.may(Permission.SEND_AGAIN, environment):
        raise NotAllowed(Permission.SEND_AGAIN)
    done = "again" if desk.send_again(request.own_session, row_id, request.browser) else "open"
    chosen = request.form.text("environment")
    asked = _asked(chosen if chosen in desk.environments(request.scope) else "", _state(request.form.text("state")))
    return Redirect(path=f"/returns?{urlencode([*asked, ('done', done)])}")


def _asked(environment: str, state: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in (("environment", environment), ("state", state)) if value]


def _state(written: str) -> ReturnState:
    match written:
        case "due" | "sending" | "acknowledged" | "refused" | "expired" | "unknown" | "superseded":
            return written
        case _:
            return ""
