"""What goes back to an EHR's FHIR R4 server, as data: the model of `ehr/fhir_maps/*.yaml`. Pure.

An interaction changes the appointment's status or its video links (`patch`), or makes a new resource (`create`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from config.json_template import check_template, names_in
from config.outmap import EVENT_KEY

_CONFIG: Final = ConfigDict(
    frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, hide_input_in_errors=True
)
_IDS: Final = frozenset({"placer_id", "filler_id", "visit_id"})
AppointmentStatus = Literal[
    "proposed", "pending", "booked", "arrived", "fulfilled", "cancelled", "noshow", "entered-in-error", "checked-in", "waitlist"
]  # fmt: skip


def _fhir_template(node: Any) -> Any:
    check_template(node, fhir=True)
    return node


def _id_template(text: str) -> str:
    check_template(text, fhir=False)
    if not _IDS & set(names_in(text)):
        raise ValueError("has no {placer_id}, {filler_id} or {visit_id}: the appointment could not be found")
    return text


def _link_template(text: str) -> str:
    check_template(text, fhir=False)
    if not text.startswith("https://"):
        raise ValueError("does not begin with https://")
    return text


IdTemplate = Annotated[str, Field(max_length=250), AfterValidator(_id_template)]
LinkTemplate = Annotated[str, Field(max_length=250), AfterValidator(_link_template)]
FhirTemplate = Annotated[dict[str, Any], AfterValidator(_fhir_template)]


class FhirAppointment(BaseModel):
    """How the EHR's Appointment is found: exactly one of both."""

    model_config = _CONFIG
    read: IdTemplate | None = None
    """Its FHIR id."""
    search: IdTemplate | None = None
    """A business identifier, `system|{filler_id}` or `{filler_id}` alone."""

    @model_validator(mode="after")
    def _one(self) -> FhirAppointment:
        if (self.read is None) == (self.search is None):
            raise ValueError("has read or search, one of them")
        return self


class FhirLinks(BaseModel):
    """The addresses of a video visit, as Oracle Health takes them: contained[0] and contained[1]."""

    model_config = _CONFIG
    provider: LinkTemplate
    patient: LinkTemplate


class FhirPatch(BaseModel):
    """A change of the Appointment, by JSON Patch with the version that was read."""

    model_config = _CONFIG
    status: AppointmentStatus | None = None
    """The new one."""
    changes_from: list[AppointmentStatus] = Field(default_factory=list)
    """Only from these; from any other it is refused, because somebody decided otherwise."""
    already: list[AppointmentStatus] = Field(default_factory=list)
    """These are as good as the new one: nothing is left to do."""
    reason: FhirTemplate | None = None
    """cancelationReason."""
    links: FhirLinks | None = None

    @model_validator(mode="after")
    def _does_something(self) -> FhirPatch:
        if (self.status is None) == (self.links is None):
            raise ValueError("has status or links, one of them")
        if self.status is not None and not self.changes_from:
            raise ValueError("has no changes_from: say from which statuses it may change")
        return self


class FhirInteraction(BaseModel):
    """What is done for one event: exactly one of patch, create and nothing."""

    model_config = _CONFIG
    patch: FhirPatch | None = None
    create: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z]{2,40}$")] | None = None
    """The new resource's type."""
    body: FhirTemplate | None = None
    """Of the new resource, without resourceType and identifier, which Carebell writes."""
    if_none_exist: bool = True
    """The server takes If-None-Exist, so that a repetition makes no second one. false: if it is not known whether it was made,
    it is not tried again (`unknown`)."""
    nothing: bool = False
    """true: this case is none that the EHR is told."""

    @model_validator(mode="after")
    def _one(self) -> FhirInteraction:
        if [self.patch is not None, self.create is not None, self.nothing].count(True) != 1:
            raise ValueError("has patch, create or nothing, one of them")
        if (self.create is None) != (self.body is None):
            raise ValueError("has one of create and body; both belong together")
        if self.body is not None and {"resourceType", "identifier"} & self.body.keys():
            raise ValueError("has resourceType or identifier, which Carebell writes")
        return self

    @property
    def reads(self) -> bool:
        """Whether the Appointment is read first."""
        return self.patch is not None or bool({"appointment", "patient"} & set(names_in(self.body)))


class FhirMap(BaseModel):
    """One EHR's interactions."""

    model_config = _CONFIG
    name: str = Field(min_length=1, max_length=60)
    """A name for the map, shown by `carebell writeback show`."""
    appointment: FhirAppointment
    interactions: dict[Annotated[str, Field(pattern=EVENT_KEY)], FhirInteraction] = Field(min_length=1)
    """Event to interaction, with the same keys as `messages` of an out-map."""

    def asks(self, event: str) -> bool:
        """Whether the EHR can be asked to act for it."""
        return f"{event}.ask" in self.interactions

    def reports(self, event: str) -> bool:
        """Whether the EHR is told of it without being asked to act."""
        return any(key.partition(".")[0] == event and not key.endswith(".ask") for key in self.interactions)

    def has(self, event: str) -> bool:
        """Whether there is an interaction for an event, perhaps only for one person, or only where the EHR is asked."""
        return any(key.partition(".")[0] == event for key in self.interactions)

    def interaction(self, event: str, *, by: str | None = None, ask: bool = False) -> FhirInteraction | None:
        """The one for an event; None: this map has none."""
        keys = [f"{event}.ask"] if ask else []
        keys += [f"{event}.{by}"] if by else []
        return next((self.interactions[key] for key in (*keys, event) if key in self.interactions), None)

    def scopes(self, events: set[str]) -> list[str]:
        """The least that these events need, in SMART's second notation: `system/Appointment.ru`."""
        used = [interaction for key, interaction in self.interactions.items() if key.partition(".")[0] in events]
        appointment = "c" if any(interaction.create == "Appointment" for interaction in used) else ""
        if any(interaction.reads for interaction in used):
            appointment += "r"
        if any(interaction.patch is not None for interaction in used):
            appointment += "u"
        if any(interaction.reads for interaction in used) and self.appointment.search is not None:
            appointment += "s"
        created = {interaction.create for interaction in used if interaction.create not in (None, "Appointment")}
        named = [f"system/Appointment.{appointment}"] if appointment else []
        return sorted([*named, *(f"system/{kind}.c" for kind in created)])
