"""Dates and times as patients read them: in the clinic's zone and the patient's language, by Babel's CLDR; pure.

CLDR writes U+202F before PM and accents in Spanish weekdays; both would turn a text into UCS-2, so they are folded here.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time, match_skeleton

from notifier.segments import fold_letters

_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,3}")


@lru_cache(maxsize=256)
def fallbacks(tag: str | None) -> tuple[str, ...]:
    """A BCP-47 tag and its parents, longest first, in canonical case: `es_mx` gives `es-MX`, `es`. An invalid tag gives nothing."""
    if tag is None or _TAG.fullmatch(tag) is None:
        return ()
    first, *others = re.split("[-_]", tag)
    parts = [first.lower(), *(part.upper() if len(part) == 2 else part.title() for part in others)]
    return tuple("-".join(parts[:size]) for size in range(len(parts), 0, -1))


@lru_cache(maxsize=256)
def locale_for(language: str, territory: str) -> Locale:
    """The CLDR locale of a language. A language without a region uses the clinic's territory.

    So `es` in a US clinic gives `2:05 p.m.`, as Spanish speakers there write it, not Spain's `14:05`. English if CLDR does not know
    the language.
    """
    for tag in (*_regional(language, territory), *fallbacks(language)):
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en", "US")


def _regional(language: str, territory: str) -> tuple[str, ...]:
    return () if "-" in language else (f"{language}-{territory}",)


def date_words(start: datetime, zone: str, locale: Locale) -> dict[str, str]:
    """The placeholders `date` (Mon, Mar 9), `long_date` (Monday, March 9), `weekday` (Monday) and `time` (2:05 PM).

    Args:
        start: an aware instant.
        zone: the clinic's IANA zone; its offset at that instant decides, on both sides of a DST change.
    """
    local = start.astimezone(ZoneInfo(zone))
    words = dict(_day_words(local.date(), locale))
    words["time"] = _time_word(local.time(), locale)
    return words


# Many texts of a clinic have the same days and times, so they are cached.
@lru_cache(maxsize=2048)
def _day_words(day: date, locale: Locale) -> tuple[tuple[str, str], ...]:
    weekday = format_date(day, "EEEE", locale=locale)
    # Babel's skeletons take only datetimes; noon UTC keeps the day whatever Babel does with the zone.
    noon = datetime.combine(day, time(12), tzinfo=UTC)
    words = {
        "date": format_datetime(noon, _pattern("EEEMMMd", locale), locale=locale),
        "long_date": f"{weekday}, {format_datetime(noon, _pattern('MMMMd', locale), locale=locale)}",
        "weekday": weekday,
    }
    return tuple((name, fold_letters(word)) for name, word in words.items())


# Finding the pattern nearest to a skeleton takes a millisecond, and `longest_date_words` asks for a year's days.
@lru_cache(maxsize=512)
def _pattern(skeleton: str, locale: Locale) -> Any:
    """The locale's pattern for a CLDR skeleton, or for the nearest one. KeyError if CLDR has none."""
    patterns = locale.datetime_skeletons
    return patterns[skeleton if skeleton in patterns else match_skeleton(skeleton, patterns)]


@lru_cache(maxsize=4096)
def _time_word(of_day: time, locale: Locale) -> str:
    return fold_letters(format_time(of_day, "short", locale=locale))


@lru_cache(maxsize=64)
def longest_date_words(locale: Locale) -> tuple[tuple[str, str], ...]:
    """Every date placeholder with its longest value in a year, to count segments in advance."""
    first = datetime(2026, 1, 1, 22, 59, tzinfo=ZoneInfo("UTC"))
    days = [date_words(first + timedelta(days=day), "UTC", locale) for day in range(365)]
    return tuple((name, max((day[name] for day in days), key=len)) for name in days[0])
