"""Dates and times: languages, regions, the two sides of DST changes, and no character that doubles a text's price."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.dates import date_words, fallbacks, locale_for, longest_date_words
from notifier.segments import Encoding, count

PACIFIC, EASTERN = "America/Los_Angeles", "America/New_York"


def words(iso: str, zone: str, language: str, territory: str = "US") -> tuple[str, str]:
    written = date_words(datetime.fromisoformat(iso), zone, locale_for(language, territory))
    return written["date"], written["time"]


@pytest.mark.parametrize(
    ("iso", "zone", "date", "time"),
    [
        # Spring forward, 2026-03-08: 01:59 PST is followed by 03:00 PDT.
        ("2026-03-08T09:59:00+00:00", PACIFIC, "Sun, Mar 8", "1:59 AM"),
        ("2026-03-08T10:00:00+00:00", PACIFIC, "Sun, Mar 8", "3:00 AM"),
        # Fall back, 2026-11-01: 01:30 comes twice.
        ("2026-11-01T05:30:00+00:00", EASTERN, "Sun, Nov 1", "1:30 AM"),
        ("2026-11-01T06:30:00+00:00", EASTERN, "Sun, Nov 1", "1:30 AM"),
        ("2026-11-01T07:30:00+00:00", EASTERN, "Sun, Nov 1", "2:30 AM"),
        # The clinic's day, not UTC's.
        ("2026-03-10T03:00:00+00:00", PACIFIC, "Mon, Mar 9", "8:00 PM"),
        ("2026-03-09T12:00:00+00:00", "Pacific/Auckland", "Tue, Mar 10", "1:00 AM"),
        # Arizona keeps no DST; the half hours of Newfoundland.
        ("2026-07-01T19:00:00+00:00", "America/Phoenix", "Wed, Jul 1", "12:00 PM"),
        ("2026-07-01T19:00:00+00:00", "America/St_Johns", "Wed, Jul 1", "4:30 PM"),
    ],
)
def test_the_clinics_zone_decides(iso: str, zone: str, date: str, time: str) -> None:
    assert words(iso, zone, "en") == (date, time)


@pytest.mark.parametrize(
    ("language", "territory", "expected"),
    [
        ("en", "US", ("Sat, Mar 14", "2:05 PM")),
        ("en-CA", "US", ("Sat, Mar 14", "2:05 p.m.")),
        ("en", "GB", ("Saturday 14 Mar", "14:05")),
        ("es", "US", ("sab, 14 de mar", "2:05 p.m.")),
        ("es-MX", "US", ("sab 14 de mar", "2:05 p.m.")),
        ("es-ES", "US", ("sab, 14 mar", "14:05")),
        ("tlh", "US", ("Sat, Mar 14", "2:05 PM")),
    ],
)
def test_language_and_region_decide_the_style(language: str, territory: str, expected: tuple[str, str]) -> None:
    assert words("2026-03-14T21:05:00+00:00", PACIFIC, language, territory) == expected


@pytest.mark.parametrize(
    ("iso", "date", "time"),
    [
        ("2026-03-08T09:59:00+00:00", "dom, 8 de mar", "1:59 a.m."),
        ("2026-03-08T10:00:00+00:00", "dom, 8 de mar", "3:00 a.m."),
        ("2026-11-01T08:59:00+00:00", "dom, 1 de nov", "1:59 a.m."),
        ("2026-11-01T09:00:00+00:00", "dom, 1 de nov", "1:00 a.m."),
    ],
)
def test_dst_in_spanish(iso: str, date: str, time: str) -> None:
    assert words(iso, PACIFIC, "es") == (date, time)


def test_long_words() -> None:
    start = datetime(2026, 3, 9, 21, 5, tzinfo=UTC)
    english = date_words(start, PACIFIC, locale_for("en", "US"))
    spanish = date_words(start, PACIFIC, locale_for("es", "US"))
    assert (english["long_date"], english["weekday"]) == ("Monday, March 9", "Monday")
    assert (spanish["long_date"], spanish["weekday"]) == ("lunes, 9 de marzo", "lunes")


@pytest.mark.parametrize("language", ["en", "es", "es-MX", "es-ES", "en-CA"])
def test_every_day_of_a_year_fits_gsm7_and_the_longest_is_known(language: str) -> None:
    locale = locale_for(language, "US")
    longest = dict(longest_date_words(locale))
    for hour in range(0, 8760, 31):
        written = date_words(datetime(2027, 1, 1, tzinfo=UTC) + timedelta(hours=hour), PACIFIC, locale)
        assert all(count(word).encoding is Encoding.GSM7 for word in written.values())
        assert all(len(written[name]) <= len(longest[name]) for name in written)


@pytest.mark.parametrize(
    ("tag", "chain"),
    [
        ("en", ("en",)),
        ("ES-mx", ("es-MX", "es")),
        ("es_419", ("es-419", "es")),
        ("zh-hant-tw", ("zh-Hant-TW", "zh-Hant", "zh")),
        (None, ()),
        ("", ()),
        ("../../etc", ()),
        ("en;q=1", ()),
        ("e" * 40, ()),
    ],
)
def test_fallback_chains(tag: str | None, chain: tuple[str, ...]) -> None:
    assert fallbacks(tag) == chain


@settings(deadline=None)
@given(st.text(max_size=20), st.text(max_size=4))
def test_any_language_gives_some_locale(language: str, territory: str) -> None:
    assert date_words(datetime(2026, 3, 9, tzinfo=UTC), "UTC", locale_for(language, territory))["date"]
