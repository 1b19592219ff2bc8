"""The country and kind of a number by the numbering plans. Results of `phonenumbers` (Google's tables) are cached.

`phonenumbers` needs 200 us for one number, which is more than reading the rest of a message. Nearly all numbers are North
American. There the last three digits do not matter, so one lookup serves a thousand numbers. (A test compares both with the
tables, which change with every release.)

The cache holds numbers only in memory, and no longer than the process runs.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumberFormat, PhoneNumberType

_NORTH_AMERICA: Final = 1
_NORTH_AMERICAN: Final = frozenset(COUNTRY_CODE_TO_REGION_CODE[_NORTH_AMERICA])
_TEN_DIGITS: Final = re.compile(r"(?:\+?1[ .-]?)?\(?([2-9][0-9]{2})\)?[ .-]?([0-9]{3})[ .-]?([0-9]{4})")
_BLOCK: Final = re.compile(r"\+1[2-9][0-9]{9}")
_BLOCK_DIGITS: Final = 3


class Allotment(NamedTuple):
    """What a number is allotted for.

    Attributes:
        country: ISO 3166; `001`: a range that belongs to no country; None: unknown.
        kind: a `PhoneNumberType`; UNKNOWN: not a valid number.
    """

    country: str | None
    kind: int

    @property
    def valid(self) -> bool:
        return self.kind != PhoneNumberType.UNKNOWN


def e164_of(text: str, region: str) -> str | None:
    """The E.164 form of a number as people write it, valid or not; None: it is not a number.

    Args:
        region: ISO 3166 country of a number without a country code.
    """
    if region in _NORTH_AMERICAN or text.startswith("+"):
        match = _TEN_DIGITS.fullmatch(text)
        if match is not None:
            return f"+1{match[1]}{match[2]}{match[3]}"
    try:
        return phonenumbers.format_number(phonenumbers.parse(text, region), PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        return None


def allotment_of(e164: str) -> Allotment | None:
    """The allotment of a number in E.164; None: it is not a number."""
    if _BLOCK.fullmatch(e164) is not None:
        return _block(e164[2:-_BLOCK_DIGITS])
    return _elsewhere(e164)


@lru_cache(maxsize=16384)  # 4 MB; a state has some ten thousand blocks in use
def _block(first_digits: str) -> Allotment:
    """A thousand North American numbers."""
    any_of_them = int(first_digits) * 10**_BLOCK_DIGITS
    return _asked(phonenumbers.PhoneNumber(country_code=_NORTH_AMERICA, national_number=any_of_them))


@lru_cache(maxsize=4096)
def _elsewhere(e164: str) -> Allotment | None:
    try:
        return _asked(phonenumbers.parse(e164, None))
    except phonenumbers.NumberParseException:
        return None


def _asked(number: phonenumbers.PhoneNumber) -> Allotment:
    return Allotment(phonenumbers.region_code_for_number(number), phonenumbers.number_type(number))
