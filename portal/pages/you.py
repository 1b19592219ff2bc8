"""You: one's own password, second factor and sessions."""

from __future__ import annotations

from functools import partial
from typing import Final

from portal.forms import FieldError, Form
from portal.gate import why_refused
from portal.page_request import Answer, PageRequest, Redirect, Shown
from portal.pages.access import LONGEST, SHORTEST_ALONE, SHORTEST_WITH_CODE, AccessDesk, qr_code, sentence_of
from portal.people import NotDone, SignInRefused
from portal.route_table import Page

_DONE: Final = {
    "password": "Your password is changed. Your other sessions have ended.",
    "code": "Your new app counts from now on. Your other sessions have ended.",
    "ended": "The session has ended.",
}


def pages(desk: AccessDesk) -> tuple[Page, ...]:
    return (
        Page(name="You", path="/you", handler=partial(show, desk)),
        Page(name="Change your password", path="/you/password", method="POST", handler=partial(change_password, desk)),
        Page(
            name="Begin a new second factor",
            path="/you/second-factor/new",
            method="POST",
            confirm=True,
            handler=partial(begin_second_factor, desk),
        ),
        Page(name="New second factor", path="/you/second-factor", handler=partial(show_second_factor, desk)),
        Page(
            name="New second factor",
            path="/you/second-factor",
            method="POST",
            confirm=True,
            handler=partial(finish_second_factor, desk),
        ),
        Page(name="End one session", path="/you/sessions/end", method="POST", handler=partial(end_session, desk)),
        Page(
            name="End the other sessions",
            path="/you/sessions/end-others",
            method="POST",
            handler=partial(end_other_sessions, desk),
        ),
    )


def show(desk: AccessDesk, request: PageRequest) -> Answer:
    return _page(desk, request, Form())


def change_password(desk: AccessDesk, request: PageRequest) -> Answer:
    form = request.form
    current, new = form.raw("password"), form.raw("new_password")
    errors = []
    if not current:
        errors.append(FieldError(field="password", sentence="Type your present password."))
    if not new:
        errors.append(FieldError(field="new_password", sentence="Choose a new password."))
    elif new != form.raw("new_password_again"):
        errors.append(FieldError(field="new_password_again", sentence="The two passwords are not the same."))
    if errors:
        return _page(desk, request, form.with_errors(*errors))
    outcome = desk.people.change_password(request.own_session, current, new, request.browser)
    if isinstance(outcome, SignInRefused):
        sentence = why_refused(outcome, request.now, wrong="Your present password is not right.")
        return _page(desk, request, form.with_errors(FieldError(field="password", sentence=sentence)))
    if isinstance(outcome, NotDone):
        field = "new_password" if outcome.password is not None else "password"
        return _page(desk, request, form.with_errors(FieldError(field=field, sentence=sentence_of(outcome))))
    return Redirect(path="/you?done=password", cookie=outcome.token)


def begin_second_factor(desk: AccessDesk, request: PageRequest) -> Answer:
    outcome = desk.people.begin_second_factor(request.own_session, request.browser)
    if isinstance(outcome, NotDone):
        return _page(desk, request, Form().with_errors(FieldError(field="", sentence=sentence_of(outcome))))
    return Redirect(path="/you/second-factor")


def show_second_factor(desk: AccessDesk, request: PageRequest) -> Answer:
    return _second_factor_page(desk, request, Form())


def finish_second_factor(desk: AccessDesk, request: PageRequest) -> Answer:
    code = "".join(request.form.text("code").split())
    if not code:
        error = FieldError(field="code", sentence="Type the code that the app shows.")
        return _second_factor_page(desk, request, request.form.with_errors(error))
    outcome = desk.people.finish_second_factor(request.own_session, code, request.browser)
    if isinstance(outcome, NotDone):
        error = FieldError(field="code", sentence=sentence_of(outcome))
        return _second_factor_page(desk, request, request.form.with_errors(error))
    return Redirect(path="/you?done=code", cookie=outcome.token)


def end_session(desk: AccessDesk, request: PageRequest) -> Answer:
    desk.people.end_session(request.own_session, request.form.text("key"), request.browser)
    return Redirect(path="/you?done=ended")


def end_other_sessions(desk: AccessDesk, request: PageRequest) -> Answer:
    desk.people.end_other_sessions(request.own_session, request.browser)
    return Redirect(path="/you?done=ended")


def _page(desk: AccessDesk, request: PageRequest, form: Form) -> Shown:
    return Shown(
        template="you.html",
        title="You",
        view={
            "done": _DONE.get(request.query.get("done", ""), ""),
            "sessions": desk.people.own_sessions(request.own_session),
            "shortest": SHORTEST_WITH_CODE if request.person.has_second_factor else SHORTEST_ALONE,
            "longest": LONGEST,
        },
        form=form,
        status=422 if form.errors else 200,
    )


def _second_factor_page(desk: AccessDesk, request: PageRequest, form: Form) -> Answer:
    waiting = desk.people.new_second_factor(request.own_session)
    if waiting is None:
        return Redirect(path="/you")
    return Shown(
        template="you_second_factor.html",
        title="New second factor",
        view={"second_factor": waiting, "qr": qr_code(waiting)},
        form=form,
        status=422 if form.errors else 200,
    )
