"""A number that is typed to look for it."""

from __future__ import annotations

import pytest

from parser.typed_phone import numbers_meant


@pytest.mark.parametrize(
    "written", ["2025550143", "202 555 0143", "(202) 555-0143", "202.555.0143", "1 202 555 0143", "+1 202 555 0143"]
)
def test_a_number_may_lack_its_country_code(written: str) -> None:
    assert [number.e164() for number in numbers_meant(written, ["US"])] == ["+12025550143"]


def test_each_country_reads_it_in_its_own_way() -> None:
    assert [number.e164() for number in numbers_meant("07400 123456", ["US", "GB"])] == ["+447400123456"]
    assert [number.e164() for number in numbers_meant("2025550143", ["US", "CA"])] == ["+12025550143"]


@pytest.mark.parametrize("written", ["4711", "A2025550143", "0125550143", "555-0143", "20255501431234", "", "+1 303"])
def test_what_is_valid_nowhere_is_no_number(written: str) -> None:
    assert numbers_meant(written, ["US"]) == []
