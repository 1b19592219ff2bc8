"""Why no text? An appointment's life in sentences. What is asked for is posted, never part of an address, never shown again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from portal.forms import FieldError, Form
from portal.page_request import Answer, NotAllowed, PageRequest, Shown
from portal.people import Browser, Session
from portal.roles import Permission
from portal.route_table import Page

FIELD: Final = "telephone"
"""The name under which nothing typed is carried into another page (`portal.forms.SECRET_FIELDS`): it may be a patient's number."""
_SEPARATORS: Final = re.compile(r"[\s().\-/]")
_E164: Final = re.compile(r"\+[0-9]{7,15}")
_LONGEST: Final = 200
_TITLE: Final = "Why no text?"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyStep:
    """Attributes: verdict: what happened, in a word or two. title: of the text it is about, or "". remedy: what to do, or ""."""

    at: datetime
    verdict: str
    title: str
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyLife:
    """One appointment.

    Attributes:
        answer: one or two sentences. remedy: what to do about it, or "".
        zone: the clinic's.
    """

    reference: str
    environment: str
    answer: str
    remedy: str
    zone: ZoneInfo
    steps: Sequence[WhyStep]


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelyCause:
    """Why something may be unknown: what was looked at, and what came out. `path`, `link`: where to go on, or ""."""

    question: str
    answer: str
    path: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyAnswer:
    """Attributes:
    lives: of appointments.
    loose, loose_answer: steps that belong to no appointment, and what they mean.
    causes: if there is nothing.
    notes: what the reader should know about the log and the keys.
    number: the telephone number that was looked for, masked; "" if none was.
    """

    lives: Sequence[WhyLife] = ()
    loose: Sequence[WhyStep] = ()
    loose_answer: str = ""
    causes: Sequence[LikelyCause] = ()
    notes: Sequence[str] = ()
    number: str = ""

    @property
    def known(self) -> bool:
        return bool(self.lives or self.loose)


class WhyDesk(Protocol):
    """What this page asks for. Each look is an entry of the audit log; a look by number is none without its entry."""

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]: ...

    def by_name(self, by: Session, name: str, environments: Sequence[str] | None, browser: Browser) -> WhyAnswer:
        """By an appointment's number, or by a message's control id. `environments`: look only there; None: everywhere."""
        ...

    def by_number(self, by: Session, number: str, environments: Sequence[str] | None, browser: Browser) -> WhyAnswer:
        """By a telephone number in E.164."""
        ...

    def numbers(self, written: str, environments: Sequence[str] | None) -> Sequence[str]:
        """What it may be as a telephone number without a country code in the environments' countries, in E.164."""
        ...


def pages(desk: WhyDesk) -> tuple[Page, ...]:
    return (
        Page(name=_TITLE, path="/why", permission=Permission.SEE, menu=True, handler=partial(show, desk)),
        Page(
            name="Look for the reason",
            path="/why",
            method="POST",
            permission=Permission.SEE,
            handler=partial(ask, desk),
        ),
    )


def show(desk: WhyDesk, request: PageRequest) -> Answer:
    return _page(desk, request, Form())


def ask(desk: WhyDesk, request: PageRequest) -> Answer:
    wanted, chosen = request.form.text(FIELD), request.form.text("environment")
    form = Form().filled({"environment": chosen})
    if not wanted or len(wanted) > _LONGEST:
        problem = (
            "Type an appointment's number or a telephone number." if not wanted else "That is too long to be either."
        )
        return _page(desk, request, form.with_errors(FieldError(field=FIELD, sentence=problem)))
    allowed = desk.environments(request.scope)
    if chosen and chosen not in allowed:
        return _page(
            desk, request, form.with_errors(FieldError(field="environment", sentence="Choose an environment."))
        )
    environments = [chosen] if chosen else None if request.scope is None else allowed
    if not wanted.startswith("+"):
        return _page(desk, request, form, _without_code(desk, request, wanted, environments))
    if not request.may(Permission.SEARCH_NUMBER):
        raise NotAllowed(Permission.SEARCH_NUMBER)
    number = _SEPARATORS.sub("", wanted)
    if _E164.fullmatch(number) is None:
        sentence = "Type a telephone number with its country code, such as +1 202 555 0143."
        return _page(desk, request, form.with_errors(FieldError(field=FIELD, sentence=sentence)))
    return _page(desk, request, form, desk.by_number(request.own_session, number, environments, request.browser))


def _without_code(desk: WhyDesk, request: PageRequest, wanted: str, environments: Sequence[str] | None) -> WhyAnswer:
    """By its name; if none is known, as a telephone number of the environments' countries, for whoever may search by one."""
    by, browser = request.own_session, request.browser
    answer = desk.by_name(by, wanted, environments, browser)
    if answer.known or not request.may(Permission.SEARCH_NUMBER):
        return answer
    for number in desk.numbers(wanted, environments):
        answer = desk.by_number(by, number, environments, browser)
        if answer.known:
            break
    return answer


def _page(desk: WhyDesk, request: PageRequest, form: Form, answer: WhyAnswer | None = None) -> Shown:
    return Shown(
        template="why.html",
        title=_TITLE,
        view={
            "answer": answer,
            "field": FIELD,
            "options": [("", "All"), *((name, name) for name in desk.environments(request.scope))],
            "may_search_number": request.may(Permission.SEARCH_NUMBER),
        },
        form=form,
        status=422 if form.errors else 200,
    )
