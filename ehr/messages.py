"""The HL7 v2 message that tells the EHR about one event, from an out-map. Pure: the same values give the same bytes.

MSH-7 is the event's time and MSH-10 the row's id, so that a message that is sent again is the same message. Values are escaped;
text of the map is not, because its separators are meant. Bytes are ASCII, or UTF-8 with MSH-18 where a value needs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Final, Literal

from config.outmap import KEYS, OutMap, OutMessage, OutSegment
from scheduler.device_test import DeviceTestStep
from scheduler.writeback import Fact, WritebackEvent

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_ESCAPES: Final = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
_STEPS: Final = [step.value for step in DeviceTestStep]
_INSTANTS: Final = frozenset({"started_at", "ended_at"})


class Unrenderable(ValueError):
    """No message can be made: `code` NO_MESSAGE (the map has none for this event) or NO_VISIT_ID (no id that the EHR knows)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingHeader:
    """MSH of all messages to one target.

    Attributes:
        enhanced: MSH-15 AL. application_ack: MSH-16 then.
    """

    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str
    processing_id: str
    version: str
    enhanced: bool = False
    application_ack: Literal["NE", "ER", "AL"] = "NE"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingEvent:
    """Attributes:
    id: MSH-10. at: when it happened, aware.
    aliases: of the visit, as `parser.identity` writes them.
    start: of the visit; None: unknown.
    patient_id: the repetitions of PID-3 as HL7 text with `^~\\&` (`parser.patient_id`); None: not kept.
    """

    id: str
    event: WritebackEvent
    at: datetime
    facts: Mapping[str, Fact]
    aliases: Sequence[str]
    start: datetime | None = None
    patient_id: str | None = field(default=None, repr=False)


def render(out_map: OutMap, header: OutgoingHeader, event: OutgoingEvent, zone: tzinfo) -> bytes:
    """The message, CR after each segment, without the MLLP frame and without a signature.

    Args:
        zone: the clinic's; times carry its offset.

    Raises:
        Unrenderable: the map has no message for the event, or no id of the visit is known that the map uses.
    """
    by, ask = event.facts.get("by"), event.facts.get("ask") is True
    message = out_map.message(event.event.value, by=by if isinstance(by, str) else None, ask=ask)
    if message is None:
        raise Unrenderable("NO_MESSAGE", f"the out-map {out_map.name} has no message for {event.event.value}")
    values = _values(event, zone)
    if not any(values[name] for name in KEYS & _names(message)):
        raise Unrenderable("NO_VISIT_ID", "no id of this visit is known that the out-map sends")
    lines = [line for segment in message.segments for line in _lines(segment, values, event)]
    text = "".join(f"{line}\r" for line in lines)
    own_header = _header(header, message.type, values["at"], event.id, is_ascii=text.isascii())
    return f"{own_header}\r{text}".encode()


def _names(message: OutMessage) -> set[str]:
    return {name for segment in message.segments for name in segment.names()}


def _header(header: OutgoingHeader, message_type: str, at: str, control_id: str, *, is_ascii: bool) -> str:
    names = (
        header.sending_application, header.sending_facility, header.receiving_application, header.receiving_facility,
    )  # fmt: skip
    acknowledgements = ("AL", header.application_ack) if header.enhanced else ("", "")
    fields = [
        "MSH", "^~\\&", *(_escaped(name) for name in names), at, "", message_type, control_id, header.processing_id,
        header.version, "", "", *acknowledgements, "", "" if is_ascii else "UNICODE UTF-8",
    ]  # fmt: skip
    return "|".join(fields).rstrip("|")


def _lines(segment: OutSegment, values: Mapping[str, str], event: OutgoingEvent) -> Iterator[str]:
    if segment.for_each is None:
        steps: list[Mapping[str, str]] = [{}]
    else:
        listed = event.facts.get("steps")
        pairs = sorted(listed.items(), key=_place) if isinstance(listed, Mapping) else ()
        steps = [
            {"nr": str(nr), "step": _escaped(step), "result": _escaped(result)}
            for nr, (step, result) in enumerate(pairs, 1)
        ]
    for step in steps:
        line = _line(segment, {**values, **step})
        if line is not None:
            yield line


def _place(pair: tuple[str, str]) -> int:
    """Of a step in the device test: a row's facts are kept in the order of their names."""
    return _STEPS.index(pair[0]) if pair[0] in _STEPS else len(_STEPS)


def _line(segment: OutSegment, values: Mapping[str, str]) -> str | None:
    """None: it has values, and none of them is there."""
    used = set(segment.names()) - {"nr", "at"}
    if used and not any(values.get(name) for name in used):
        return None
    fields = [""] * max(map(int, segment.fields))
    for number, template in segment.fields.items():
        fields[int(number) - 1] = _PLACEHOLDER.sub(lambda match: values.get(match[1], ""), template)
    return "|".join((segment.segment, *fields)).rstrip("|")


def _values(event: OutgoingEvent, zone: tzinfo) -> dict[str, str]:
    """Every value of `config.outmap.VALUES` that is known of the event itself, ready to stand in a field."""
    ids = _ids(event.aliases)
    plain = {
        name: value
        for name, value in event.facts.items()
        if name not in _INSTANTS and value is not None and not isinstance(value, Mapping)
    }
    values = {name: _escaped(str(value)) for name, value in plain.items()}
    for name in _INSTANTS & event.facts.keys():
        values[name] = _time(datetime.fromisoformat(str(event.facts[name])), zone)
    return values | {
        "placer_id": ids.get("placer", ""),
        "filler_id": ids.get("filler", ""),
        "visit_id": ids.get("visit", ""),
        "occurrence": ids.get("occurrence", ""),
        "control_id": event.id,
        "event": event.event.value,
        "at": _time(event.at, zone),
        "start": "" if event.start is None else _time(event.start, zone),
        "patient_id": _UNSEEN.sub(" ", event.patient_id or "").replace("|", "\\F\\"),
    }


def _ids(aliases: Sequence[str]) -> dict[str, str]:
    """Kind -> the first id of it, as a field; and the occurrence, where visits of a series share their ids."""
    ids: dict[str, str] = {}
    for alias in aliases:
        _, _, kind, own_id, authority, *occurrence = (*alias.split("|"), "", "")
        given, assigned_by = (_escaped(part.replace("\\F\\", "|")) for part in (own_id, authority))
        between = "^^^" if kind == "visit" else "^"
        ids.setdefault(kind, f"{given}{between}{assigned_by}" if assigned_by else given)
        if occurrence[0]:
            ids.setdefault("occurrence", _escaped(occurrence[0]))
    return ids


def _time(instant: datetime, zone: tzinfo) -> str:
    return instant.astimezone(zone).strftime("%Y%m%d%H%M%S%z")


def _escaped(text: str) -> str:
    return _UNSEEN.sub(" ", text).translate(_ESCAPES)
