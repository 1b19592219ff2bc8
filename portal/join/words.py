"""Which language a patients' page has, and its words: all of a page's words are of one language (`config.page_words`). Pure.

    words = choose(view.languages, texts, territory=view.territory)
    words.say("visit.open_from", time="1:00 PM")

A visit's page has the language of its texts. Where no visit is known, the browser says which languages it wants; what is said then
depends on nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, get_timezone_name
from markupsafe import Markup, escape

from config.page_words import ENGLISH, OTHER, PageText, PageTexts
from notifier.dates import fallbacks, locale_for

_LONGEST_HEADER: Final = 256
_PREFERENCE: Final = re.compile(r"\s*([A-Za-z0-9-]{1,35})\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
_NARROW: Final = str.maketrans(dict.fromkeys("\u00a0\u202f", " "))
"""CLDR's spaces that do not break, which some screen readers stumble over."""


@dataclass(frozen=True, slots=True)
class PageWords:
    """One language's words, with its dates and numbers.

    Attributes:
        language: the tag of the words. locale: of dates and numbers, such as `es_US`.
    """

    language: str
    locale: Locale
    texts: PageTexts = field(repr=False)

    def say(self, key: str, **values: object) -> str:
        """A text that is one."""
        return _only(self.texts[key]).format(**values)

    def html(self, key: str, **values: object) -> Markup:
        """The same for a page: what is put in is escaped, unless it is markup."""
        return escape(_only(self.texts[key])).format(**values)

    def count(self, key: str, name: str, number: int) -> str:
        """A text by the plural form of its number."""
        return self.among(key, [self.locale.plural_form(number)]).format(**{name: number})

    def among(self, key: str, variants: Sequence[str]) -> str:
        """The first of these variants that the text has, else the one for all the rest."""
        text = self.texts[key]
        if isinstance(text, str):
            return text
        return next((text[variant] for variant in variants if variant in text), text[OTHER])

    def section(self, name: str) -> dict[str, str]:
        """Key -> text of a section whose texts are one each."""
        return {
            key.partition(".")[2]: text
            for key, text in self.texts.items()
            if key.startswith(f"{name}.") and isinstance(text, str)
        }

    @property
    def tag(self) -> str:
        """Of numbers, as a browser takes it: `es-US`."""
        return str(self.locale).replace("_", "-")

    def day(self, instant: datetime, zone: ZoneInfo) -> str:
        """`Thursday, December 3`."""
        local = instant.astimezone(zone)
        weekday = format_date(local, "EEEE", locale=self.locale)
        date = format_skeleton("MMMMd", local, tzinfo=zone, locale=self.locale)
        return self.say("visit.day", weekday=weekday, date=date)

    def clock(self, instant: datetime, zone: ZoneInfo) -> str:
        """`2:00 PM`."""
        return format_time(instant.astimezone(zone), "short", tzinfo=zone, locale=self.locale).translate(_NARROW)

    def zone(self, zone: ZoneInfo) -> str:
        """`Pacific Time`."""
        return get_timezone_name(zone, width="long", locale=self.locale, zone_variant="generic")


def choose(wanted: Sequence[str], languages: Mapping[str, PageTexts], *, territory: str = "US") -> PageWords:
    """The words of the first wanted language that there are words of; English if there is none.

    Args:
        wanted: BCP 47 tags, the patient's own before others: it decides how dates are written, also with the words of its parent.
        territory: whose dates a language without a region has, ISO 3166.
    """
    known = {tag.lower(): tag for tag in languages}
    language = next((known[tag.lower()] for tag in wanted if tag.lower() in known), ENGLISH)
    own = next((tag for tag in wanted if tag.lower().startswith(f"{language}-".lower())), language)
    return PageWords(language, locale_for(own, territory), languages[language])


def accepted(header: str) -> tuple[str, ...]:
    """The languages of an Accept-Language header with their parents, the most wanted first (RFC 9110, 12.5.4; RFC 4647, 3.4)."""
    preferences = []
    for part in header[:_LONGEST_HEADER].split(","):
        match = _PREFERENCE.fullmatch(part)
        if match is not None and (quality := float(match[2] or 1)) > 0:
            preferences.append((-quality, match[1]))
    preferences.sort(key=lambda preference: preference[0])
    return tuple(dict.fromkeys(tag for _, wanted in preferences for tag in fallbacks(wanted)))


def _only(text: PageText) -> str:
    return text if isinstance(text, str) else text[OTHER]
