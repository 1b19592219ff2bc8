"""What a value was probably meant to be: a country for `UK`, a zone for `PST`, a number for `(425) 555-0100`. Pure.

Each function gives one valid value, or None where nothing is near enough. It is proposed, never taken.
"""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import Final
from zoneinfo import available_timezones

import phonenumbers

_ZONES: Final = {
    "ET": "America/New_York", "EST": "America/New_York", "EDT": "America/New_York", "EST5EDT": "America/New_York",
    "CT": "America/Chicago", "CST": "America/Chicago", "CDT": "America/Chicago", "CST6CDT": "America/Chicago",
    "MT": "America/Denver", "MST": "America/Denver", "MDT": "America/Denver", "MST7MDT": "America/Denver",
    "NAVAJO": "America/Denver",
    "PT": "America/Los_Angeles", "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles",
    "PST8PDT": "America/Los_Angeles",
    "AKST": "America/Anchorage", "AKDT": "America/Anchorage", "HST": "Pacific/Honolulu", "HDT": "America/Adak",
    "AST": "America/Halifax", "ADT": "America/Halifax", "NST": "America/St_Johns", "NDT": "America/St_Johns",
    "BST": "Europe/London", "GB": "Europe/London", "GB-EIRE": "Europe/London", "EIRE": "Europe/Dublin",
    "CET": "Europe/Paris", "CEST": "Europe/Paris", "MET": "Europe/Paris", "EET": "Europe/Helsinki",
    "EEST": "Europe/Helsinki", "WET": "Europe/Lisbon", "WEST": "Europe/Lisbon", "MSK": "Europe/Moscow",
    "W-SU": "Europe/Moscow", "CUBA": "America/Havana", "EGYPT": "Africa/Cairo", "HONGKONG": "Asia/Hong_Kong",
    "ICELAND": "Atlantic/Reykjavik", "IRAN": "Asia/Tehran", "ISRAEL": "Asia/Jerusalem", "JAMAICA": "America/Jamaica",
    "JAPAN": "Asia/Tokyo", "JST": "Asia/Tokyo", "KWAJALEIN": "Pacific/Kwajalein", "LIBYA": "Africa/Tripoli",
    "NZ": "Pacific/Auckland", "NZST": "Pacific/Auckland", "NZDT": "Pacific/Auckland", "NZ-CHAT": "Pacific/Chatham",
    "POLAND": "Europe/Warsaw", "PORTUGAL": "Europe/Lisbon", "PRC": "Asia/Shanghai", "ROC": "Asia/Taipei",
    "ROK": "Asia/Seoul", "KST": "Asia/Seoul", "SINGAPORE": "Asia/Singapore", "TURKEY": "Europe/Istanbul",
    "AEST": "Australia/Sydney", "AEDT": "Australia/Sydney", "ACST": "Australia/Adelaide", "AWST": "Australia/Perth",
    "SAST": "Africa/Johannesburg", "GMT": "UTC", "GMT0": "UTC", "GMT+0": "UTC", "GMT-0": "UTC", "GREENWICH": "UTC",
    "UCT": "UTC", "UNIVERSAL": "UTC", "ZULU": "UTC", "Z": "UTC",
}  # fmt: skip
"""Abbreviations, and names without a continent, that people write for a clinic's zone."""

_COUNTRIES: Final = {"EN": "GB", "ENGLAND": "GB", "SCOTLAND": "GB", "WALES": "GB", "BRITAIN": "GB", "AMERICA": "US"}
"""What no table of countries has."""


@cache
def known_zones() -> frozenset[str]:
    """Every name of the tz database, looked up on the disk once a process."""
    return frozenset(available_timezones())


@cache
def _whole_zones() -> dict[str, str]:
    """Zones of places by their name in small letters."""
    return {zone.lower(): zone for zone in sorted(known_zones()) if is_whole_zone(zone)}


def is_whole_zone(name: str) -> bool:
    """Whether `name` is a place's zone, `America/Los_Angeles`, or UTC: an abbreviation names an offset, or several zones."""
    return name == "UTC" or ("/" in name and name in known_zones())


def zone_meant(name: str) -> str | None:
    """`America/Los_Angeles` for `PST`, `los angeles` or `America/Los_Angles`."""
    known = _ZONES.get(name.strip().upper())
    if known is not None:
        return known
    wanted = re.sub(r"[\s-]+", "_", name.strip()).lower()
    zones = _whole_zones()
    cities: dict[str, str] = {}
    for spelling, zone in zones.items():
        cities.setdefault(spelling.rpartition("/")[2], zone)
    for spellings in (zones, cities):
        if wanted in spellings:
            return spellings[wanted]
    near = difflib.get_close_matches(wanted, zones, n=1, cutoff=0.8) or difflib.get_close_matches(wanted, cities, n=1)
    return zones.get(near[0]) or cities[near[0]] if near else None


def is_country(code: str) -> bool:
    """Whether telephone numbers can belong to this ISO 3166 country."""
    return code in phonenumbers.SUPPORTED_REGIONS


def country_meant(text: str) -> str | None:
    """`GB` for `UK`, `US` for `USA`, `us`, `840` or `United States`."""
    from babel import Locale  # only where something is wrong
    from babel.core import get_global

    wanted = text.strip().upper()
    known = _COUNTRIES.get(wanted)
    replaced: list[str] = get_global("territory_aliases").get(wanted, [])
    if len(replaced) == 1:
        known = replaced[0]
    if known is None:
        names = {name.upper(): code for code, name in Locale("en").territories.items() if is_country(code)}
        near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.85) if len(wanted) > 3 else []
        known = names[near[0]] if near else wanted
    return known if is_country(known) else None


def number_meant(text: str) -> str | None:
    """`+14255550100` for `(425) 555-0100`, `14255550100` or `0044 20 7946 0018`: E.164, where the digits allow just that."""
    region = None if text.strip().startswith(("+", "00")) else "US"
    written = re.sub(r"^\s*00", "+", text)
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def countries_of(e164: str) -> frozenset[str]:
    """The countries that a number in E.164 can belong to: one, or all that share its calling code; none where there is none."""
    try:
        number = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return frozenset()
    region = phonenumbers.region_code_for_number(number)
    if region is not None:
        return frozenset({region})
    return frozenset(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(number.country_code or 0, ()))
