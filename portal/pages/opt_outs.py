"""Opt-outs by hand: a patient who said STOP at the desk, or who asks for texts again. A number is typed, used, and never shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from portal.forms import FieldError, Form
from portal.page_request import Answer, PageRequest, Shown
from portal.people import Browser, Session
from portal.roles import Permission
from portal.route_table import Page

_LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutDone:
    """Attributes: masked: the number as it may be shown. changed: False: it was so already."""

    masked: str
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutTotals:
    """How many numbers have opted out of one sender. `sender`: None: of every one."""

    sender: str | None
    count: int


class OptOutDesk(Protocol):
    """What these pages ask for. Both acts are entries of the audit log, with the masked number."""

    def totals(self) -> Sequence[OptOutTotals]: ...

    def add(self, by: Session, number: str, browser: Browser) -> OptOutDone | str:
        """Opt a number out of every sender; or why it cannot be read as a number."""
        ...

    def remove(self, by: Session, number: str, reason: str, browser: Browser) -> OptOutDone | str: ...


def pages(desk: OptOutDesk) -> tuple[Page, ...]:
    return (
        Page(name="Opt-outs", path="/opt-outs", permission=Permission.SEE, menu=True, handler=partial(show, desk)),
        Page(
            name="Add an opt-out",
            path="/opt-outs/add",
            method="POST",
            permission=Permission.OPT_OUT_ADD,
            handler=partial(add, desk),
        ),
        Page(
            name="Remove an opt-out",
            path="/opt-outs/remove",
            method="POST",
            permission=Permission.OPT_OUT_REMOVE,
            confirm=True,
            handler=partial(remove, desk),
        ),
    )


def show(desk: OptOutDesk, request: PageRequest) -> Answer:
    return _page(desk, request, Form())


def add(desk: OptOutDesk, request: PageRequest) -> Answer:
    number = request.form.text("telephone")
    if not number:
        return _page(desk, request, request.form.with_errors(_error("telephone", "Type the telephone number.")))
    outcome = desk.add(request.own_session, number, request.browser)
    if isinstance(outcome, str):
        return _page(desk, request, request.form.with_errors(_error("telephone", outcome)))
    return _page(desk, request, Form(), done=f"{outcome.masked} will not be texted.")


def remove(desk: OptOutDesk, request: PageRequest) -> Answer:
    number, reason = request.form.text("telephone"), request.form.text("reason")
    errors = []
    if not number:
        errors.append(_error("remove_telephone", "Type the telephone number."))
    if not reason:
        errors.append(_error("reason", "Type why this patient is texted again."))
    elif len(reason) > _LONGEST_REASON:
        errors.append(_error("reason", f"Use at most {_LONGEST_REASON} characters."))
    if errors:
        return _page(desk, request, request.form.with_errors(*errors))
    outcome = desk.remove(request.own_session, number, reason, request.browser)
    if isinstance(outcome, str):
        return _page(desk, request, request.form.with_errors(_error("remove_telephone", outcome)))
    sentence = "may be texted again." if outcome.changed else "had not opted out."
    return _page(desk, request, Form(), done=f"{outcome.masked} {sentence}")


def _error(field: str, sentence: str) -> FieldError:
    return FieldError(field=field, sentence=sentence)


def _page(desk: OptOutDesk, request: PageRequest, form: Form, *, done: str = "") -> Shown:
    return Shown(
        template="opt_outs.html",
        title="Opt-outs",
        view={
            "totals": desk.totals(),
            "may_add": request.may(Permission.OPT_OUT_ADD),
            "may_remove": request.may(Permission.OPT_OUT_REMOVE),
            "done": done,
        },
        form=form,
        status=422 if form.errors else 200,
    )
