"""A number that a person types."""

from __future__ import annotations

import pytest

from parser.phone_number import typed_number


@pytest.mark.parametrize(
    "written", ["+12025550143", " +1 202 555 0143 ", "+1 (202) 555-0143", "+1.202.555.0143", "+1\u00a0202\u00a05550143"]
)
def test_separators_do_not_matter(written: str) -> None:
    phone = typed_number(written)
    assert phone is not None
    assert phone.e164() == "+12025550143"


@pytest.mark.parametrize(
    "written", ["", "2025550143", "+1", "+1202555014300000", "+1202555O143", "++12025550143", "+١٢٣٤٥٦٧٨"]
)
def test_what_is_no_number(written: str) -> None:
    assert typed_number(written) is None
