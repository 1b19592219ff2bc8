"""Stay signed in, sign out: what a session itself can be asked for."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from portal.page_request import Answer, PageRequest, PlainText, Redirect
from portal.route_table import Page


class OwnSessionDesk(Protocol):
    """What these pages ask for."""

    def sign_out(self, token: str) -> None:
        """End the session."""
        ...


def pages(desk: OwnSessionDesk) -> tuple[Page, ...]:
    return (
        Page(name="Stay signed in", path="/stay", method="POST", handler=stay),
        Page(name="Sign out", path="/sign-out", method="POST", handler=partial(sign_out, desk)),
    )


def stay(request: PageRequest) -> Answer:
    """Being asked has moved the end of the session; the answer says in how many seconds it is now."""
    session = request.own_session
    return PlainText(text=str(int((min(session.idle_ends_at, session.ends_at) - request.now).total_seconds())))


def sign_out(desk: OwnSessionDesk, request: PageRequest) -> Answer:
    desk.sign_out(request.token)
    return Redirect(path="/sign-in?signed-out=1", cookie="")
