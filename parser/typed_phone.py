"""A telephone number as a person types it to look for it: with its country code, or as it is written in the clinic's country."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from parser.numbering_plans import allotment_of, e164_of
from parser.phone_number import PhoneNumber, typed_number

_WRITTEN: Final = re.compile(r"[0-9\s().\-/]{7,30}")


def numbers_meant(written: str, countries: Iterable[str]) -> list[PhoneNumber]:
    """What it may be: by its country code, or else one valid number for each country where it is one; empty: it is no number.

    Args:
        countries: ISO 3166; messages are read by the same one, the first that an environment texts.
    """
    whole = typed_number(written)
    if whole is not None:
        return [whole]
    text = written.strip()
    if _WRITTEN.fullmatch(text) is None:
        return []
    spellings = dict.fromkeys(e164_of(text.replace("/", " "), country) for country in countries)
    return [PhoneNumber(e164) for e164 in spellings if e164 is not None and _is_valid(e164)]


def _is_valid(e164: str) -> bool:
    allotment = allotment_of(e164)
    return allotment is not None and allotment.valid
