"""Addresses that are only there after somebody proposed or began something: made once for each site, as a form makes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import unescape
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from carebell.staff.number_orders import NumberOrders
from notifier.twilio.numbers import Plan, Step
from tests.browser.site import Site

LOGIN: Final = "kim"
NUMBER: Final = "+12065550177"
_COOKIE: Final = "carebell"
_made: dict[tuple[str, str], str] = {}


def proposal(site: Site) -> str:
    """The preview of a change of the first reminder of 24 hours."""
    return _once(site, "proposal", _propose)


def proposed_texts(site: Site) -> str:
    """Every text that it changes."""
    return f"{proposal(site)}/texts"


def draft_step(site: Site) -> str:
    """The fourth step of a new environment, of which one is answered."""
    return _once(site, "draft", _begin)


def version(site: Site) -> str:
    """The version that is in force."""
    return _once(site, "version", _newest)


def number_order(site: Site) -> str:
    """Kim's order of a number, which is shown with its costs. As the form leaves it once Twilio has said that it is for sale."""
    return _once(site, "order", lambda _visitor: f"/numbers/orders/{_ordered(site)}")


def _once(site: Site, what: str, make: Callable[[_Visitor], str]) -> str:
    key = (site.url, what)
    if key not in _made:
        _made[key] = make(_Visitor(site))
    return _made[key]


class _Visitor:
    """Kim, without a browser."""

    def __init__(self, site: Site) -> None:
        self._address = urlsplit(site.url)
        self._headers = {"Cookie": f"{_COOKIE}={site.session(LOGIN)}", "Origin": site.url}

    def get(self, path: str) -> str:
        """The page."""
        return self._asked("GET", path, None)[1]

    def post(self, path: str, form: Mapping[str, str], *, of: str) -> str:
        """Send a form that stands on the page `of`; where its answer leads."""
        fields = {**form, "csrf": _field(self.get(of), "csrf")}
        location, page = self._asked("POST", path, urlencode(fields))
        assert location, page
        return location

    def _asked(self, method: str, path: str, body: str | None) -> tuple[str, str]:
        connection = HTTPConnection(self._address.hostname or "", self._address.port, timeout=60)
        try:
            kind = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request(method, path, body, {**self._headers, **kind})
            answer = connection.getresponse()
            return answer.headers.get("Location", ""), answer.read().decode("utf-8")
        finally:
            connection.close()


def _propose(visitor: _Visitor) -> str:
    page = visitor.get("/configuration/edit")
    [text] = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    changed = unescape(text).replace("before: 24h", "before: 30h", 1)
    assert changed != unescape(text)
    form = {"text": changed, "shown": _field(page, "shown"), "base": _field(page, "base")}
    return visitor.post("/configuration/edit", form, of="/configuration/edit")


def _begin(visitor: _Visitor) -> str:
    form = {"name": "east-clinic", "kind": "production", "time_zone": "America/Los_Angeles", "ehr": "epic"}
    return visitor.post("/environments/new", form, of="/environments/new").replace("/address", "/feed")


def _ordered(site: Site) -> str:
    service = site.clinic.service
    kim: Any = SimpleNamespace(person=SimpleNamespace(login=LOGIN))
    steps = (
        Step(action="buy", number=NUMBER, costs=True),
        Step(action="set_webhook", number=NUMBER, target="https://sms.lamna.example/twilio/messages"),
    )
    orders = NumberOrders(store=service.store, vault=service.vault)
    return orders.add(kim, "buy", Plan(steps), site.clinic.clock.now())


def _newest(visitor: _Visitor) -> str:
    return re.findall(r'href="(/configuration/history/[^".]+)"', visitor.get("/configuration/history"))[0]


def _field(page: str, name: str) -> str:
    """The value of a hidden field."""
    return unescape(re.findall(rf'name="{name}" value="([^"]*)"', page)[0])
