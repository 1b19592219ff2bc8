"""ehr/messages.py: an event becomes the same bytes each time, and no value becomes a separator."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.document import read_shipped
from config.load import OUT_MAPS, load
from config.outmap import VALUES, OutMap
from config.problems import ConfigurationError
from ehr.messages import OutgoingEvent, OutgoingHeader, Unrenderable, render
from scheduler.writeback import WritebackEvent
from tests.config.conftest import SMALL

AT = datetime(2026, 3, 1, 20, tzinfo=UTC)
ZONE = ZoneInfo("America/Los_Angeles")
HEADER = OutgoingHeader(
    sending_application="CAREBELL",
    sending_facility="LAMNA",
    receiving_application="EPIC",
    receiving_facility="LAMNA",
    processing_id="P",
    version="2.5.1",
)
SHIPPED = sorted(path.stem for path in OUT_MAPS.glob("*.yaml"))
EVERYTHING: dict[str, Any] = {
    "by": "patient",
    "code": 30003,
    "steps": {"camera": "ok", "microphone": "NotAllowedError"},
    "started_at": AT.isoformat(),
    "ended_at": AT.isoformat(),
    "duration": 600,
    "lobby_wait": 42,
}


def _map(name: str = "generic") -> OutMap:
    return OutMap.model_validate(read_shipped(OUT_MAPS / f"{name}.yaml").values)


def _event(event: WritebackEvent = WritebackEvent.CONFIRMED, **changes: Any) -> OutgoingEvent:
    known: dict[str, Any] = {
        "id": "01KCC5OK00VVVVVVVVVV",
        "at": AT,
        "facts": {},
        "aliases": ("EPIC|LAMNA|filler|123|EPI", "EPIC|LAMNA|placer|P9|"),
    }
    return OutgoingEvent(event=event, **(known | changes))


def test_a_confirmation_in_the_standards_form() -> None:
    assert render(_map(), HEADER, _event(patient_id="42^^^LAMNA^MR~7"), ZONE).decode().split("\r") == [
        r"MSH|^~\&|CAREBELL|LAMNA|EPIC|LAMNA|20260301120000-0800||SIU^S14^SIU_S12|01KCC5OK00VVVVVVVVVV|P|2.5.1",
        "SCH|P9|123^EPI||||CONFIRMED^Patient confirmed by SMS^L||||||||||^Carebell||||^Carebell|||||Confirmed",
        "PID|||42^^^LAMNA^MR~7",
        "RGS|1",
        "",
    ]


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("event", list(WritebackEvent))
def test_every_shipped_map_has_every_event_and_the_same_bytes_each_time(name: str, event: WritebackEvent) -> None:
    out_map, outgoing = _map(name), _event(event, facts=EVERYTHING)
    first = render(out_map, HEADER, outgoing, ZONE)
    assert first == render(out_map, HEADER, outgoing, ZONE)
    assert b"123^EPI" in first
    assert first.isascii()


def test_the_most_precise_message_is_taken() -> None:
    asked = render(_map(), HEADER, _event(WritebackEvent.CANNOT_COME, facts={"ask": True}), ZONE)
    told = render(_map(), HEADER, _event(WritebackEvent.CANNOT_COME), ZONE)
    provider = render(_map(), HEADER, _event(WritebackEvent.CONNECTED, facts={"by": "provider"}), ZONE)
    assert b"SRM^S04^SRM_S01" in asked
    assert b"SIU^S14^SIU_S12" in told
    assert b"PR_CONNECTED" in provider


def test_one_line_for_each_step() -> None:
    lines = render(_map(), HEADER, _event(WritebackEvent.DEVICE_TEST, facts=EVERYTHING), ZONE).decode().split("\r")
    assert [line.split("|")[:6:5] for line in lines if line.startswith("OBX")] == [
        ["OBX", "ok"],
        ["OBX", "NotAllowedError"],
    ]
    assert [line.split("|")[1] for line in lines if line.startswith("OBX")] == ["1", "2"]


def test_the_steps_stand_in_the_order_of_the_test() -> None:
    kept = {"call": "poor", "camera": "ok", "connection": "ok", "later": "ok", "microphone": "in_use", "speaker": "ok"}
    lines = render(_map(), HEADER, _event(WritebackEvent.DEVICE_TEST, facts={**EVERYTHING, "steps": kept}), ZONE)
    steps = [line.split("|")[3].split("^")[0] for line in lines.decode().split("\r") if line.startswith("OBX")]
    assert steps == ["camera", "microphone", "speaker", "connection", "call", "later"]


def test_enhanced_mode_asks_for_the_accept_answer_alone() -> None:
    header = OutgoingHeader(
        **{name: getattr(HEADER, name) for name in HEADER.__dataclass_fields__} | {"enhanced": True}
    )
    msh = render(_map(), header, _event(), ZONE).decode().split("\r")[0].split("|")
    assert msh[14:16] == ["AL", "NE"]


def test_a_visit_of_a_series_and_a_visit_number() -> None:
    aliases = ("EPIC|LAMNA|filler|123||4", "EPIC|LAMNA|visit|V7|HOSP")
    lines = render(_map("epic"), HEADER, _event(aliases=aliases), ZONE).decode().split("\r")
    assert lines[1].startswith("SCH||123|4|")
    assert lines[2].endswith("|V7^^^HOSP")


def test_what_cannot_be_rendered_says_why() -> None:
    with pytest.raises(Unrenderable) as no_id:
        render(_map(), HEADER, _event(aliases=("EPIC|LAMNA|visit|V7|",)), ZONE)
    only = OutMap(name="x", messages={"confirmed": _map().messages["confirmed"]})
    with pytest.raises(Unrenderable) as no_message:
        render(only, HEADER, _event(WritebackEvent.WAITING), ZONE)
    assert (no_id.value.code, no_message.value.code) == ("NO_VISIT_ID", "NO_MESSAGE")


@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=20))
def test_no_value_becomes_a_separator_or_another_segment(own_id: str, browser: str) -> None:
    alias = f"EPIC|LAMNA|filler|{own_id.replace('|', chr(92) + 'F' + chr(92))}|A"
    event = _event(WritebackEvent.DEVICE_TEST, facts={"steps": {browser: own_id}}, aliases=(alias, "E|L|placer|P|"))
    lines = render(_map(), HEADER, event, ZONE).decode().split("\r")
    assert [line[:3] for line in lines] == ["MSH", "OBR", "OBX", ""]
    obr, obx = lines[1].split("|"), lines[2].split("|")
    assert (len(obr), len(obx)) == (26, 15)
    assert obr[3].count("^") == 1
    assert not set(obx[5]) & set("^&~\n\x0b\x1c")


def test_a_value_outside_ascii_names_its_character_set() -> None:
    sent = render(_map(), HEADER, _event(aliases=("E|L|filler|ñ|",)), ZONE)
    assert sent.decode("utf-8").split("\r")[0].split("|")[17] == "UNICODE UTF-8"


HL7 = (
    "    writeback:\n      events: {confirmed: hl7}\n"
    "      hl7: {host: e.example, port: 6661, map: own.yaml,\n"
    "            sending_facility: A, receiving_application: B, receiving_facility: C}\n"
    "    listener: {port: 2575}\n"
)
NO_KEY = "own.yaml: has no {placer_id}, {filler_id} or {visit_id}: the EHR could not find the visit"
OWN = "name: x\nmessages:\n  %s:\n    type: SIU^S14\n    segments: [{segment: SCH, fields: {%s}}]\n"


def _load(folder: Path, event: str, fields: str) -> list[str]:
    (folder / "own.yaml").write_text(OWN % (event, fields), encoding="utf-8")
    (folder / "carebell.yaml").write_text(SMALL.replace("    listener: {port: 2575}\n", HL7, 1), encoding="utf-8")
    try:
        load(folder / "carebell.yaml", {})
    except ConfigurationError as error:
        return [f"{Path(problem.file).name}: {problem.why}" for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("event", "fields", "said"),
    [
        ("confirmed", '2: "{filler_id}"', []),
        ("waiting", '2: "{filler_id}"', ["carebell.yaml: the out-map own.yaml has no message for it"]),
        ("confirmed", "25: Confirmed", [NO_KEY]),
        ("confirmed", '2: "{filer_id}"', [f"own.yaml: {{filer_id}} is not a value; there are {', '.join(VALUES)}"]),
        ("confirmed", '2: "{filler_id}", 3: "{x"', ["own.yaml: has a brace without its partner"]),
        ("confirmed", '2: "{filler_id}", 3: "{step}"', ["own.yaml: {step} needs `for_each: steps`"]),
        ("confirmed", '2: "{filler_id}", 3: "a|b"', ["own.yaml: has a | or a character that cannot be seen; it is one field"]),
        ("confirmed", '2: "{filler_id}", 0: x', ["own.yaml: must be a field's number, 1 to 99"]),
        ("confirms", '2: "{filler_id}"', ["own.yaml: is not an event such as confirmed, cannot_come.ask or connected.patient"]),
    ],
)  # fmt: skip
def test_a_map_of_ones_own_is_checked_when_it_is_loaded(
    tmp_path: Path, event: str, fields: str, said: list[str]
) -> None:
    assert _load(tmp_path, event, fields) == said
