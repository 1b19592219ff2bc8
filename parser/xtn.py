"""Which of a message's telephone fields is the patient's mobile: XTN (HL7 v2.9 chapter 2A, 2A.3.91) as senders fill it.

Every repetition of the map's fields is looked at, at most 20 a field. A number may stand in XTN.12, .4, .5 to .7, .1 or .8;
the first of these that is a valid number counts. What then speaks against a repetition is said in its offer: expired
(XTN.14), protected (XTN.16), an extension, a fax. Of the rest:

1. what the sender calls a mobile (`CP` or a local word in XTN.2, .3 or .4), unless the numbering plan knows it as a landline;
2. what the numbering plan knows as a mobile;
3. the patient's own line where the plan cannot tell (US and Canada);
4. a landline that is the patient's own: some can be texted;

within these XTN.18 (order of preference), then XTN.9 `Y`, then the order of the fields. Digits never leave this module but
inside a `PhoneNumber`; traces get the last four.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from phonenumbers import PhoneNumberType

from parser.er7 import MAX_REPETITIONS, Field, Message, Place
from parser.event import FORGET, BadPhone, Candidate, GivenPhone, ParseWarning
from parser.evidence import DELETED, EMPTY, Offer, Trace, choose
from parser.numbering import allotment_of, e164_of
from parser.oddity import Oddity, warning
from parser.phone import PhoneKind, PhoneNumber
from parser.when import Clocks, read_timestamp

LANDLINE: Final = "a landline, and the environment skips those"
_EXTENSION: Final = "an extension cannot be texted"
_LEAST_DIGITS: Final = 7
_MAX_TEXT: Final = 64  # the longest sensible spelling of 15 digits, with room for a remark
_UNRANKED_PREFERENCE: Final = 1000

_SPELLING: Final = re.compile(r"\s*(?P<number>\+?[0-9(][0-9()\s./-]*)(?P<rest>.*)", re.DOTALL)
# TN (2A.3.79): [NN] [(999)]999-9999[X99999][B99999][C any text]
_REMARK: Final = re.compile(r"c|m(obile)?\b", re.IGNORECASE)
_DIGIT: Final = re.compile("[0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneRules:
    """A field map's phone section and the environment's wishes, ready for use; codes in small letters.

    Attributes:
        region: ISO 3166 country of numbers written without a country code.
    """

    fields: tuple[str, ...]
    business_fields: tuple[str, ...]
    cell: frozenset[str]
    personal: frozenset[str]
    landline: frozenset[str]
    never: frozenset[str]
    region: str
    skip_landlines: bool


Plan = Literal["mobile", "landline", "either", "other"]


class Reading(NamedTuple):
    """A text read as a telephone number.

    Attributes:
        e164: None: it is none, and `fault` says why.
        plan: what the numbering plan knows.
        final: the fault condemns the whole repetition, not just this spelling of the number.
    """

    e164: str | None
    plan: Plan = "other"
    fault: str | None = None
    final: bool = False


class Ranked(NamedTuple):
    """A usable telephone and its place in the order: rank, preference, not marked Y, position."""

    order: tuple[int, int, bool, int]
    phone: PhoneNumber


class PhoneFinding(NamedTuple):
    """What the message says about the patient's telephone; `phone` as in `SchedulingEvent`."""

    phone: GivenPhone
    field: str | None
    candidates: tuple[Candidate, ...]
    warnings: tuple[ParseWarning, ...]


def find_phone(
    message: Message, rules: PhoneRules, clocks: Clocks, now: datetime, trace: Trace | None = None
) -> PhoneFinding:
    """The best of the message's telephones.

    Args:
        clocks: for XTN.14, when a number expires.
        now: aware; what has expired by then is out of use.
        trace: None: the candidates are not wanted.
    """
    offers: list[Offer[Ranked]] = []
    warnings: list[ParseWarning] = []
    for name in (*rules.fields, *rules.business_fields):
        repetitions = _repetitions(message, name)
        if len(repetitions) > MAX_REPETITIONS:
            warnings.append(warning(Oddity.PHONE_REPETITIONS, name))
        for nth, xtn in enumerate(repetitions[:MAX_REPETITIONS], 1):
            offers.append(_offer(f"{name}[{nth}]", xtn, rules, clocks, now, len(offers)))
        if not repetitions:
            offers.append(Offer(name, "", None, EMPTY))
    usable = sorted((offer for offer in offers if offer.why_not is None), key=_order)
    best = usable[0] if usable else None
    chosen = choose(_judged(offers, best), trace, masked)
    if best is not None and best.value is not None:
        return PhoneFinding(best.value.phone, best.field, chosen.candidates, tuple(warnings))
    given = [offer for offer in offers if offer.why_not is not EMPTY]
    if not any(offer.field.partition("[")[0] in rules.fields for offer in given):
        return PhoneFinding(None, None, chosen.candidates, tuple(warnings))
    if all(offer.why_not is DELETED for offer in given):
        return PhoneFinding(FORGET, given[0].field, chosen.candidates, tuple(warnings))
    warnings.append(warning(Oddity.PHONE_UNUSABLE, next(o.field for o in given if o.why_not is not DELETED)))
    landline = any(offer.why_not is LANDLINE for offer in given)
    bad = BadPhone(reason="landline" if landline else "invalid_phone")
    return PhoneFinding(bad, None, chosen.candidates, tuple(warnings))


def _order(offer: Offer[Ranked]) -> tuple[int, int, bool, int]:
    assert offer.value is not None
    return offer.value.order


_RANKS: Final = {
    1: "the sender calls it a mobile",
    2: "the numbering plan knows it as a mobile",
    3: "the patient's own line, mobile or not",
    4: "a landline",
}


def _judged(offers: Iterable[Offer[Ranked]], best: Offer[Ranked] | None) -> Iterator[Offer[Ranked]]:
    """The offers, the best one without anything against it."""
    for offer in offers:
        if best is None or offer is best or offer.value is None or best.value is None:
            yield offer
        else:
            rank, winning = offer.value.order[0], best.value.order[0]
            why = "is preferred within the same rank" if rank == winning else f"ranks higher: {_RANKS[winning]}"
            yield offer._replace(why_not=f"{best.field} {why}")


def _repetitions(message: Message, name: str) -> list[Field]:
    """A field's repetitions; one more than is looked at, if there are more."""
    place = Place.of(name)
    segment = message.first(place.segment)
    return [] if segment is None else segment.repetitions(place.field, MAX_REPETITIONS + 1)


def _offer(field: str, xtn: Field, rules: PhoneRules, clocks: Clocks, now: datetime, position: int) -> Offer[Ranked]:
    """One repetition: its number, what speaks against it, or its place in the order."""
    if not xtn.raw:
        return Offer(field, "", None, EMPTY)
    if xtn.deleted:
        return Offer(field, '""', None, DELETED)
    codes = {code for n in (2, 3, 4) if xtn.raw_component(n) and (code := xtn.component(n).strip().casefold())}
    reading = _number(xtn, rules.region)
    held = reading.e164 or next(_spellings(xtn), "")
    if not held and xtn.raw_component(1) == '""':  # `""^BUSINESS`
        return Offer(field, '""', None, DELETED)
    held = held or "?"
    against = _against(xtn, codes, rules, clocks, now) or reading.fault
    if against is not None:
        return Offer(field, held, None, against)
    rank, kind = _rank(codes, xtn.component(2).strip().casefold(), reading.plan, rules)
    if rank is None:
        return Offer(field, held, None, "neither a mobile nor the patient's own line")
    if kind == "landline" and rules.skip_landlines:
        return Offer(field, held, None, LANDLINE)
    preference = xtn.component(18).strip()
    order = int(preference) if preference.isascii() and preference.isdigit() and len(preference) < 4 else None
    first = xtn.component(9).strip().casefold() == "y"
    place = (rank, _UNRANKED_PREFERENCE if order is None else order, not first, position)
    return Offer(field, held, Ranked(place, PhoneNumber(held, kind)), None)


def _against(xtn: Field, codes: set[str], rules: PhoneRules, clocks: Clocks, now: datetime) -> str | None:
    """What the other components say against the whole repetition."""
    refused = codes & rules.never
    if refused:
        return f"{min(refused).upper()} cannot be texted, or is not the patient's"
    if xtn.raw_component(16) and xtn.component(16).strip().upper() not in ("", "LI"):  # table 0618: LI is listed
        return "protected (XTN.16)"
    if xtn.raw_component(14):
        expiry = read_timestamp(xtn.component(14))
        if expiry is not None:
            gone = clocks.instant(expiry).utc + (timedelta(days=1) if expiry.date_only else timedelta(0))
            if gone <= now:
                return "expired (XTN.14)"
    if 0 < _digits(xtn.raw_component(8)) < _LEAST_DIGITS:
        return _EXTENSION
    return None


def _rank(codes: set[str], use: str, plan: Plan, rules: PhoneRules) -> tuple[int | None, PhoneKind]:
    """The rank of a valid number, and what is known of its kind."""
    own = not use or use in rules.personal or bool(codes & rules.personal)
    if plan == "landline":
        return (4 if own or codes & rules.cell else None), "landline"
    if codes & rules.cell:
        return 1, "mobile"
    if plan == "mobile":
        return 2, "mobile"
    kind: PhoneKind = "landline" if codes & rules.landline else "unknown"
    if plan == "either":
        return (3 if own else None), kind
    return (4 if own else None), kind


def _number(xtn: Field, region: str) -> Reading:
    """The repetition's number: the first valid one of XTN.12, .4, .5 to .7, .1 and .8; else the first fault."""
    first_fault: Reading | None = None
    for text in _spellings(xtn):
        reading = read_number(text, region)
        if reading.fault is None or reading.final:
            return reading
        first_fault = first_fault or reading
    return first_fault or Reading(None, fault="holds no telephone number")


def _spellings(xtn: Field) -> Iterator[str]:
    for n in (12, 4):
        if _digits(xtn.raw_component(n)) >= _LEAST_DIGITS:
            yield xtn.component(n)
    if xtn.raw_component(7):
        country, area, local = (xtn.component(n).strip() for n in (5, 6, 7))
        country = country.lstrip("+0 ")
        if _digits(area + local) >= _LEAST_DIGITS:
            yield f"+{country} {area} {local}" if country else f"{area} {local}"
    for n in (1, 8):
        if _digits(xtn.raw_component(n)) >= _LEAST_DIGITS:
            yield xtn.component(n)


def _digits(text: str) -> int:
    return len(_DIGIT.findall(text)) if text else 0


_TOO_LONG: Final = Reading(None, fault="is too long for a telephone number")


def read_number(text: str, region: str) -> Reading:
    """Read one spelling of a number, in whatever national or international form.

    Args:
        region: ISO 3166 country of a number without a country code.
    """
    text = text.strip()
    if len(text) > _MAX_TEXT:
        return _TOO_LONG
    match = _SPELLING.fullmatch(text)
    if match is None:
        return Reading(None, fault="holds no telephone number")
    rest = match["rest"].strip()
    if re.match(r"x|e?xt|;|,|#|ext", rest, re.IGNORECASE):
        return Reading(None, fault=_EXTENSION, final=True)
    if rest and not _REMARK.match(rest):
        return Reading(None, fault="holds more than a telephone number", final=True)
    e164 = e164_of(match["number"].rstrip(), region)
    allotment = None if e164 is None else allotment_of(e164)
    if e164 is None or allotment is None:
        return Reading(None, fault="is not a telephone number")
    if not allotment.valid:
        return Reading(None, fault="is not a valid number of any country")
    plan = _PLANS.get(allotment.kind)
    if plan is None:
        return Reading(None, fault="is premium, toll-free or another number of no person", final=True)
    return Reading(e164, plan)


_PLANS: Final[dict[int, Plan]] = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "landline",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "either",
    PhoneNumberType.VOIP: "other",
}


def masked(held: str) -> str:
    """What a trace may show of what a telephone field held: the last four of a number's digits, or that it was something."""
    if not held or held == '""':
        return held
    digits = "".join(_DIGIT.findall(held))
    return f"***{digits[-4:]}" if len(digits) >= _LEAST_DIGITS else "***"
