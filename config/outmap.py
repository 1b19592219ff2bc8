"""An out-map: the HL7 v2 message for each event that goes back to an EHR, as data. The model of `ehr/outmaps/*.yaml`. Pure.

A field is a template: HL7 text with its own separators (`CONFIRMED^Patient confirmed by SMS^L`) and values in braces, of the closed
set `VALUES`. A value is escaped when it is put in, so that it can never become a separator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

VALUES: Final = {
    "placer_id": "the visit's placer id (SCH-1), with its authority",
    "filler_id": "the visit's filler id (SCH-2), with its authority",
    "visit_id": "the visit number (PV1-19), with its authority",
    "occurrence": "the visit's number in a series whose visits share their ids (SCH-3)",
    "control_id": "MSH-10",
    "event": "the event's name",
    "at": "when it happened, with the clinic's offset",
    "by": "who: patient, provider, guest, interpreter",
    "start": "the visit's start",
    "patient_id": "the repetitions of PID-3, with `patient_id: keep`; otherwise empty",
    "visit_code": "the visit's code in links",
    "started_at": "when the visit began, as the report has it",
    "ended_at": "when the visit ended",
    "duration": "the visit's length in seconds",
    "lobby_wait": "the wait in the lobby in seconds",
    "code": "the gateway's error code",
    "sms": "Carebell's id of the text",
    "browser": "family and version",
    "nr": "1, 2, 3 ... of a repeated segment",
    "step": "the step of the device test; in a segment with `for_each: steps`",
    "result": "its result: ok, or a code",
}
"""Name -> what it is."""
KEYS: Final = frozenset({"placer_id", "filler_id", "visit_id"})
"""The ids by which an EHR finds the visit: a message has at least one."""
_STEP_VALUES: Final = frozenset({"nr", "step", "result"})
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_TYPE: Final = re.compile(r"[A-Z]{3}\^[A-Z][0-9]{2}(\^[A-Z]{3}_[A-Z][0-9]{2})?")
EVENT_KEY: Final = (
    r"^(confirmed|cannot_come|call_me|text_delivered|text_failed|opted_out|waiting|connected|disconnected|device_test|visit_ended)"
    r"(\.(ask|patient|provider|guest|interpreter))?$"
)
"""An event, or one of its cases."""


def _template(text: str) -> str:
    if not text.isprintable() or "|" in text:
        raise ValueError("has a | or a character that cannot be seen; it is one field")
    for name in _PLACEHOLDER.findall(text):
        if name not in VALUES:
            raise ValueError(f"{{{name}}} is not a value; there are {', '.join(VALUES)}")
    if set(_PLACEHOLDER.sub("", text)) & set("{}"):
        raise ValueError("has a brace without its partner")
    return text


def _message_type(text: str) -> str:
    if _TYPE.fullmatch(text) is None:
        raise ValueError("is not a message type such as SIU^S14^SIU_S12 or ORU^R01^ORU_R01")
    return text


Template = Annotated[str, Field(max_length=250), AfterValidator(_template)]


class OutSegment(BaseModel):
    """One segment; it is left out if none of its values is there."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )
    segment: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2}$")]
    """Its name; not MSH and not ZSG, which Carebell writes."""
    for_each: Literal["steps"] | None = None
    """steps: one for each step of the device test."""
    fields: dict[Annotated[str, Field(pattern=r"^[1-9][0-9]?$")], Template] = Field(min_length=1)
    """Number to template."""

    @model_validator(mode="after")
    def _fits(self) -> OutSegment:
        if self.segment in ("MSH", "ZSG", "FHS", "BHS"):
            raise ValueError(f"{self.segment} is not written by a map")
        misplaced = _STEP_VALUES & set(self.names())
        if misplaced and self.for_each is None:
            raise ValueError(f"{{{min(misplaced)}}} needs `for_each: steps`")
        return self

    def names(self) -> Iterator[str]:
        """The values that it uses."""
        for template in self.fields.values():
            yield from _PLACEHOLDER.findall(template)


class OutMessage(BaseModel):
    """The message for one event."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )
    type: Annotated[str, AfterValidator(_message_type)]
    """MSH-9."""
    segments: list[OutSegment] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _finds_the_visit(self) -> OutMessage:
        if not KEYS & {name for segment in self.segments for name in segment.names()}:
            raise ValueError("has no {placer_id}, {filler_id} or {visit_id}: the EHR could not find the visit")
        return self


class OutMap(BaseModel):
    """One EHR's messages."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )
    name: str = Field(min_length=1, max_length=60)
    """A name for the map, shown by `carebell writeback show`."""
    messages: dict[Annotated[str, Field(pattern=EVENT_KEY)], OutMessage] = Field(min_length=1)
    """Event to message. `event.ask`: where the EHR is asked to act; `event.patient`, `.provider`, `.guest` or `.interpreter`: where
    that person is meant. The most precise one is taken."""

    def asks(self, event: str) -> bool:
        """Whether the EHR can be asked to act for it."""
        return f"{event}.ask" in self.messages

    def reports(self, event: str) -> bool:
        """Whether the EHR is told of it without being asked to act."""
        return any(key.partition(".")[0] == event and not key.endswith(".ask") for key in self.messages)

    def has(self, event: str) -> bool:
        """Whether there is a message for an event, whoever is meant."""
        return event in self.messages

    def message(self, event: str, *, by: str | None = None, ask: bool = False) -> OutMessage | None:
        """The message for an event; None: this map has none."""
        keys = [f"{event}.ask"] if ask else []
        keys += [f"{event}.{by}"] if by else []
        return next((self.messages[key] for key in (*keys, event) if key in self.messages), None)
