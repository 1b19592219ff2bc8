"""Who may be texted: consent, the number itself, its range and country, and a test environment's limits; pure.

The rules are checked in order, and the first that refuses gives the reason (sms.md, Numbers). The claim checks opt-outs, caps and
the appointment's state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from phonenumbers import PhoneNumberType

from parser.numbering_plans import allotment_of
from parser.phone_number import PhoneNumber
from scheduler.sms import Reason

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
# Satellite networks and other numbers without a country (ITU-T E.164 +870 +878 +88x, +979 premium): each text costs dollars.
_NO_COUNTRY: Final = re.compile(r"\+(?:87|88|979)")
# Ranges that are never a patient's mobile, whatever the sender says; some are charged to the sender of a text.
_NO_PERSON: Final = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,  # +1 900
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.UAN,
        PhoneNumberType.PAGER,
        PhoneNumberType.VOICEMAIL,
        PhoneNumberType.PERSONAL_NUMBER,  # follow-me: +1 500
    }
)
_FAULTS: Final = {
    "no_phone": Reason.NO_PHONE,
    "invalid_phone": Reason.INVALID_PHONE,
    "landline": Reason.LANDLINE,
    "purged": Reason.PURGED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRules:
    """One environment's rules.

    Attributes:
        kind: a test environment texts only its allow list, or sends everything to `force_to`.
        countries: ISO 3166 codes; US does not include Puerto Rico (PR) and the other territories.
        landline: whether to try numbers known to be landlines. US and Canadian plans do not say; those numbers are always tried.
        allow_list: E.164 numbers; None: no such limit.
        force_to: E.164; texts that pass every other rule are sent there instead.
        consented: both consent switches are on.
        approved: production sends only after approval.
    """

    kind: Literal["production", "test"]
    countries: frozenset[str] = frozenset({"US", "CA"})
    landline: Literal["try", "skip"] = "try"
    allow_list: frozenset[str] | None = None
    force_to: PhoneNumber | None = None
    consented: bool = False
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Allowed:
    """A text may be sent to the number `to` (the patient's, or `force_to`)."""

    to: PhoneNumber


def may_text(
    phone: PhoneNumber | None, fault: str | None, rules: NumberRules, consent: bool | None = None
) -> Allowed | Reason:
    """Whether the patient's number may be texted, and the number to send to; otherwise the first reason against it.

    Args:
        phone: None: there is no usable one; `fault` says why.
        fault: no_phone, invalid_phone, landline or purged; anything else counts as no_phone.
        consent: the patient's own, if the message carries it; False refuses, None: only the switches decide.
    """
    if not rules.consented or consent is False:
        return Reason.NO_CONSENT
    if not rules.approved:
        return Reason.NOT_APPROVED
    if phone is None:
        return _FAULTS.get(fault or "no_phone", Reason.NO_PHONE)
    against = _number_reason(phone, rules)
    if against is not None:
        return against
    if rules.force_to is not None:
        return Allowed(rules.force_to)
    if rules.allow_list is None:
        return Allowed(phone) if rules.kind == "production" else Reason.NOT_ALLOW_LISTED
    return Allowed(phone) if phone.e164() in rules.allow_list else Reason.NOT_ALLOW_LISTED


def _number_reason(phone: PhoneNumber, rules: NumberRules) -> Reason | None:
    e164 = phone.e164()
    allotment = allotment_of(e164) if _E164.fullmatch(e164) is not None else None
    if allotment is None:
        return Reason.INVALID_PHONE
    of_no_country = _NO_COUNTRY.match(e164) is not None
    if allotment.country in (None, "001") and not allotment.valid and not of_no_country:
        return Reason.INVALID_PHONE  # an unassigned area code is a typing error, not a foreign country
    if of_no_country or allotment.country not in rules.countries:
        return Reason.COUNTRY_NOT_ALLOWED
    if not allotment.valid or allotment.kind in _NO_PERSON:
        return Reason.INVALID_PHONE
    known_landline = phone.kind == "landline" or allotment.kind == PhoneNumberType.FIXED_LINE
    return Reason.LANDLINE if known_landline and rules.landline == "skip" else None
