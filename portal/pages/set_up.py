"""Setting up one's own sign-in by a link: password and second factor. The link is used up by the POST alone, never by reading."""

from __future__ import annotations

from functools import partial

from portal.forms import FieldError, Form
from portal.page_request import Answer, PageRequest, Redirect, Shown
from portal.pages.access import PASSWORD_SENTENCES, AccessDesk, qr_code
from portal.people import SetUp, SignedIn
from portal.route_table import Page


def pages(desk: AccessDesk) -> tuple[Page, ...]:
    return (
        Page(name="Set up your sign-in", path="/set-up/{token}", signed_in=False, handler=partial(show, desk)),
        Page(
            name="Set up your sign-in",
            path="/set-up/{token}",
            method="POST",
            signed_in=False,
            handler=partial(set_up, desk),
        ),
    )


def show(desk: AccessDesk, request: PageRequest) -> Answer:
    set_up_of = desk.people.set_up_of(request.parameters["token"])
    return _void() if set_up_of is None else _page(set_up_of, Form())


def set_up(desk: AccessDesk, request: PageRequest) -> Answer:
    token, form = request.parameters["token"], request.form
    waiting = desk.people.set_up_of(token)
    if waiting is None:
        return _void()
    password, code = form.raw("password"), "".join(form.text("code").split())
    errors = []
    if not password:
        errors.append(FieldError(field="password", sentence="Choose a password."))
    elif password != form.raw("password_again"):
        errors.append(FieldError(field="password_again", sentence="The two passwords are not the same."))
    if waiting.second_factor is not None and not code:
        errors.append(FieldError(field="code", sentence="Type the code that your app shows."))
    if errors:
        return _page(waiting, form.with_errors(*errors))
    outcome = desk.people.set_up(token, password, code, request.browser)
    if isinstance(outcome, SignedIn):
        return Redirect(path="/", cookie=outcome.token, known_by=outcome.known_by)
    if outcome.is_link_void:
        return _void()
    if outcome.password is not None:
        sentence = PASSWORD_SENTENCES[outcome.password]
        errors.append(FieldError(field="password", sentence=sentence))
    if outcome.code:
        sentence = "That code is not right. Type the newest one from your app; it changes every 30 seconds."
        errors.append(FieldError(field="code", sentence=sentence))
    return _page(waiting, form.with_errors(*errors))


def _page(waiting: SetUp, form: Form) -> Shown:
    return Shown(
        template="set_up.html",
        title="Set up your sign-in",
        view={
            "set_up": waiting,
            "qr": None if waiting.second_factor is None else qr_code(waiting.second_factor),
        },
        form=form,
        status=422 if form.errors else 200,
    )


def _void() -> Shown:
    return Shown(template="set_up_void.html", title="This link cannot be used", status=410)
