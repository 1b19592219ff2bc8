"""A field map: the fields of a feed's messages that hold each value, in order of precedence.

Shipped maps are parser/fieldmaps/*.yaml. An environment may name its own file (`ehr: my-fields.yaml`), which is checked
against this model. A map is complete: it gives every key, so that it can be read without any other file. The first
place that holds something counts; each key's description says more.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

_NUMBER = "[1-9][0-9]{0,4}"
_PATH = re.compile(rf"[A-Z][A-Z0-9]{{2}}(\[{_NUMBER}\])?-{_NUMBER}(\[{_NUMBER}\])?(\.{_NUMBER}){{0,2}}")
_WHOLE_FIELD = re.compile(rf"[A-Z][A-Z0-9]{{2}}-{_NUMBER}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def is_path(text: str) -> bool:
    """Whether `text` is an HL7 path such as SCH-11.4, PID-13[2].3 or AIS[2]-4: the grammar of parser.er7."""
    return _PATH.fullmatch(text) is not None


def _path(text: str) -> str:
    if not is_path(text):
        raise ValueError("is not an HL7 path such as SCH-11.4, PID-13[2].3 or AIS[2]-4")
    return text


def _whole_field(text: str) -> str:
    if _WHOLE_FIELD.fullmatch(text) is None:
        raise ValueError("is not a whole field such as PID-13")
    return text


def is_language(text: str) -> bool:
    """Whether `text` is a language tag such as en, es-MX or zh-Hant."""
    return _LANGUAGE.fullmatch(text) is not None


def _language(text: str) -> str:
    if not is_language(text):
        first, _, rest = text.strip().replace("_", "-").partition("-")
        meant = f"{first.lower()}-{rest}" if rest else first.lower()
        hint = f" (did you mean {meant}?)" if _LANGUAGE.fullmatch(meant) else ""
        raise ValueError(f"is not a language tag such as en, es or zh-Hant{hint}")
    return text


Path = Annotated[str, AfterValidator(_path)]
WholeField = Annotated[str, AfterValidator(_whole_field)]
Language = Annotated[
    str, AfterValidator(_language), WithJsonSchema({"type": "string", "pattern": f"^{_LANGUAGE.pattern}$"})
]
Word = Annotated[str, Field(min_length=1, max_length=80)]
"""A value as senders write it; case does not matter."""


class Part(BaseModel):
    """Frozen and strict; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Identity(Part):
    """One id of an appointment."""

    kind: Literal["filler", "placer", "visit"]
    """Whose id it is. Of the kinds that two messages share, filler decides before placer before visit."""
    id: Path
    """The id itself, `SCH-2.1`."""
    authority: Path | None = None
    """The assigning authority, `SCH-2.2`; the same id of another authority is another appointment."""


class StartSource(Part):
    """One place of the visit's start."""

    field: Path
    of: Literal["appointment", "resource"]
    """resource: the earliest of all such segments, without those whose action code (field 2) is D. Places that speak of the
    appointment itself are compared, and a contradiction is a warning; resources may begin when they like."""
    only_if_time: bool = False
    """For a field that has another meaning in the standard: use it only if it holds a date and time."""


class DurationSource(Part):
    """One place of the visit's length: exactly one of `end`, `length`, `interval`."""

    end: Path | None = None
    """When the visit ends; the length is the time between start and end."""
    length: Path | None = None
    """A number in the unit that the field `unit` gives."""
    unit: Path | None = None
    interval: Path | None = None
    """TQ's interval form: `M30`, `H1`, or a number of minutes."""

    @model_validator(mode="after")
    def _one(self) -> DurationSource:
        if sum(place is not None for place in (self.end, self.length, self.interval)) != 1:
            raise ValueError("needs exactly one of end, length and interval")
        if self.unit is not None and self.length is None:
            raise ValueError("unit goes with length")
        return self


class Units(Part):
    """How the feed spells units of time."""

    seconds: list[Word]
    minutes: list[Word]
    hours: list[Word]


class StatusMap(Part):
    """The fields of the appointment's status, and the meaning of its values."""

    fields: list[Path] = Field(min_length=1)
    """In each, codes and texts are looked up (components 1, 2, 4, 5, 9, 10 and 11); letters and digits count, so that `No-Show`
    is `noshow`. Where they differ, an end counts before a visit that is not booked, and that before a booked one."""
    reasons: list[Path]
    """Fields that usually hold something else: only values of the lists below count."""
    compared: list[Path] = []
    """Statuses of resources. They do not decide the status; a contradiction is a warning."""
    pending: list[Word]
    """pending, waitlist, blocked: not booked yet, so the patient is told nothing."""
    waitlist: list[Word]
    booked: list[Word]
    arrived: list[Word]
    completed: list[Word]
    canceled: list[Word]
    deleted: list[Word]
    no_show: list[Word]
    blocked: list[Word]

    @model_validator(mode="after")
    def _once(self) -> StatusMap:
        seen: dict[str, str] = {}
        for name in STATUSES:
            for word in getattr(self, name):
                key = folded(word)
                if seen.setdefault(key, name) != name:
                    raise ValueError(f"{word!r} cannot be both {seen[key]} and {name}")
        return self


STATUSES = ("pending", "waitlist", "booked", "arrived", "completed", "canceled", "deleted", "no_show", "blocked")


class PhoneMap(Part):
    """The fields of telephone numbers, and the meaning of the codes beside them (XTN.2, .3 and .4)."""

    fields: list[WholeField] = Field(min_length=1)
    """The patient's own; every repetition counts. A field that is sent without a usable number means there is none."""
    business_fields: list[WholeField]
    """These are read too. If the fields above are empty, the stored number is still kept."""
    cell: list[Word]
    """Codes of a mobile telephone."""
    personal: list[Word]
    """Codes of the patient's own line; a number without any code counts as one."""
    landline: list[Word]
    """Codes of a telephone that is not a mobile: texted only if the environment says `landline: try`."""
    never: list[Word]
    """Codes of lines that cannot be texted, or are not the patient's: fax, pager, modem, e-mail, answering service ..."""


class LanguageMap(Part):
    """The patient's language."""

    fields: list[Path]
    words: dict[Word, Language]
    """Local codes and words; ISO 639 codes are known without a list."""


class DeceasedMap(Part):
    """That the patient has died."""

    flag: Path
    """Y means yes."""
    date: Path
    """Any value means yes."""


class FieldMap(Part):
    """One feed's fields, each list in order of precedence."""

    name: str = Field(min_length=1, max_length=60)
    """A name for the map, shown by `carebell explain`."""
    identity: list[Identity] = Field(min_length=1)
    """The first that is given is the key; all are kept as aliases."""
    identity_hints: list[Path]
    """Other numbers that `carebell explain` shows when no id was found; they never identify an appointment."""
    occurrence: Path | None
    """The number of one visit within a series whose visits share their ids; null: ids are never shared."""
    start: list[StartSource] = Field(min_length=1)
    duration: list[DurationSource]
    units: Units
    location_zone: list[Path]
    """Values that are looked up in the environment's `location_zones`; the first one found gives the clinic's zone."""
    status: StatusMap
    phone: PhoneMap
    language: LanguageMap
    deceased: DeceasedMap
    facility: list[Path]
    """The building or organisation, as a text for templates."""
    location: list[Path]
    """The room or department, as a text for templates."""
    provider: list[WholeField]
    """Fields of people (XCN): prefix, given and family name become one text for templates."""
    patient_name: Path
    """The patient's name for templates; read only if a template uses it."""
    conference: list[Path] = []
    """The id that the visits of one group share: they take place in one meeting. Empty, or left out as in a map from before there
    were groups: no visit is in a group."""


def folded(word: str) -> str:
    """The compared part of a code: letters and digits, ignoring case. `No-Show` is `noshow`."""
    return _folded(word[:_LONGEST_WORD])


_LONGEST_WORD = 81  # one more than a map's words can have; keeps what the cache holds small


@lru_cache(maxsize=4096)
def _folded(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum())
