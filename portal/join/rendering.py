"""The patients' pages from their templates: Jinja2 with escaping always on and no undefined names.

The templates hold no words of their own: `say` gives them, all of one language. Only the page of a provider's link is English.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from portal.join.desk import JoinView, JoinWords, OnTheWay, WaitingPerson
from portal.join.words import PageWords, accepted, choose
from portal.static_files import StaticFile
from portal.static_files import read_all as read_staff_files

POLL_SECONDS: Final = 5
_STYLE: Final = "text/css; charset=utf-8"
_SCRIPT: Final = "text/javascript; charset=utf-8"
_TYPES: Final = {
    "join.css": _STYLE,
    "join.js": _SCRIPT,
    "provider.js": _SCRIPT,
    "device-test.css": _STYLE,
    "device-checks.js": _SCRIPT,
    "device-test.js": _SCRIPT,
}
_SHARED: Final = ("pico-2.1.1.min.css", "favicon.svg")
_WAITING: Final = "waiting.html"
_TEMPLATES: Final = {
    "early": "early.html",
    "lobby": _WAITING,
    "waiting": _WAITING,
    "admitted": "admitted.html",
    "crowded": "sentence.html",
    "canceled": "sentence.html",
    "changed": "sentence.html",
    "over": "sentence.html",
}


@cache
def static_files() -> Mapping[str, StaticFile]:
    """The style sheet and script of these pages, and what they share with the staff's; further pages add their own."""
    folder = files("portal") / "join" / "static"
    own = {
        name: StaticFile(name=name, media_type=media_type, content=(folder / name).read_bytes())
        for name, media_type in _TYPES.items()
    }
    shared = read_staff_files()
    return own | {name: shared[name] for name in _SHARED}


class JoinRenderer:
    """Makes HTML of what the desk answered.

    Args:
        static: see `static_files`.
    """

    def __init__(self, words: JoinWords, static: Mapping[str, StaticFile]) -> None:
        self._words = words
        self.static = static
        self._templates = Environment(
            loader=PackageLoader("portal", "join/templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.globals["static"] = {name: file.address for name, file in static.items()}

    def words_of(self, view: JoinView) -> PageWords:
        """Of a visit's pages."""
        return choose(view.languages, self._words.languages(), territory=view.territory)

    def words_for(self, accept_language: str) -> PageWords:
        """Where no visit is known: as the browser's header asks for them."""
        return choose(accepted(accept_language), self._words.languages())

    def page(self, view: JoinView, token: str, device: str | None, now: datetime) -> str:
        """What there is to say now.

        Args:
            device: of a browser without script that came in before; None: a new one.
        """
        is_provider = view.role == "provider" and view.stage == "admitted"
        template = _TEMPLATES[view.stage]
        words = self.words_of(view)
        return self.html(
            "provider.html" if is_provider else template,
            view,
            token=token,
            device=device or secrets.token_hex(8),
            sentence=words.say(f"visit.{view.stage}") if template == "sentence.html" else "",
            refreshes=view.stage in ("waiting", "lobby") and device is not None,
            said=waiting_words(view, words, minutes_waited(view, now)),
            people=[(person, person_words(person, now)) for person in view.waiting],
        )

    def on_the_way(self, way: OnTheWay, token: str, device: str) -> str:
        """The page that leads on to the meeting, or says why there is none to go to yet."""
        if way.url is not None:
            return self.html("on_the_way.html", way.view, token=token, url=way.url)
        if way.view.stage == "admitted":
            return self.html("no_room.html", way.view, token=token, device=device)
        return self.page(way.view, token, device, way.view.opens_at)

    def nothing(self, accept_language: str) -> str:
        """Of a link that leads to no visit: the same bytes for each, whatever the visit was that it led to."""
        return self._sentence("page.nothing", accept_language)

    def failed(self, accept_language: str) -> str:
        """Carebell could not do it."""
        return self._sentence("page.failed", accept_language)

    def line(self, key: str, accept_language: str) -> str:
        """A refusal that is no page."""
        return f"{self.words_for(accept_language).say(key)}\n"

    def state(self, view: JoinView, now: datetime) -> dict[str, object]:
        """What the page's script gets: the stage, and what to announce."""
        said = waiting_words(view, self.words_of(view), minutes_waited(view, now))
        return {"stage": view.stage, "words": said}

    def html(self, template: str, view: JoinView, **more: object) -> str:
        """Any template of these pages, with what each has around it."""
        words = self.words_of(view)
        return self.plain(
            template,
            words,
            view=view,
            organization=view.organization,
            contact=view.contact,
            when=when_words(view, words),
            opens=words.clock(view.opens_at, view.zone),
            **more,
        )

    def around(self) -> dict[str, str]:
        """What each page has around it, where no visit is known."""
        return {"organization": self._words.organization(), "contact": self._words.contact()}

    def plain(self, template: str, words: PageWords, **values: object) -> str:
        """A template that names every value it needs; `around` has those of the layout."""
        return self._templates.get_template(template).render(
            words=words, say=words.html, poll_seconds=POLL_SECONDS, **values
        )

    def _sentence(self, key: str, accept_language: str) -> str:
        words = self.words_for(accept_language)
        return self.plain("sentence.html", words, sentence=words.say(key), **self.around())


def when_words(view: JoinView, words: PageWords) -> str:
    """`Thursday, December 3 at 2:00 PM (Pacific Time)`, at the clinic's clock; "" where no time is known."""
    if view.start is None:
        return ""
    day = words.day(view.start, view.zone)
    if view.date_only:
        return day
    return words.say("visit.when", day=day, time=words.clock(view.start, view.zone), zone=words.zone(view.zone))


def minutes_waited(view: JoinView, now: datetime) -> int:
    """Whole minutes since they came in."""
    return 0 if view.waits_since is None else max(0, int((now - view.waits_since).total_seconds()) // 60)


def person_words(person: WaitingPerson, now: datetime) -> str:
    """`Patient, for 4 minutes. You asked for more minutes.` In a group: `Patient of appointment 900100, for 4 minutes.`"""
    minutes = max(0, int((now - person.since).total_seconds()) // 60)
    since = f"for {minutes} minute{'s' if minutes > 1 else ''}" if minutes else "since a moment ago"
    answer = " Let in." if person.admitted else " You asked for more minutes." if person.put_off else ""
    of = "" if person.reference is None else f" of appointment {person.reference}"
    return f"{person.role.capitalize()}{of}, {since}.{answer}"


def waiting_words(view: JoinView, words: PageWords, minutes: int) -> str:
    """What the waiting room says, and announces when it changes."""
    if view.stage == "admitted":
        return words.say("lobby.go_in")
    if view.stage != "waiting":
        return words.say("lobby.outside")
    if view.put_off:
        said = words.say("lobby.put_off")
    elif view.provider:
        said = words.say("lobby.inside_for", provider=view.provider)
    else:
        said = words.say("lobby.inside")
    return f"{said} {words.count('lobby.waited', 'minutes', minutes)}" if minutes else said
