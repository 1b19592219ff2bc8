"""parser/phone_choice.py: numbers in every component, what speaks against a repetition, and who comes first.

The corpus (guides/phones.yaml) has the forms one by one; here are the rules that tie them together.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parser.er7 import Message
from parser.event import FORGET, BadPhone, UnreadablePhone
from parser.evidence import Trace
from parser.phone_choice import PhoneFinding, find_phone, read_number
from parser.phone_number import PhoneNumber
from parser.timestamps import Clocks
from tests.parser.reading import rules

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
CLOCKS = Clocks.of(NOW, None, None, "America/Chicago")
PLACEHOLDERS = (
    "0",
    "000",
    "00000",
    "0-0",
    "N/A",
    "n/a",
    "NA",
    "NONE",
    "NULL",
    "-",
    "x0",
    "x",
    "ext. 0",
    "Ext:",
    "\uff10",
)
CELL = "(202)555-0143^PRN^CP"


def find(home: str, business: str = "", telecom: str = "", trace: Trace | None = None, **sms: Any) -> PhoneFinding:
    fields = [""] * 41
    fields[0], fields[13], fields[14], fields[40] = "PID", home, business, telecom
    message = Message("MSH|^~\\&|A\r" + "|".join(fields) + "\r")
    return find_phone(message, rules(**sms).phones, CLOCKS, NOW, trace)


def e164(finding: PhoneFinding) -> str:
    assert isinstance(finding.phone, PhoneNumber), finding.phone
    return finding.phone.e164()


@pytest.mark.parametrize(
    "xtn",
    [
        "^PRN^CP^^^^^^^^^+12025550143",
        "^PRN^CP^^^^^^^^^(202) 555-0143",
        "^PRN^CP^202.555.0143",
        "^PRN^CP^^1^202^5550143",
        "^PRN^CP^^+1^202^555-0143",
        "^PRN^CP^^001^202^5550143",
        "^PRN^CP^^^202^5550143",
        "^PRN^CP^^^^2025550143",
        "(202)555-0143^PRN^CP",
        "1 202 555 0143^PRN^CP",
        "+1-202-555-0143^PRN^CP",
        "2025550143C call after five^PRN^CP",
        "202-555-0143 mobile^PRN^CP",
        "^PRN^CP^^^^^2025550143",
        "999^PRN^CP^^1^202^5550143",
        '""^PRN^CP^^1^202^5550143',
        "not given^PRN^CP^alex@test.example^1^202^5550143",
        "^PRN^CP^alex2025550150@test.example^1^202^5550143",
        "^PRN^CP^^1^202^5550143^^^^^ID12345678",
        "id 1234567 x9^PRN^CP^^1^202^5550143",
        # whole in a component that is made for a part
        "^PRN^CP^^1^2025550143",
        "^PRN^CP^^^2025550143",
        "^PRN^CP^^^+12025550143",
        "^PRN^CP^^1^202^2025550143",
        "^PRN^CP^^1^^+1 (202) 555-0143",
        "^PRN^CP^^1^^12025550143",
        "^PRN^CP^^1^2025550143^5550143",
        "^PRN^CP^^+12025550143",
        "^PRN^CP^^001^(202)^555-0143",
        "^PRN^CP^^USA^202^5550143",
        "2025550143^PRN\u200e^\ufeffCP",
        # a placeholder is no extension
        *(
            f"^PRN^CP^^1^202^5550143^{placeholder}"
            for placeholder in ("0", "000", "00000", "N/A", "n/a", "NONE", "-", "x0", "ext. 0")
        ),
        "2025550143x0^PRN^CP",
        "(202)555-0143 ext. 000^PRN^CP",
        "2025550143 ext N/A^PRN^CP",
        *(
            f"^PRN^CP^^1^202^5550143^^{text}"
            for text in ("Y", "N", "No", "yes", "N/A", "call after five", "preferred", "x" * 5000)
        ),
    ],
)
def test_a_number_in_any_component(xtn: str) -> None:
    finding = find(xtn)
    assert (e164(finding), finding.field) == ("+12025550143", "PID-13[1]")


@pytest.mark.parametrize(
    "xtn",
    [
        "(202)555-0143x12^PRN^CP",
        "(202)555-0143 ext. 12^PRN^CP",
        "+1 (202) 555-0143;ext=9",
        "tel:+12025550143;ext=9^PRN^CP",
        "^PRN^CP^^1^202^5550143^77",
        "(202)555-0143B12345^PRN^CP",
        "(202)555-0143 mother^PRN^CP",
        "5550143^PRN^CP",
        "000-000-0000^PRN^CP",
        "9999999999^PRN^CP",
        "1111111111",
        "NONE",
        "alex@test.example^NET^Internet",
        "^NET^X.400^alex@test.example",
        "2025550143^PRN^FX",
        "2025550143^BPN^BP",
        "2025550143^PRN^TDD",
        "2025550143^ASN^CP",
        "2025550143^EMR^CP",
        "^PRN^CP^^1^800^5550143",
        "Fax 2025550143^PRN^PH",
        "Fax 2025550143^PRN^CP^^1^202^5550143",
        "2025550143 fax^PRN^PH",
        "2025550143^PRN^Fax Number",
        "Mom 2025550143^PRN^CP",
        "No text 2025550143^PRN^CP",
        "202-555-0143 or 202-555-0150^PRN^CP",
        "2" * 5000,
        "2025550143^PRN^CP^^^^^^DO NOT TEXT",  # XTN.9 is free text
        "^PRN^CP^^1^202^5550143^^no texts please",
        "^PRN^CP^^1^202^5550143^^mother's",
        "^PRN^CP^^1^202^5550143^mother",  # XTN.8 without digits, or too long to be dialled, is a remark
        "^PRN^CP^^1^202^5550143^do not text",
        "^PRN^CP^^1^202^5550143^ask the ward on floor 3 and do not send any text messages",
        # one component speaks against the number that another one holds
        "202-555-0143 do not text^PRN^CP^^1^202^5550143",
        "202-555-0143 x12^PRN^CP^^1^202^5550143",
        "202-555-0143 mother^PRN^CP^^^^^^^^^+12025550143",
    ],
)
def test_what_cannot_be_texted(xtn: str) -> None:
    finding = find(xtn)
    assert finding.phone == UnreadablePhone()
    assert [warning.code for warning in finding.warnings] == ["PHONE_UNUSABLE"]


@pytest.mark.parametrize("use", ["MOBILE", "M", "MC", "C", "CELL", "Cell", "mobile"])
@pytest.mark.parametrize("component", [2, 3, 4])
def test_a_local_word_for_a_mobile_wins_from_any_of_three_components(use: str, component: int) -> None:
    codes = {2: "PRN", 3: "PH", 4: ""} | {component: use}
    finding = find(f"2025550150^PRN^PH~2025550143^{codes[2]}^{codes[3]}^{codes[4]}")
    assert e164(finding) == "+12025550143"


def test_a_word_beside_the_number_counts_from_any_component() -> None:
    assert e164(find("2025550150^PRN^PH~Cell: 202-555-0143^PRN^PH^^1^202^5550143")) == "+12025550143"
    assert (
        e164(find("2025550150^PRN^PH~Cell: 202-555-0144^PRN^PH^^1^202^5550143")) == "+12025550150"
    )  # of another number


RANKED = [
    "2025550141^PRN^CP" + "^" * 15 + "1",  # a mobile, preferred
    "2025550142^PRN^CP^^^^^^Y",
    "2025550143^WPN^CP",
    "+447911123456^PRN^PH",  # the plan knows it as a mobile
    "2025550144^PRN^PH" + "^" * 15 + "1",
    "2025550145^PRN^PH",
    "+442079460100^PRN^PH",  # the plan knows it as a landline, whatever its code
]


@given(st.permutations(range(len(RANKED))), st.integers(1, len(RANKED)))
def test_rank_beats_position(order: list[int], count: int) -> None:
    """Whatever the order in the field, the best rank wins; RANKED is best first."""
    chosen = order[:count]
    countries = ["US", "GB", "GG"]
    finding = find("~".join(RANKED[index] for index in chosen), countries=countries)
    alone = find(RANKED[min(chosen)], countries=countries)
    assert e164(finding) == e164(alone)


def test_within_one_rank_the_order_of_fields_decides_and_pid_40_comes_first() -> None:
    assert e164(find("2025550141^PRN^CP", "2025550142^WPN^CP", "2025550143^PRN^CP")) == "+12025550143"
    assert find("2025550141^PRN^CP~2025550142^PRN^CP").field == "PID-13[1]"


@pytest.mark.parametrize(
    ("policy", "xtn", "expected"),
    [
        ("try", "2025550143^PRN^PH", "landline"),
        ("skip", "2025550143^PRN^PH", None),
        ("skip", "2025550143^PRN", "unknown"),  # US plans do not tell: not known to be a landline
        ("skip", CELL, "mobile"),
        ("try", "+442079460100^PRN^CP", "landline"),  # the plan knows better than the code
        ("skip", "+442079460100^PRN^CP", None),
    ],
)
def test_landlines_are_tried_or_skipped(policy: str, xtn: str, expected: str | None) -> None:
    finding = find(xtn, landline=policy)
    if expected is None:
        assert finding.phone == BadPhone(reason="landline")
    else:
        assert isinstance(finding.phone, PhoneNumber)
        assert finding.phone.kind == expected


def test_under_skip_a_landline_does_not_hide_a_line_of_unknown_kind() -> None:
    assert e164(find("2025550150^PRN^PH~2025550143^PRN", landline="skip")) == "+12025550143"


@pytest.mark.parametrize(
    ("home", "business", "expected"),
    [
        ("", "", None),
        ('""', "", FORGET),
        ('""^PRN^CP', "", FORGET),
        ('""', '""', FORGET),
        ('""', "2025550150^WPN^PH", FORGET),  # the work line says nothing about the number that was deleted
        ('""~UNKNOWN', "", FORGET),
        ('""~2025550150^PRN^CP^^^^^^^^^^^20250101', "", BadPhone(reason="invalid_phone")),
        ("2025550150^PRN^CP^^^^^^^^^^^20250101", "", BadPhone(reason="invalid_phone")),
        ("2025550150^PRN^CP^^^^^^^^^^^^^UL", "", BadPhone(reason="invalid_phone")),
        ("UNKNOWN", "", UnreadablePhone()),
        ("alex@test.example^NET^Internet~9999999999^PRN^PH", "", UnreadablePhone()),
        ("", '""', None),
        ("", "2025550150^WPN^PH", None),
        ("~~", "", None),
        ('""^PRN^CP^^1^202', "", FORGET),
    ],
)
def test_silence_deletion_and_the_business_number(home: str, business: str, expected: object) -> None:
    assert find(home, business).phone == expected


CONDEMNATIONS = [
    "202-555-0143 DO NOT TEXT^PRN^CP",
    "202-555-0143 no texts please^PRN^CP",
    "202-555-0143 (text: N)^PRN^CP",
    "202-555-0143 mother^PRN^PH",
    "202-555-0143 x12^PRN^PH",
    "Fax 202-555-0143",
    "^PRN^FX^^1^202^5550143",
    "^ASN^PH^^1^202^5550143",
    "^PRN^PH^^1^202^5550143^12",
    "^PRN^PH^^1^202^5550143^^landline, no text",
    "202-555-0143 do not text^PRN^CP^^1^202^5550150",  # of another number than the one that counts here
]


@pytest.mark.parametrize("condemnation", CONDEMNATIONS)
def test_a_number_that_one_repetition_forbids_is_offered_by_no_other(condemnation: str) -> None:
    """Whichever comes first; another number stands."""
    spoken_against = PhoneNumber("+12025550143")
    for home, business in (
        (f"{condemnation}~2025550143^PRN^CP", ""),
        (f"2025550143^PRN^CP~{condemnation}", ""),
        ("2025550143^PRN^CP", condemnation),
    ):
        for more, expected in (("", None), ("~2025550144^PRN^PH", "+12025550144")):
            trace = Trace()
            finding = find(home + more, business, trace=trace)
            assert spoken_against in finding.condemned_phones
            chosen = finding.phone.e164() if isinstance(finding.phone, PhoneNumber) else None
            assert chosen == ("+12025550150" if "0150" in condemnation else expected)
            if chosen is None:
                assert isinstance(finding.phone, UnreadablePhone)
            [why] = [row.why_not for row in finding.candidates if row.why_not and "not to be used" in row.why_not]
            assert why.startswith("is not to be used, as PID-1")
    assert find("", condemnation).condemned_phones == {spoken_against}
    assert "5550143" not in repr(find(condemnation))


@pytest.mark.parametrize(
    "xtn",
    [
        "UNKNOWN",
        "",
        '""',
        "9999999999^PRN^FX",
        "555-0143 do not text",
        "202-555-0143 or 202-555-0150^PRN^CP",
        CELL,
        "2025550143^PRN^CP^^^^^^^^^^^20250101",
        "2025550143^WPN^PH",
        "alex@test.example^NET^Internet",
    ],
)
def test_what_speaks_against_no_number(xtn: str) -> None:
    """Junk, two numbers in one text, an entry that has expired, and a work line, which may be the patient's mobile as well."""
    assert find(xtn).condemned_phones == frozenset()
    if xtn != CELL:
        assert e164(find(f"{xtn}~{CELL}")) == "+12025550143"


def test_expiry_counts_from_the_moment_of_receipt() -> None:
    """A date is over when its day is over in the clinic's zone; 2 March in Chicago ends at 06:00Z on the 3rd."""
    for expiry, usable in (
        ("20260302", True),
        ("20260301", False),
        ("202603020900", False),
        ("202603020901", True),
        ("x", True),
    ):
        assert isinstance(find(f"2025550143^PRN^CP{'^' * 11}{expiry}").phone, PhoneNumber) is usable


def test_twenty_repetitions_are_looked_at() -> None:
    assert find("~" * 19 + CELL).field == "PID-13[20]"
    assert find("~" * 20 + CELL).phone is None
    assert [warning.code for warning in find("~" * 20 + CELL).warnings] == ["PHONE_REPETITIONS"]


def test_a_national_number_belongs_to_the_first_country() -> None:
    assert e164(find("07911 123456^PRN^CP", countries=["GB", "US"])) == "+447911123456"
    assert isinstance(find("07911 123456^PRN^CP", countries=["US", "GB"]).phone, UnreadablePhone)


ABROAD = ["+61491570156^PRN^CP", "+447911123456^PRN^CP", "+17875550143^PRN^CP", "+13065550143^PRN^CP^^^^^^Y"]


@pytest.mark.parametrize("first", ABROAD)
def test_a_number_of_a_country_that_is_not_texted_hides_none_that_is(first: str) -> None:
    for home in (f"{first}~2025550143^PRN^CP", f"{first}~2025550143^PRN^PH", f"{first}~~FAX~2025550143"):
        trace = Trace()
        finding = find(home, trace=trace, countries=["US"])
        assert e164(finding) == "+12025550143"
        [why] = [candidate.why_not for candidate in finding.candidates if candidate.field == "PID-13[1]"]
        assert why is not None
        assert why.startswith(f"{finding.field} may be texted, a number of ")
        assert why.endswith(" may not (sms.countries: US)")


@pytest.mark.parametrize("first", ABROAD)
def test_a_number_abroad_is_still_the_patients_where_there_is_no_other(first: str) -> None:
    """Who may be texted is asked later; the silence then says `country_not_allowed`, and a changed configuration is obeyed."""
    assert e164(find(f"FAX~{first}", countries=["US"])) == first.partition("^")[0]


ANY = st.text(st.sampled_from('0123456789+()-. ^~&\\xXCP"NRMB') | st.characters(codec="utf-8"), max_size=80)


@settings(max_examples=300)
@given(ANY, ANY, ANY)
def test_no_text_breaks_it_and_no_digits_leave_it(home: str, business: str, telecom: str) -> None:
    texts = [text.replace("|", "").replace("\r", "") for text in (home, business, telecom)]
    trace = Trace()
    traced = find(texts[0], texts[1], texts[2], trace)
    assert traced.phone == find(texts[0], texts[1], texts[2]).phone
    for candidate in traced.candidates:
        assert candidate.value in ("", '""', "***") or (candidate.value[:3] == "***" and len(candidate.value) == 7)
    if isinstance(traced.phone, PhoneNumber):
        assert traced.phone.e164() not in repr(traced)
        assert phonenumbers.is_valid_number(phonenumbers.parse(traced.phone.e164(), None))


@given(st.from_regex(r"(\+?1[ -]?)?\(?[2-9][0-9]{2}\)?[ -]?555-?01[0-9]{2}", fullmatch=True))
def test_north_american_spellings_are_what_phonenumbers_says(text: str) -> None:
    number = phonenumbers.parse(text, "US")
    reading = read_number(text, "US")
    valid = phonenumbers.is_valid_number(number)
    line = phonenumbers.number_type(number) in (
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE,
        phonenumbers.PhoneNumberType.VOIP,  # +1 600
    )
    expected = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if valid and line else None
    assert reading.e164 == expected
