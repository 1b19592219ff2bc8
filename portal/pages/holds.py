"""Holds: stop texts, of one environment or all, and let them go again. Nothing is lost while they wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Literal, Protocol

from portal.forms import FieldError, Form
from portal.page_request import Answer, NotAllowed, PageRequest, Redirect, Shown
from portal.people import Browser, Session
from portal.roles import Permission
from portal.route_table import Page

EVERYTHING: Final = "*"
"""The choice of all environments; no environment can have this name."""
_LONGEST_REASON: Final = 200
_DONE: Final = {
    "held": "Texts are held. They wait, and nothing is lost.",
    "was-held": "It was held already.",
    "released": "Texts are sent again. Those whose time is long past are not; the page Outbox shows them.",
    "was-not": "It was not held.",
    "still": "That hold is ended, but everything is held, so no text leaves yet.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """Texts that are stopped.

    Attributes:
        environment: None: everything, or a sender's number.
        subject: what is stopped, in words.
        kind: `person`: somebody holds it. `gateway`: the gateway refuses, and is asked again by itself. `approval`: waits for an
            approver.
    """

    kind: Literal["person", "gateway", "approval"]
    environment: str | None
    subject: str
    reason: str
    since: datetime
    by: str | None


class HoldDesk(Protocol):
    """What these pages ask for. Holding and releasing are entries of the audit log."""

    def holds(self) -> Sequence[HoldRow]: ...

    def environments(self) -> Sequence[str]: ...

    def hold(self, by: Session, environment: str | None, reason: str, browser: Browser) -> bool:
        """Hold an environment's texts (None: all); whether it was not held before."""
        ...

    def release(
        self, by: Session, environment: str | None, browser: Browser
    ) -> Literal["released", "was-not", "still"]:
        """End the hold of an environment, or every hold."""
        ...


def pages(desk: HoldDesk) -> tuple[Page, ...]:
    return (
        Page(name="Holds", path="/holds", permission=Permission.SEE, menu=True, handler=partial(show, desk)),
        Page(name="Hold texts", path="/holds", method="POST", permission=Permission.HOLD, handler=partial(hold, desk)),
        Page(
            name="Release texts",
            path="/holds/release",
            method="POST",
            permission=Permission.RELEASE,
            confirm=True,
            handler=partial(release, desk),
        ),
    )


def show(desk: HoldDesk, request: PageRequest) -> Answer:
    return _page(desk, request, Form().filled({"environment": request.query.get("environment", "")}))


def hold(desk: HoldDesk, request: PageRequest) -> Answer:
    form = request.form
    chosen, reason = form.text("environment"), form.text("reason")
    errors = []
    if chosen != EVERYTHING and chosen not in desk.environments():
        errors.append(FieldError(field="environment", sentence="Choose what to hold."))
    if not reason:
        errors.append(FieldError(field="reason", sentence="Type why, for whoever finds no text leaving."))
    elif len(reason) > _LONGEST_REASON:
        errors.append(FieldError(field="reason", sentence=f"Use at most {_LONGEST_REASON} characters."))
    if errors:
        return _page(desk, request, form.with_errors(*errors))
    environment = _environment(chosen)
    if environment is not None and not request.may(Permission.HOLD, environment):
        raise NotAllowed(Permission.HOLD)
    is_new = desk.hold(request.own_session, environment, reason, request.browser)
    return Redirect(path=f"/holds?done={'held' if is_new else 'was-held'}")


def release(desk: HoldDesk, request: PageRequest) -> Answer:
    chosen = request.form.text("environment")
    if chosen != EVERYTHING and chosen not in desk.environments():
        return _page(
            desk, request, Form().with_errors(FieldError(field="", sentence="That is not configured any more."))
        )
    outcome = desk.release(request.own_session, _environment(chosen), request.browser)
    return Redirect(path=f"/holds?done={outcome}")


def _environment(chosen: str) -> str | None:
    return None if chosen == EVERYTHING else chosen


def _page(desk: HoldDesk, request: PageRequest, form: Form) -> Shown:
    scope = request.scope
    visible = [row for row in desk.holds() if scope is None or row.environment is None or row.environment in scope]
    return Shown(
        template="holds.html",
        title="Holds",
        view={
            "holds": visible,
            "choices": [
                ("", "Choose"),
                (EVERYTHING, "Everything"),
                *((name, name) for name in desk.environments()),
            ],
            "everything": EVERYTHING,
            "may_hold": request.may(Permission.HOLD),
            "may_release": request.may(Permission.RELEASE),
            "done": _DONE.get(request.query.get("done", ""), ""),
        },
        form=form,
        status=422 if form.errors else 200,
    )
