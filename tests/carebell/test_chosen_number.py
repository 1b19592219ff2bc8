"""Whoever reads a message and whoever permits a text agree: the number chosen is one that may be texted, wherever there is one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from notifier.recipients import Allowed, NumberRules, may_text
from parser.event import BadPhone, UnreadablePhone
from parser.phone_number import PhoneNumber
from tests.parser.test_phone_choice import find

COUNTRIES = ("US", "CA", "PR", "GB", "AU", "DE")
NUMBERS = (
    "2025550143", "+12025550144", "+17875550143", "+13065550143", "+61491570156", "+447911123456", "+442079460100",
    "+4915112345678", "+8816555501", "+18005550143", "+19005550143", "9999999999", "UNKNOWN", "2025550145x12", "Fax 2025550146",
    "Cell: 2025550147",
)  # fmt: skip
CODES = (
    "",
    "^PRN^CP",
    "^PRN^PH",
    "^WPN^PH",
    "^PRN^FX",
    "^PRN^CP" + "^" * 15 + "1",
    "^ORN^PH^^^^^^Y",
    "^PRN^CP" + "^" * 13 + "UL",
)
repetitions = st.lists(st.tuples(st.sampled_from(NUMBERS), st.sampled_from(CODES)).map("".join), min_size=1, max_size=6)


@given(
    repetitions,
    st.lists(st.sampled_from(COUNTRIES), min_size=1, max_size=3, unique=True),
    st.sampled_from(("try", "skip")),
)
def test_the_number_chosen_may_be_texted_if_any_may(telephones: list[str], countries: list[str], landline: str) -> None:
    rules = NumberRules(
        kind="production", countries=frozenset(countries), landline="try" if landline == "try" else "skip", consented=True,
        approved=True,
    )  # fmt: skip

    condemned = find("~".join(telephones), countries=countries, landline=landline).condemned_phones

    def allowed(home: str) -> bool:
        phone = find(home, countries=countries, landline=landline).phone
        if isinstance(phone, PhoneNumber) and any(phone.same_digits(number) for number in condemned):
            return False  # another repetition forbids it
        fault = phone.reason if isinstance(phone, BadPhone | UnreadablePhone) else None
        return isinstance(may_text(phone if isinstance(phone, PhoneNumber) else None, fault, rules), Allowed)

    assert allowed("~".join(telephones)) == any(allowed(telephone) for telephone in telephones)
