"""How one environment's messages are read: its field map and settings, checked and prepared for the hot path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

from config.fieldmap import STATUSES, FieldMap, folded
from config.model import Environment
from parser.er7 import Place
from parser.event import ParseWarning, Rejection, Status
from parser.phone_choice import PhoneRules
from parser.recurring import Recurring

_UNITS = {"seconds": "s", "minutes": "m", "hours": "h"}


class SaidInHeader(NamedTuple):
    """What the header says.

    Attributes:
        event: the trigger event, `S12`; or why it cannot be processed.
        feed: who sends, as an alias begins (`parser.identity`).
    """

    event: str | Rejection
    feed: str


class SaidOfVisit(NamedTuple):
    """What a message says about the visit in words; None: not given."""

    status: Status
    odd_status: tuple[ParseWarning, ...]
    visit_mode: str | None
    facility: str | None
    provider: str | None
    location: str | None


class SaidOfPatient(NamedTuple):
    """What a message says about the patient in words, besides the telephone and the name."""

    language: str | None
    odd_language: tuple[ParseWarning, ...]
    deceased: bool
    consent: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How one environment's messages are read. Immutable; made by `rules_for`.

    Attributes:
        field_map: where values are read.
        zone: the environment's IANA zone.
        location_zones: AIL-3.4 / PV1-3.4 -> IANA zone.
        fallback_charset: for messages that name none and are not UTF-8.
        countries: ISO 3166; numbers without a country code are of the first.
        landline: what to do with a number known to be a landline.
        visit_mode_field, visit_modes: the field of the mode; folded value -> `video` or `phone`.
        join_link_field, join_link_hosts: the field of the link (None: none); hosts in small letters.
        consent_field, consent_granted: the field of consent (None: none); values that mean yes, in small letters.
        wants_name: whether a template uses the patient's name; otherwise the name is not read.
        keeps_patient_id: whether PID-3 is kept for what goes back to the EHR; otherwise it is not read.
        statuses: folded spelling -> status.
        units: folded spelling -> `s`, `m` or `h`.
        languages: folded local word -> BCP 47 tag.
        phones: the field map's phone section.
        header, of_visit, of_patient: what recurs in messages, by the fields that say it.
    """

    field_map: FieldMap
    zone: str
    location_zones: Mapping[str, str]
    fallback_charset: str
    countries: tuple[str, ...]
    landline: Literal["try", "skip"]
    visit_mode_field: str
    visit_modes: Mapping[str, str]
    join_link_field: str | None
    join_link_hosts: frozenset[str]
    consent_field: str | None
    consent_granted: frozenset[str]
    wants_name: bool
    keeps_patient_id: bool
    statuses: Mapping[str, Status]
    units: Mapping[str, str]
    languages: Mapping[str, str]
    phones: PhoneRules
    header: Recurring[SaidInHeader] = field(init=False, repr=False, compare=False)
    of_visit: Recurring[SaidOfVisit] = field(init=False, repr=False, compare=False)
    of_patient: Recurring[SaidOfPatient] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fields, status = self.field_map, self.field_map.status
        visit = (
            *(*status.fields, *status.reasons, *status.compared),
            *(*fields.facility, *fields.provider, *fields.location),
            self.visit_mode_field,
        )
        patient = (*fields.language.fields, fields.deceased.flag, fields.deceased.date)
        consent = () if self.consent_field is None else (self.consent_field,)
        object.__setattr__(self, "header", Recurring[SaidInHeader](("MSH-3", "MSH-4", "MSH-9", "MSH-12")))
        object.__setattr__(self, "of_visit", Recurring[SaidOfVisit](visit))
        object.__setattr__(self, "of_patient", Recurring[SaidOfPatient]((*patient, *consent)))


def rules_for(environment: Environment, field_map: FieldMap, *, wants_name: bool = False) -> Rules:
    """The rules of an environment.

    Args:
        wants_name: whether one of the environment's templates uses the patient's name.

    Raises:
        ValueError: a field named in the environment's `sms` section is no HL7 path; the text begins with its key.
    """
    sms = environment.sms
    paths = {
        "visit_mode.field": sms.visit_mode.field,
        "join_link.field": sms.join_link.field,
        "consent.field": sms.consent.field,
    }
    for key, path in paths.items():
        if path is not None:
            try:
                Place.of(path)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
    codes = field_map.phone
    modes = {folded(word): "phone" for word in sms.visit_mode.phone}
    modes |= {folded(word): "video" for word in sms.visit_mode.video}
    return Rules(
        field_map=field_map,
        zone=environment.time_zone,
        location_zones=MappingProxyType(dict(environment.location_zones)),
        fallback_charset=environment.fallback_charset,
        countries=tuple(sms.countries),
        landline=sms.landline,
        visit_mode_field=sms.visit_mode.field,
        visit_modes=MappingProxyType(modes),
        join_link_field=sms.join_link.field,
        join_link_hosts=frozenset(host.lower() for host in sms.join_link.allowed_hosts),
        consent_field=sms.consent.field,
        consent_granted=frozenset(value.strip().casefold() for value in sms.consent.granted),
        wants_name=wants_name,
        keeps_patient_id=environment.writeback.keeps_patient_id,
        statuses=MappingProxyType(
            {folded(word): Status(name) for name in STATUSES for word in getattr(field_map.status, name)}
        ),
        units=MappingProxyType(
            {folded(word): letter for name, letter in _UNITS.items() for word in getattr(field_map.units, name)}
        ),
        languages=MappingProxyType({folded(word): tag for word, tag in field_map.language.words.items()}),
        phones=PhoneRules(
            fields=tuple(codes.fields),
            business_fields=tuple(codes.business_fields),
            cell=_codes(codes.cell),
            personal=_codes(codes.personal),
            landline=_codes(codes.landline),
            never=_codes(codes.never),
            region=sms.countries[0],
            countries=frozenset(sms.countries),
            skip_landlines=sms.landline == "skip",
        ),
    )


def _codes(words: list[str]) -> frozenset[str]:
    """Small letters, punctuation kept: `P-H` (home) is not `PH` (telephone)."""
    return frozenset(word.strip().casefold() for word in words)
