"""Choose the patient's mobile among a message's telephone fields: XTN (HL7 v2.9 chapter 2A, 2A.3.91) as senders fill it.

Every repetition of the map's fields is read, at most 20 for each field. A number may be in XTN.12, .4, .5 to .7 (or whole in
one of these), .1 or .8; the first valid number of these counts. A repetition may be unusable, and its offer says why:
expired (XTN.14), protected (XTN.16), an extension, a fax. Of the others, a number of a country that the environment texts
comes first, so that a number that may be texted is chosen if there is one. Then:

1. a number that the sender calls a mobile (`CP` or a local word in XTN.2, .3 or .4), unless it is a landline by the numbering plan;
2. a mobile by the numbering plan;
3. the patient's own line, if the plan does not say its kind (US and Canada);
4. a landline that is the patient's own, because some can be texted.

Within each rank the order is by XTN.18 (order of preference), then XTN.9 `Y`, then the order of the fields. Digits leave this
module only inside a `PhoneNumber`; traces get the last four.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from phonenumbers import PhoneNumberType

from parser.er7 import MAX_REPETITIONS, Field, Message, Place
from parser.event import FORGET, BadPhone, Candidate, GivenPhone, ParseWarning, UnreadablePhone
from parser.evidence import DELETED, EMPTY, Offer, Trace, choose
from parser.numbering_plans import allotment_of, e164_of
from parser.parse_warnings import Oddity, warning
from parser.phone_number import PhoneKind, PhoneNumber
from parser.phone_spelling import (
    EXTENSION,
    LEAST_DIGITS,
    NO_NUMBER,
    NO_TEXTS,
    TWO_NUMBERS,
    Use,
    digits_in,
    is_extension,
    is_placeholder,
    plain,
    remark_on,
    spelled,
    uses_of,
)
from parser.timestamps import Clocks, read_timestamp

LANDLINE: Final = "a landline, and the environment skips those"
EXPIRED: Final = "expired (XTN.14)"
PROTECTED: Final = "protected (XTN.16)"
_WITHDRAWN: Final = (LANDLINE, EXPIRED, PROTECTED)
"""Reasons against a number that was read. Unlike junk, they mean that the stored number is no longer the patient's."""
_WHOLE: Final = 10  # with this many digits, one component alone is read as a whole number
_SHORTEST_WORD: Final = 3  # of a code that is read as words ("Cell Phone"); the field map lists shorter codes
_MAX_CODE: Final = 81  # one more than a field map's words can have
_NONE: Final[frozenset[str]] = frozenset()
_MOST_DIGITS: Final = 15  # of a telephone number (E.164)
_FLAGS: Final = frozenset({"y", "n", "yes", "no"})  # in XTN.9: whether this is the preferred telephone
_UNRANKED_PREFERENCE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneRules:
    """A field map's phone section and the environment's settings, prepared for use; codes in small letters.

    Attributes:
        region: ISO 3166 country of numbers written without a country code.
        countries: ISO 3166 countries that are texted.
        listed: every code.
    """

    fields: tuple[str, ...]
    business_fields: tuple[str, ...]
    cell: frozenset[str]
    personal: frozenset[str]
    landline: frozenset[str]
    never: frozenset[str]
    region: str
    countries: frozenset[str]
    skip_landlines: bool
    listed: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "listed", self.cell | self.personal | self.landline | self.never)


_DIGITS: Final = re.compile("[0-9]+")

Plan = Literal["mobile", "landline", "either", "other"]


class Reading(NamedTuple):
    """A text read as a telephone number.

    Attributes:
        e164: None: it is not a number, and `fault` says why.
        plan: the allotment by the numbering plan.
        country: ISO 3166, by the numbering plan; None: no country.
        uses: what words around the number say about the line.
        spoken_of: the valid number in the text, even if it cannot be used.
        condemned: of a whole repetition: the valid numbers that its spellings speak against.
        final: whether the fault excludes the whole repetition, not only this spelling of the number.
    """

    e164: str | None
    plan: Plan = "other"
    country: str | None = None
    uses: frozenset[Use] = frozenset()
    fault: str | None = None
    final: bool = False
    spoken_of: str | None = None
    condemned: frozenset[str] = frozenset()


class Order(NamedTuple):
    """A usable telephone's place; the smallest comes first.

    Attributes:
        abroad: whether it is of a country that the environment does not text.
        preference: XTN.18. unmarked: XTN.9 is not Y. position: in the message.
    """

    abroad: bool
    rank: int
    preference: int
    unmarked: bool
    position: int


class Ranked(NamedTuple):
    """A usable telephone, its place in the order, and its country (None: none)."""

    order: Order
    phone: PhoneNumber
    country: str | None


class PhoneFinding(NamedTuple):
    """What the message says about the patient's telephone; `phone` and `condemned_phones` as in `SchedulingEvent`."""

    phone: GivenPhone
    field: str | None
    candidates: tuple[Candidate, ...]
    warnings: tuple[ParseWarning, ...]
    condemned_phones: frozenset[PhoneNumber] = frozenset()


def find_phone(
    message: Message, rules: PhoneRules, clocks: Clocks, now: datetime, trace: Trace | None = None
) -> PhoneFinding:
    """The best of the message's telephones.

    Args:
        clocks: for XTN.14, when a number expires.
        now: aware; numbers that have expired by then are not used.
        trace: None: the candidates are not recorded.
    """
    offers: list[Offer[Ranked]] = []
    condemned: dict[str, str] = {}  # number in E.164 -> the first field that speaks against it
    warnings: list[ParseWarning] = []
    for name in (*rules.fields, *rules.business_fields):
        repetitions = _repetitions(message, name)
        if not repetitions and trace is None:
            continue
        if len(repetitions) > MAX_REPETITIONS:
            warnings.append(warning(Oddity.PHONE_REPETITIONS, name))
        for nth, xtn in enumerate(repetitions[:MAX_REPETITIONS], 1):
            offer, numbers = _offer(f"{name}[{nth}]", xtn, rules, clocks, now, len(offers))
            offers.append(offer)
            condemned |= {number: offer.field for number in numbers if number not in condemned}
        if not repetitions:
            offers.append(Offer(name, "", None, EMPTY))
    if trace is None and len(offers) == 1 and not condemned and offers[0].value is not None:  # the usual case
        [only] = offers
        assert only.value is not None
        return PhoneFinding(only.value.phone, only.field, (), tuple(warnings))
    offers = [_unless_condemned(offer, condemned) for offer in offers]
    phones = frozenset(map(PhoneNumber, condemned))
    best = min((offer for offer in offers if offer.why_not is None), key=_order, default=None)
    chosen = choose(_judged(offers, best, rules), trace, masked)
    if best is not None and best.value is not None:
        return PhoneFinding(best.value.phone, best.field, chosen.candidates, tuple(warnings), phones)
    phone, field = _unusable([offer for offer in offers if offer.why_not is not EMPTY], rules)
    if isinstance(phone, BadPhone | UnreadablePhone):
        warnings.append(warning(Oddity.PHONE_UNUSABLE, field))
        field = None
    return PhoneFinding(phone, field, chosen.candidates, tuple(warnings), phones)


def _unless_condemned(offer: Offer[Ranked], condemned: Mapping[str, str]) -> Offer[Ranked]:
    """The offer, excluded where another repetition forbids the same number: who lists it twice and forbids it once means it."""
    field = None if offer.value is None else condemned.get(offer.value.phone.e164())
    return offer if field is None else offer._replace(value=None, why_not=f"is not to be used, as {field} says")


def _unusable(given: list[Offer[Ranked]], rules: PhoneRules) -> tuple[GivenPhone, str | None]:
    """The result for a message in which no telephone can be texted, and the field that decides it."""
    own = [offer for offer in given if offer.field.partition("[")[0] in rules.fields]
    if not own:
        return None, None
    withdrawn = next((offer for offer in given if offer.why_not in _WITHDRAWN), None)
    if withdrawn is not None:
        landline = any(offer.why_not is LANDLINE for offer in given)
        why = f"{withdrawn.field} {withdrawn.why_not}"
        return BadPhone(reason="landline" if landline else "invalid_phone", why=why), withdrawn.field
    deleted = next((offer for offer in own if offer.why_not is DELETED), None)
    if deleted is not None:  # other content is junk and means nothing
        return FORGET, deleted.field
    return UnreadablePhone(why=f"{own[0].field} {own[0].why_not}"), own[0].field


def _order(offer: Offer[Ranked]) -> Order:
    assert offer.value is not None
    return offer.value.order


_RANKS: Final = {
    1: "the sender calls it a mobile",
    2: "the numbering plan knows it as a mobile",
    3: "the patient's own line, mobile or not",
    4: "a landline",
}


def _judged(offers: Iterable[Offer[Ranked]], best: Offer[Ranked] | None, rules: PhoneRules) -> Iterator[Offer[Ranked]]:
    """The offers with the reasons against them; the best one has none."""
    for offer in offers:
        if best is None or offer is best or offer.value is None or best.value is None:
            yield offer
            continue
        order, winning = offer.value.order, best.value.order
        if order.abroad != winning.abroad:
            country = f"a number of {offer.value.country}" if offer.value.country else "a number of no country"
            why = f"may be texted, {country} may not (sms.countries: {', '.join(sorted(rules.countries))})"
        elif order.rank != winning.rank:
            why = f"ranks higher: {_RANKS[winning.rank]}"
        else:
            why = "is preferred within the same rank"
        yield offer._replace(why_not=f"{best.field} {why}")


def _repetitions(message: Message, name: str) -> list[Field]:
    """A field's repetitions: those that are read, and one more if there are more."""
    place = Place.of(name)
    segment = message.first(place.segment)
    return [] if segment is None else segment.repetitions(place.field, MAX_REPETITIONS + 1)


def _offer(
    field: str, xtn: Field, rules: PhoneRules, clocks: Clocks, now: datetime, position: int
) -> tuple[Offer[Ranked], frozenset[str]]:
    """One repetition: its number, and why it cannot be used or its place in the order."""
    if not xtn.raw:
        return Offer(field, "", None, EMPTY), _NONE
    if xtn.deleted:
        return Offer(field, '""', None, DELETED), _NONE
    use = _code(xtn, 2)
    codes = {code for code in (use, _code(xtn, 3), _code(xtn, 4)) if code}
    more = xtn.reaches(8)  # an extension, a remark, a date: seldom given
    reading = _number(xtn, rules.region)
    held = reading.e164 or next(_spellings(xtn), "")
    if not held and xtn.raw_component(1) == '""':  # `""^BUSINESS`
        return Offer(field, '""', None, DELETED), _NONE
    held = held or "?"
    remarks = [remark_on(text) for text in _remarks(xtn)] if more else []
    uses = reading.uses.union(_uses_in(codes, rules), *(remark for remark in remarks if not isinstance(remark, str)))
    fault = next((remark for remark in remarks if isinstance(remark, str)), None)
    against = _against(xtn, codes, uses, rules, clocks, now) or fault or reading.fault
    condemned = reading.condemned
    if against is not None:
        # A number that expires in one entry may be current in another; of two numbers in one text it is not known which is meant.
        if reading.spoken_of is not None and against not in (EXPIRED, TWO_NUMBERS):
            condemned |= {reading.spoken_of}
        return Offer(field, held, None, against), condemned
    rank, kind = _rank(codes, uses, use, reading.plan, rules)
    if rank is None:
        return Offer(field, held, None, "neither a mobile nor the patient's own line"), condemned
    if kind == "landline" and rules.skip_landlines:
        return Offer(field, held, None, LANDLINE), condemned
    preference = xtn.component(18).strip() if more else ""
    ranked = preference.isascii() and preference.isdigit() and len(preference) < 4
    order = Order(
        abroad=reading.country not in rules.countries,
        rank=rank,
        preference=int(preference) if ranked else _UNRANKED_PREFERENCE,
        unmarked=not more or xtn.component(9).strip().casefold() != "y",
        position=position,
    )
    return Offer(field, held, Ranked(order, PhoneNumber(held, kind), reading.country), None), condemned


def _code(xtn: Field, number: int) -> str:
    """A component as a code: small letters, nothing invisible; of a text that is no code, its beginning."""
    text = xtn.component(number)
    return plain(text[:_MAX_CODE]).strip().casefold() if text else ""


def _uses_in(codes: set[str], rules: PhoneRules) -> frozenset[Use]:
    """What the words of codes say if the field map does not list the code (`Cell Phone`, `Fax Number`)."""
    uses: frozenset[Use] = frozenset()
    for code in codes - rules.listed:
        uses |= uses_of(code, _SHORTEST_WORD) or frozenset()
    return uses


def _remarks(xtn: Field) -> Iterator[str]:
    """The free text beside the number: XTN.9 where it is no flag, and what stands in XTN.8 and is no extension."""
    for number in (9, 8):
        text = xtn.component(number).strip() if xtn.raw_component(number) else ""
        if number == 8 and (is_extension(text) or LEAST_DIGITS <= digits_in(text) <= _MOST_DIGITS):
            continue
        if text.casefold() not in _FLAGS and not is_placeholder(text):
            yield text


def _against(
    xtn: Field, codes: set[str], uses: frozenset[Use], rules: PhoneRules, clocks: Clocks, now: datetime
) -> str | None:
    """Why the other components exclude the whole repetition; None: they do not."""
    refused = codes & rules.never
    if refused:
        return f"{min(refused).upper()} cannot be texted, or is not the patient's"
    if "never" in uses:
        return NO_TEXTS
    if not xtn.reaches(8):
        return None
    if xtn.raw_component(16) and xtn.component(16).strip().upper() not in ("", "LI"):  # table 0618: LI is listed
        return PROTECTED
    if xtn.raw_component(14):
        expiry = read_timestamp(xtn.component(14))
        if expiry is not None:
            gone = clocks.instant(expiry).utc + (timedelta(days=1) if expiry.date_only else timedelta(0))
            if gone <= now:
                return EXPIRED
    extension = xtn.component(8) if xtn.raw_component(8) else ""
    return EXTENSION if extension and digits_in(extension) < LEAST_DIGITS and is_extension(extension) else None


def _rank(
    codes: set[str], uses: frozenset[Use], use: str, plan: Plan, rules: PhoneRules
) -> tuple[int | None, PhoneKind]:
    """The rank of a valid number, and its kind.

    Args:
        uses: what words beside the number say about the line.
        use: XTN.2 in small letters.
    """
    cell = bool(codes & rules.cell) or "cell" in uses
    own = (not use and "work" not in uses) or use in rules.personal or bool(codes & rules.personal) or "own" in uses
    if plan == "landline":
        return (4 if own or cell else None), "landline"
    if cell:
        return 1, "mobile"
    if plan == "mobile":
        return 2, "mobile"
    kind: PhoneKind = "landline" if codes & rules.landline or "landline" in uses else "unknown"
    if plan == "either":
        return (3 if own else None), kind
    return (4 if own else None), kind


def _number(xtn: Field, region: str) -> Reading:
    """The repetition's number: the first valid spelling, with the words of all spellings; otherwise the first fault."""
    readings = [read_number(text, region) for text in _spellings(xtn)]
    first = next((reading for reading in readings if reading.fault is None or reading.final), None)
    if first is None:
        return readings[0] if readings else Reading(None, fault=NO_NUMBER)
    condemned = frozenset(
        reading.spoken_of
        for reading in readings
        if reading.final and reading.spoken_of is not None and reading.fault is not TWO_NUMBERS
    )
    if len(readings) == 1:
        return first._replace(condemned=condemned) if condemned else first
    same = [reading for reading in readings if reading.spoken_of == first.spoken_of]
    first = next((reading for reading in same if reading.final), first)  # what one component says against it counts
    return first._replace(uses=first.uses.union(*(reading.uses for reading in same)), condemned=condemned)


def _spellings(xtn: Field) -> Iterator[str]:
    """Everything in a repetition that can be a number, in order: XTN.12, .4, .5 to .7 together, each of these whole, .1, .8."""
    more = xtn.reaches(8)
    for n in (12, 4) if more else (4,):
        if xtn.raw_component(n) and digits_in(text := xtn.component(n)) >= LEAST_DIGITS:
            yield text
    if xtn.raw_component(6) or xtn.raw_component(7):
        country, area, local = xtn.component(5).strip(), xtn.component(6).strip(), xtn.component(7).strip()
        code = country.lstrip("0") if country.isascii() and country.isdigit() else _digits_of(country)
        in_area, in_local = digits_in(area), digits_in(local)
        if in_area + in_local >= LEAST_DIGITS:
            yield f"+{code} {area} {local}" if code else f"{area} {local}"
        if in_local >= _WHOLE:
            yield local
        if in_area >= _WHOLE:
            yield area
    for n, least in ((5, _WHOLE), (1, LEAST_DIGITS), (8, LEAST_DIGITS)) if more else ((5, _WHOLE), (1, LEAST_DIGITS)):
        if xtn.raw_component(n) and digits_in(text := xtn.component(n)) >= least:
            yield text


def _digits_of(country: str) -> str:
    """The digits of XTN.5 without leading zeros."""
    return "".join(_DIGITS.findall(plain(country))).lstrip("0") if country else ""


def read_number(text: str, region: str) -> Reading:
    """Read one spelling of a number, in whatever national or international form.

    Args:
        region: ISO 3166 country of a number without a country code.
    """
    spelling = spelled(text)
    e164 = e164_of(spelling.number, region) if spelling.number else None
    allotment = None if e164 is None else allotment_of(e164)
    if spelling.fault is not None:
        # For a real number the fault excludes the repetition, whose other components may hold the same number. Otherwise it is
        # stray text.
        real = allotment is not None and allotment.valid
        return Reading(None, uses=spelling.uses, fault=spelling.fault, final=real, spoken_of=e164 if real else None)
    if e164 is None or allotment is None:
        return Reading(None, fault="is not a telephone number")
    if not allotment.valid:
        return Reading(None, fault="is not a valid number of any country")
    plan = _PLANS.get(allotment.kind)
    if plan is None:
        return Reading(None, fault="is premium, toll-free or otherwise not a person's number", final=True)
    return Reading(e164, plan, allotment.country, spelling.uses, spoken_of=e164)


_PLANS: Final[dict[int, Plan]] = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "landline",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "either",
    PhoneNumberType.VOIP: "other",
}


def masked(held: str) -> str:
    """The part of a telephone field that a trace may show: the last four digits of a number, or that the field held something."""
    if not held or held == '""':
        return held
    digits = "".join(character for character in plain(held) if character.isdecimal())
    return f"***{digits[-4:]}" if len(digits) >= LEAST_DIGITS else "***"
