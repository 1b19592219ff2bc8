"""parser/numbering_plans.py says what `phonenumbers` says, one number at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberFormat

from parser.numbering_plans import Allotment, allotment_of, e164_of

NORTH_AMERICA = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1]
KINDS = (
    "general_desc", "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip",
    "pager", "uan", "voicemail",
)  # fmt: skip


def asked(e164: str) -> Allotment | None:
    try:
        number = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return None
    assert phonenumbers.is_valid_number(number) == (
        phonenumbers.number_type(number) != phonenumbers.PhoneNumberType.UNKNOWN
    )
    return Allotment(phonenumbers.region_code_for_number(number), phonenumbers.number_type(number))


def written(text: str, region: str) -> str | None:
    try:
        return phonenumbers.format_number(phonenumbers.parse(text, region), PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        return None


def alternatives(pattern: str) -> Iterator[str]:
    """The alternatives of a pattern's top level."""
    depth, begin, in_class = 0, 0, False
    for at, character in enumerate(pattern):
        in_class = character == "[" or (in_class and character != "]")
        depth += 0 if in_class else (character == "(") - (character == ")")
        if character == "|" and depth == 0 and not in_class:
            yield pattern[begin:at]
            begin = at + 1
    yield pattern[begin:]


@pytest.mark.parametrize("region", NORTH_AMERICA)
def test_the_last_three_digits_decide_nothing_in_north_america(region: str) -> None:
    metadata = PhoneMetadata.metadata_for_region(region)
    assert metadata is not None
    patterns = [getattr(getattr(metadata, kind), "national_number_pattern", None) for kind in KINDS]
    endings = [
        re.search(r"\\d\{([0-9])\}$", alternative)
        for pattern in patterns
        if pattern
        for alternative in alternatives(pattern)
    ]
    assert endings
    assert all(ending is not None and int(ending[1]) >= 3 for ending in endings)


@given(st.from_regex(r"\+1[0-9]{9,11}|\+1[2-9][0-9]{2}5550[0-9]{3}|\+[1-9][0-9]{6,14}", fullmatch=True))
def test_a_number_is_allotted_as_the_tables_say(e164: str) -> None:
    assert allotment_of(e164) == asked(e164)


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_countrys_numbers_are_allotted_as_the_tables_say(region: str) -> None:
    example = phonenumbers.example_number(region)
    assert example is not None
    e164 = phonenumbers.format_number(example, PhoneNumberFormat.E164)
    assert allotment_of(e164) == asked(e164)


@given(
    st.from_regex(r"(\+?1[ .-]?)?\(?[0-9]{3}\)?[ .-]?[0-9]{3}[ .-]?[0-9]{4}|\+?[0-9() ./-]{7,20}", fullmatch=True),
    st.sampled_from(sorted({*NORTH_AMERICA, "GB", "DE", "MX", "IT"})),
)
def test_a_text_is_read_as_phonenumbers_reads_it(text: str, region: str) -> None:
    assert e164_of(text, region) == written(text, region)
