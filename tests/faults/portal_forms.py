"""A browser without a picture: it reads a page's forms, fills them in as somebody who wishes ill, and sends them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

import requests

CANARY: Final = "\"'><canary oncanary=1>"
"""Ends an attribute and a tag, begins an element, and has what a browser would run."""
_LEADING: Final = ("href", "src", "action", "formaction")
_INLINE: Final = ("script", "style")
_PATIENCE: Final = 60


@dataclass(slots=True)
class Field:
    """Attributes: value: the chosen one. options: of a choice."""

    name: str
    kind: str
    value: str = ""
    options: list[str] = field(default_factory=list)

    def filled(self, action: str) -> str:
        """What is sent in a form for this address. Hidden values stay, of choices the last is taken, and words are markup."""
        if self.kind in ("hidden", "submit", "checkbox", "radio", "date"):
            return self.value
        if self.kind == "select":
            return next((option for option in reversed(self.options) if option), "")
        if self.kind == "textarea" and self.value:
            return f"{self.value}\n# {CANARY}\n"
        return _VALID.get((action, self.name), CANARY)


_VALID: Final = {
    ("/people/invite", "login"): "eve",
    ("/environments/new", "name"): "east",
    ("/environments/new", "time_zone"): "America/Los_Angeles",
    ("/opt-outs/add", "telephone"): "+12025550188",
}
"""Address and field -> a value where markup is refused, so that the others of its form are stored."""


@dataclass(slots=True)
class PageForm:
    """Attributes: has_plain_button: one without a name, which adds nothing to what is sent."""

    action: str
    method: str
    fields: list[Field] = field(default_factory=list)
    has_plain_button: bool = False

    def filled(self) -> list[tuple[str, str]]:
        """Pressed is the plain button, or else the last one."""
        pressed = [one for one in self.fields if one.kind == "submit"][-1:] if not self.has_plain_button else []
        return [(one.name, one.filled(self.action)) for one in self.fields if one.kind != "submit" or one in pressed]


class ReadPage(HTMLParser):
    """Attributes: forms: of the page. alive: what a browser would run, or would not have come from our templates."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[PageForm] = []
        self.alive: list[str] = []
        self._textarea: Field | None = None
        self._select: Field | None = None
        self._inline = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._judge(tag, given)
        self._inline = tag if tag in _INLINE and "src" not in given else ""
        if tag == "form":
            self.forms.append(PageForm(action=given.get("action", ""), method=given.get("method", "get").lower()))
        elif not self.forms:
            return
        elif tag in ("input", "button") and given.get("name"):
            kind = given.get("type", "submit" if tag == "button" else "text")
            one = Field(name=given["name"], kind=kind, value=given.get("value", ""))
            if kind == "radio":  # the last one is chosen
                self.forms[-1].fields = [other for other in self.forms[-1].fields if other.name != one.name]
            if kind != "checkbox" or "checked" in given:
                self._add(one)
        elif tag == "button":
            self.forms[-1].has_plain_button = True
        elif tag == "textarea" and given.get("name"):
            self._textarea = self._add(Field(name=given["name"], kind="textarea"))
        elif tag == "select" and given.get("name"):
            self._select = self._add(Field(name=given["name"], kind="select"))
        elif tag == "option" and self._select is not None:
            self._select.options.append(given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self._textarea.value += data.lstrip("\n") if not self._textarea.value else data
        if self._inline and data.strip():
            self.alive.append(f"<{self._inline}> with content")

    def handle_endtag(self, tag: str) -> None:
        self._inline = ""
        if tag == "textarea":
            self._textarea = None
        elif tag == "select":
            self._select = None

    def _add(self, one: Field) -> Field:
        self.forms[-1].fields.append(one)
        return one

    def _judge(self, tag: str, given: dict[str, str]) -> None:
        if tag == "canary":
            self.alive.append("an element of the canary's")
        self.alive += [f"<{tag} {name}>" for name in given if name.startswith("on") or name == "style"]
        self.alive += [
            f"<{tag} {name}> runs" for name in _LEADING if re.match(r"\s*(javascript|data):", given.get(name, ""), re.I)
        ]


@dataclass(slots=True)
class Visitor:
    """Somebody at the portal, by the token of a session.

    Attributes:
        answers: each answer with what was asked for, in order.
    """

    url: str
    token: str
    answers: list[tuple[str, requests.Response]] = field(default_factory=list)

    def get(self, address: str) -> requests.Response:
        return self._ask("GET", address)

    def send(self, form: PageForm, found_at: str) -> requests.Response:
        """As a browser does from the page where it was found."""
        address = form.action or found_at.partition("?")[0]
        if form.method == "get":
            return self._ask("GET", address, params=form.filled())
        return self.post(address, form.filled())

    def post(self, address: str, fields: Sequence[tuple[str, str]]) -> requests.Response:
        return self._ask("POST", address, data=list(fields), headers={"Origin": self.url})

    def csrf(self) -> str:
        """The session's token, of the first page."""
        [*values] = [
            one.value for form in ReadPage(self.get("/").text).forms for one in form.fields if one.name == "csrf"
        ]
        return values[0]

    def _ask(self, method: str, address: str, **more: object) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            session.cookies.set("carebell", self.token)
            answer = session.request(
                method, self.url + address, timeout=_PATIENCE, allow_redirects=False, **more  # type: ignore[arg-type]
            )  # fmt: skip
        self.answers.append((f"{method} {address.partition('?')[0]}", answer))
        return answer

    def pages(self) -> Iterator[tuple[str, requests.Response]]:
        """What was answered as HTML so far."""
        for asked, answer in self.answers:
            if answer.headers.get("content-type", "").startswith("text/html"):
                yield asked, answer
