"""What is remembered is what would be decided anew: reading, with all that it remembers, agrees with explaining."""

from __future__ import annotations

import random

import pytest

from parser.er7 import Message
from parser.recurring import Recurring
from parser.siu import explain, read
from tests.parser.reading import MAPS, SAMPLES, rules, verified
from tests.parser.test_er7 import verified as verified_bytes
from tests.parser.test_fuzz import mutated

SIU = (
    "MSH|^~\\&|EHR|LAMNATST|APPTSMS|LAMNATST|20260302090000-0600||SIU^S12^SIU_S12|1|T|2.5.1||||||UNICODE UTF-8\r"
    "SCH|1P^L|1F^L|7||||Visit|VIDEO|30|min|^^30^20260309140000-0500^20260309143000-0500||||||||||||||Booked\r"
    "TQ1|1||||||20260309140000-0500|20260309143000-0500\r"
    "PID|1||1^^^L^MR||Doe^Pat||19700101|U|||||^PRN^CP^^1^202^5550143~^WPN^PH^^1^202^5550144^0^desk||eng|||||||||||||||N\r"
    "PV1|1|O|NORTH^^^LAMNA||||1^Adams^Eve^^^Dr\r"
    "RGS|1|A\r"
    "AIS|1|A|VIDEO^VIDEO visit|20260309140000-0500|0|min|30|min||Booked\r"
    "AIL|1|A|NORTH^^^LAMNA|||20260309140000-0500||||||Confirmed\r"
    "AIL|2|D|SOUTH^^^LAMNA\r"
    "AIP|1|A|2^Baker|ATTENDING\r"
    "ZCN|yes\r"
)
VALUES = (
    *("", '""', "D", "Y", "yes", "Cancelled", "No-Show^Booked", "PHONE", "es", "SIU^S15", "SIU^S19", "ADT^A01", "2.3", "1.0"),
    *("20260309150000", "20260309", "a&b\\F\\c^x^y^z", "one~two", "~~x", "^PRN^FX^^1^202^5550199", "x" * 90),
)  # fmt: skip


def _altered() -> list[str]:
    """The message with each field in turn holding something else, each segment in turn missing, or there twice."""
    lines = SIU.split("\r")[:-1]
    altered = []
    for at, line in enumerate(lines):
        altered += ["\r".join([*lines[:at], *between, *lines[at + 1 :], ""]) for between in ((), (line, line))]
        fields = line.split("|")
        for number in range(2 if line.startswith("MSH") else 1, len(fields) + 2):
            for value in VALUES:
                changed = [*fields, "", ""]
                changed[number] = value
                altered.append("\r".join([*lines[:at], "|".join(changed), *lines[at + 1 :], ""]))
    return altered


def test_reading_agrees_with_explaining_whatever_field_differs_from_what_was_read_before() -> None:
    by = rules(
        visit_mode={"field": "AIS-3", "video": ["VIDEO"]},
        consent={
            "organization_allows_sending": True, "attendees_have_consented": True, "field": "ZCN-1", "granted": ["yes"]
        },
    )  # fmt: skip
    read(verified(SIU), by)
    for text in _altered():
        message = verified(text)
        assert read(message, by) == explain(message, by)[0]


@pytest.mark.parametrize("map_name", sorted(path.stem for path in MAPS.glob("*.yaml")))
def test_reading_agrees_with_explaining_on_samples_read_in_a_row_by_the_same_rules(map_name: str) -> None:
    by = rules(map_name)
    for path in (*SAMPLES.rglob("*.hl7"), *SAMPLES.rglob("*.hl7")):
        content = path.read_bytes()
        if content.startswith(b"MSH|"):
            message = verified(content)
            assert read(message, by) == explain(message, by)[0], path.name


def test_reading_agrees_with_explaining_on_damaged_messages() -> None:
    by, rng = rules(), random.Random(11)
    for _ in range(1500):
        data = mutated(rng)
        if data.startswith(b"MSH"):
            message = verified_bytes(data)
            assert read(message, by) == explain(message, by)[0]


def _decided(recurring: Recurring[int], texts: list[str]) -> int:
    """How often a decision was made for these messages."""
    made = []

    def decide() -> int:
        made.append(1)
        return len(made)

    for text in texts:
        recurring.meaning(Message(text), decide)
    return len(made)


def test_only_the_fields_of_the_decision_matter() -> None:
    texts = [
        "MSH|^~\\&|A\rAIL|1|A|N\r",
        "MSH|^~\\&|B\rAIL|2|A|N\r",
        "MSH|^~\\&|B\rAIL|2|D|N\r",
        "MSH|^~\\&|B\rAIL|1|A|N\rAIL|1|A|N\r",
    ]
    assert _decided(Recurring(["AIL-3.4"]), texts) == 3


def test_a_message_with_delimiters_of_its_own_is_always_decided_anew() -> None:
    assert _decided(Recurring(["PID-3"]), ["MSH|@~\\&|A\rPID|||1\r"] * 2) == 2


def test_long_texts_are_not_remembered_and_never_more_than_a_bound() -> None:
    assert _decided(Recurring(["PID-3"]), [f"MSH|^~\\&|A\rPID|||{'x' * 700}\r"] * 2) == 2
    recurring = Recurring[int](["PID-3"])
    many = [f"MSH|^~\\&|A\rPID|||{number}\r" for number in range(5000)]
    assert _decided(recurring, many) == 5000
    assert len(recurring) <= 4096
