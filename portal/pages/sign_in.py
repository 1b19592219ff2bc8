"""Signing in: user name and password, then a code. What is wrong is never said, and the answer to both takes the same time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote

from portal.forms import FieldError, Form
from portal.gate import why_refused
from portal.page_request import Answer, PageRequest, Redirect, Shown
from portal.pages.access import AccessDesk
from portal.people import CodeNeeded, SignedIn
from portal.route_table import Page

_WRONG: Final = "User name or password is not right."
_LONGEST_NEXT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInWays:
    """Which ways are open now. `elsewhere`: the words on the button of the organisation's own sign-in; None: there is none."""

    local: bool
    elsewhere: str | None


def pages(desk: AccessDesk, ways: Callable[[], SignInWays]) -> tuple[Page, ...]:
    """Args: ways: which ways of signing in are open, as the configuration is now."""
    return (
        Page(name="Sign in", path="/sign-in", signed_in=False, handler=partial(show, desk, ways)),
        Page(name="Sign in", path="/sign-in", method="POST", signed_in=False, handler=partial(sign_in, desk, ways)),
        Page(name="Code", path="/sign-in/code", signed_in=False, handler=show_code),
        Page(name="Code", path="/sign-in/code", method="POST", signed_in=False, handler=partial(check_code, desk)),
    )


def wanted_page(written: str) -> str:
    """The page that somebody asked for before signing in, if it is one of ours; else the overview."""
    is_ours = written.startswith("/") and not written.startswith(("//", "/\\", "/sign-in")) and written.isprintable()
    return written if is_ours and len(written) <= _LONGEST_NEXT and "\\" not in written else "/"


def show(desk: AccessDesk, ways: Callable[[], SignInWays], request: PageRequest) -> Answer:
    if request.session is not None:
        return Redirect(path=wanted_page(request.query.get("next", "")))
    notice = ""
    if "signed-out" in request.query:
        notice = "You are signed out."
    elif "expired" in request.query:
        notice = "That took too long, or it was done already. Begin again."
    return _page(desk, ways, request, request.query.get("next", ""), notice=notice)


def sign_in(desk: AccessDesk, ways: Callable[[], SignInWays], request: PageRequest) -> Answer:
    form = request.form
    login, password, wanted = form.text("login"), form.raw("password"), form.text("next")
    empty = [
        FieldError(field=name, sentence=sentence)
        for name, typed, sentence in (
            ("login", login, "Type your user name."),
            ("password", password, "Type your password."),
        )
        if not typed
    ]
    if empty:
        return _page(desk, ways, request, wanted, form=form.with_errors(*empty))
    outcome = desk.people.sign_in(login, password, request.browser)
    if isinstance(outcome, SignedIn):
        return Redirect(path=wanted_page(wanted), cookie=outcome.token, known_by=outcome.known_by)
    if isinstance(outcome, CodeNeeded):
        return Redirect(path=f"/sign-in/code?next={quote(wanted_page(wanted), safe='/')}", cookie=outcome.token)
    error = FieldError(field="login", sentence=why_refused(outcome, request.now, wrong=_WRONG))
    return _page(desk, ways, request, wanted, form=form.with_errors(error))


def show_code(request: PageRequest) -> Answer:
    return _code_page(request.query.get("next", ""), Form())


def check_code(desk: AccessDesk, request: PageRequest) -> Answer:
    wanted = wanted_page(request.form.text("next"))
    code = "".join(request.form.text("code").split())
    if not code:
        error = FieldError(field="code", sentence="Type the code.")
        return _code_page(wanted, request.form.with_errors(error))
    outcome = desk.people.check_code(request.token, code, request.browser)
    if isinstance(outcome, SignedIn):
        return Redirect(path=wanted, cookie=outcome.token, known_by=outcome.known_by)
    if outcome.reason == "expired":
        return Redirect(path=f"/sign-in?expired=1&next={quote(wanted, safe='/')}", cookie="")
    wrong = "That code is not right, or it was used already. Type the newest one; it changes every 30 seconds."
    error = FieldError(field="code", sentence=why_refused(outcome, request.now, wrong=wrong))
    return _code_page(wanted, request.form.with_errors(error))


def _page(
    desk: AccessDesk,
    ways: Callable[[], SignInWays],
    request: PageRequest,
    wanted: str,
    *,
    form: Form | None = None,
    notice: str = "",
) -> Shown:
    return Shown(
        template="sign_in.html",
        title="Sign in",
        view={
            "ways": ways(),
            "wanted": wanted_page(wanted),
            "notice": notice,
            "is_empty": desk.people.is_empty(),
        },
        form=form or Form(),
        status=422 if form is not None else 200,
    )


def _code_page(wanted: str, form: Form) -> Shown:
    return Shown(
        template="sign_in_code.html",
        title="Type the code from your app",
        view={"wanted": wanted_page(wanted)},
        form=form,
        status=422 if form.errors else 200,
    )
