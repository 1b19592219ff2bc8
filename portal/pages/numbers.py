"""Your phone numbers: the organisation's own numbers at the gateway, and another one.

Choosing a number makes an order, which the next page shows with what it costs. The order's form may be sent any number of times:
one number is bought. These numbers are senders, not patients, so they are shown in full, and stand in no address nevertheless.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

from portal.forms import FieldError, Form
from portal.page_request import Answer, NotThere, PageRequest, Redirect, Shown
from portal.pages.numbers_desk import (
    AccountNumbers,
    GatewayProblem,
    NumberOffer,
    NumberOrder,
    NumbersDesk,
    NumberWish,
    OrderAction,
)
from portal.roles import Permission
from portal.route_table import Page

KINDS: Final = (("local", "Local"), ("toll_free", "Toll-free"), ("mobile", "Mobile"))
_ORDER: Final = "/numbers/orders/{order}"
_POLLS: Final = 60
"""How often the page asks, two seconds apart, how far an order is: as long as an order may take."""
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_AREA: Final = re.compile(r"[2-9][0-9]{2}")
_CONTAINS: Final = re.compile(r"[0-9*]{2,16}")
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_TITLES: Final = {
    "ready": {"buy": "Buy this number", "link": "Take this number's replies"},
    "under_way": {"buy": "The number is being bought", "link": "The number is being linked"},
    "done": {"buy": "The number is yours", "link": "The number is linked"},
    "failed": {"buy": "This did not work", "link": "This did not work"},
    "unclear": {"buy": "It is not clear what was done", "link": "It is not clear what was done"},
}


def pages(desk: NumbersDesk) -> tuple[Page, ...]:
    may = Permission.MANAGE_NUMBERS
    return (
        Page(name="Your phone numbers", path="/numbers", permission=may, menu=True, handler=partial(show, desk)),
        Page(name="Generate a phone number", path="/numbers/new", permission=may, handler=partial(search, desk)),
        Page(
            name="Choose a number", path="/numbers/orders", method="POST", permission=may, handler=partial(choose, desk)
        ),
        Page(name="A number's order", path=_ORDER, permission=may, handler=partial(order, desk)),
        Page(
            name="How far is the order?",
            path=f"{_ORDER}/state",
            permission=may,
            passive=True,
            handler=partial(order, desk),
        ),
        Page(
            name="Buy or link a number",
            path=_ORDER,
            method="POST",
            permission=may,
            confirm=True,
            handler=partial(carry_out, desk),
        ),
    )


def show(desk: NumbersDesk, request: PageRequest) -> Answer:
    return _list(desk.account(), Form())


def search(desk: NumbersDesk, request: PageRequest) -> Answer:
    """The form, and below it what is for sale once it was sent."""
    names = ("country", "kind", "area_code", "contains")
    form = Form(values={name: (request.query[name],) for name in names if name in request.query})
    if "country" not in request.query:
        return _offers(form.filled({"country": "US", "kind": "local"}))
    wish, errors = _wish(form)
    if errors:
        return _offers(form.with_errors(*errors))
    offers = desk.search(wish)
    if isinstance(offers, GatewayProblem):
        return _offers(form, problem=offers)
    return _offers(form, offers=offers)


def choose(desk: NumbersDesk, request: PageRequest) -> Answer:
    number = request.form.text("number")
    action: OrderAction = "link" if request.form.text("action") == "link" else "buy"
    if _NUMBER.fullmatch(number) is None:
        error = FieldError(field="", sentence="Choose a number of the list.")
        return _offers(Form().filled({"country": "US", "kind": "local"}).with_errors(error))
    made = desk.order(request.own_session, action, number, request.now)
    if isinstance(made, GatewayProblem):
        error = FieldError(field="", sentence=f"{made.sentence} {made.remedy}")
        return _list(desk.account(), Form().with_errors(error))
    return Redirect(path=f"/numbers/orders/{made}")


def order(desk: NumbersDesk, request: PageRequest) -> Answer:
    kept = desk.find(request.parameters["order"], request.own_session, request.now)
    if kept is None:
        raise NotThere
    polls = request.query.get("polls", "1")
    next_poll = int(polls) + 1 if polls.isdecimal() and len(polls) < 4 and int(polls) < _POLLS else 0
    return _order(desk, kept, next_poll=next_poll, polled=request.path.endswith("/state"))


def carry_out(desk: NumbersDesk, request: PageRequest) -> Answer:
    identifier = request.parameters["order"]
    if not desk.carry_out(identifier, request.own_session, request.browser, request.now):
        raise NotThere
    return Redirect(path=f"/numbers/orders/{identifier}")


def _wish(form: Form) -> tuple[NumberWish, list[FieldError]]:
    errors = []
    country, kind = form.text("country").upper(), form.text("kind")
    area_code, contains = form.text("area_code"), re.sub(r"[\s().-]", "", form.text("contains"))
    if _COUNTRY.fullmatch(country) is None:
        errors.append(FieldError(field="country", sentence="Type the country's two letters, such as US."))
    if kind not in dict(KINDS):
        errors.append(FieldError(field="kind", sentence="Choose a kind of number."))
    if area_code and _AREA.fullmatch(area_code) is None:
        errors.append(FieldError(field="area_code", sentence="Type an area code of three digits, such as 425."))
    if contains and _CONTAINS.fullmatch(contains) is None:
        errors.append(FieldError(field="contains", sentence="Type two digits or more; * stands for any digit."))
    whole = NumberWish(
        country=country, kind=kind, area_code=int(area_code) if area_code.isdecimal() else None, contains=contains
    )
    return whole, errors


def _list(account: AccountNumbers, form: Form) -> Shown:
    return Shown(
        template="numbers.html",
        title="Your phone numbers",
        view={"account": account},
        form=form,
        status=422 if form.errors else 200,
    )


def _offers(form: Form, *, offers: Sequence[NumberOffer] | None = None, problem: GatewayProblem | None = None) -> Shown:
    return Shown(
        template="numbers_new.html",
        title="Generate a phone number",
        view={"offers": offers, "problem": problem, "kinds": KINDS},
        form=form,
        status=422 if form.errors else 200,
    )


def _order(desk: NumbersDesk, kept: NumberOrder, *, next_poll: int, polled: bool) -> Shown:
    return Shown(
        template="numbers_order.html",
        title=_TITLES[kept.state][kept.action],
        view={"order": kept, "next_poll": next_poll, "polled": polled, "environments": desk.environments()},
    )
