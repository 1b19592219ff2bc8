"""Who may be texted: every reason, and the order in which they are asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.recipients import Allowed, NumberRules, may_text
from parser.phone_number import PhoneKind, PhoneNumber
from scheduler.sms import Reason
from tests.notifier.samples import PATIENT

PRODUCTION = NumberRules(kind="production", consented=True, approved=True)
TEST = NumberRules(kind="test", consented=True, approved=True)


def verdict(digits: str, kind: PhoneKind = "unknown", rules: NumberRules = PRODUCTION) -> Allowed | Reason:
    return may_text(PhoneNumber(digits, kind), None, rules)


@pytest.mark.parametrize("digits", ["+12025550143", "+14165550143", "+12045550143"])
def test_us_and_canadian_numbers_are_texted(digits: str) -> None:
    assert verdict(digits) == Allowed(PhoneNumber(digits))


@pytest.mark.parametrize(
    ("digits", "reason"),
    [
        ("+19005550143", Reason.INVALID_PHONE),  # premium: d12
        ("+18005550143", Reason.INVALID_PHONE),  # toll-free
        ("+18335550143", Reason.INVALID_PHONE),
        ("+15005550143", Reason.INVALID_PHONE),  # personal number
        ("+12005550143", Reason.INVALID_PHONE),  # no such area code
        ("+1202555014", Reason.INVALID_PHONE),
        ("+120255501433", Reason.INVALID_PHONE),
        ("+12025550143x12", Reason.INVALID_PHONE),
        ("+12025550143;ext=9", Reason.INVALID_PHONE),
        ("2025550143", Reason.INVALID_PHONE),
        ("", Reason.INVALID_PHONE),
        ("+88165550143", Reason.COUNTRY_NOT_ALLOWED),  # satellite
        ("+88216555010", Reason.COUNTRY_NOT_ALLOWED),
        ("+88216555014", Reason.COUNTRY_NOT_ALLOWED),
        ("+87055501430", Reason.COUNTRY_NOT_ALLOWED),
        ("+97955501430", Reason.COUNTRY_NOT_ALLOWED),  # international premium
        ("+442079460143", Reason.COUNTRY_NOT_ALLOWED),
        ("+18095550143", Reason.COUNTRY_NOT_ALLOWED),  # Dominican Republic, though it begins with +1
        ("+12425550143", Reason.COUNTRY_NOT_ALLOWED),  # Bahamas
        ("+17875550143", Reason.COUNTRY_NOT_ALLOWED),  # Puerto Rico is a country code of its own here
    ],
)
def test_other_ranges_are_refused(digits: str, reason: Reason) -> None:
    assert verdict(digits) is reason


def test_satellite_and_premium_stay_refused_whatever_countries_are_listed() -> None:
    anywhere = replace(PRODUCTION, countries=frozenset({"US", "GB", "PR", "001"}))
    assert verdict("+88216555010", rules=anywhere) is Reason.COUNTRY_NOT_ALLOWED
    assert verdict("+19005550143", rules=anywhere) is Reason.INVALID_PHONE
    assert verdict("+449098790143", rules=anywhere) is Reason.INVALID_PHONE  # premium, from the range kept for drama
    assert verdict("+17875550143", rules=anywhere) == Allowed(PhoneNumber("+17875550143"))


@pytest.mark.parametrize(
    ("digits", "kind", "landline", "allowed"),
    [
        ("+12025550143", "landline", "skip", False),
        ("+12025550143", "landline", "try", True),
        ("+12025550143", "unknown", "skip", True),  # the US plan does not tell landlines from mobiles
        ("+12025550143", "mobile", "skip", True),
        ("+442079460143", "unknown", "skip", False),  # the British plan does
        ("+442079460143", "unknown", "try", True),
    ],
)
def test_landlines(digits: str, kind: PhoneKind, landline: str, allowed: bool) -> None:
    rules = NumberRules(
        kind="production",
        consented=True,
        approved=True,
        countries=frozenset({"US", "GB"}),
        landline="skip" if landline == "skip" else "try",
    )
    phone = PhoneNumber(digits, kind)
    assert may_text(phone, None, rules) == (Allowed(phone) if allowed else Reason.LANDLINE)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (None, Reason.NO_PHONE),
        ("no_phone", Reason.NO_PHONE),
        ("invalid_phone", Reason.INVALID_PHONE),
        ("landline", Reason.LANDLINE),
        ("purged", Reason.PURGED),
        ("something new", Reason.NO_PHONE),
    ],
)
def test_without_a_number_its_fault_is_the_reason(fault: str | None, reason: Reason) -> None:
    assert may_text(None, fault, PRODUCTION) is reason


def test_consent_and_approval_come_first() -> None:
    assert may_text(None, None, replace(PRODUCTION, consented=False)) is Reason.NO_CONSENT
    assert may_text(None, None, replace(PRODUCTION, approved=False)) is Reason.NOT_APPROVED
    assert may_text(PATIENT, None, PRODUCTION, consent=False) is Reason.NO_CONSENT
    assert may_text(PATIENT, None, PRODUCTION, consent=True) == Allowed(PATIENT)
    assert may_text(PATIENT, None, NumberRules(kind="production")) is Reason.NO_CONSENT


def test_a_test_environment_texts_its_allow_list_alone() -> None:
    listed = replace(TEST, allow_list=frozenset({"+12025550143"}))
    assert may_text(PATIENT, None, listed) == Allowed(PATIENT)
    assert verdict("+12025550144", rules=listed) is Reason.NOT_ALLOW_LISTED
    assert verdict("+12025550143", rules=TEST) is Reason.NOT_ALLOW_LISTED
    assert verdict("+12025550143", rules=replace(TEST, allow_list=frozenset())) is Reason.NOT_ALLOW_LISTED


def test_a_production_environment_may_be_limited_too() -> None:
    assert (
        verdict("+12025550144", rules=replace(PRODUCTION, allow_list=frozenset({"+12025550143"})))
        is Reason.NOT_ALLOW_LISTED
    )


def test_force_to_takes_every_text_that_passes_the_other_rules() -> None:
    forced = replace(TEST, force_to=PhoneNumber("+12025550199"))
    assert verdict("+12025550144", rules=forced) == Allowed(PhoneNumber("+12025550199"))
    assert verdict("+19005550143", rules=forced) is Reason.INVALID_PHONE
    assert may_text(None, None, forced) is Reason.NO_PHONE


def test_a_verdict_shows_no_digits() -> None:
    assert "2025550143" not in repr(may_text(PATIENT, None, PRODUCTION))
