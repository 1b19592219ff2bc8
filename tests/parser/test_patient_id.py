"""parser/patient_id.py: PID-3 for the EHR that sent it, in the usual delimiters whatever the sender's are."""

from __future__ import annotations

import pytest

from parser.er7 import Message
from parser.event import FORGET
from parser.evidence import Trace
from parser.patient_id import LONGEST, find_patient_id

USUAL = "MSH|^~\\&|\r"
OTHERS = "MSH*:+!$*\r"


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("42^^^LAMNA^MR~7^^^STATE&2.16.840&ISO^SS", "42^^^LAMNA^MR~7^^^STATE&2.16.840&ISO^SS"),
        ("42", "42"),
        ("~42^^^LAMNA~~^^^LAMNA", "42^^^LAMNA~^^^LAMNA"),
        ('""~42', "42"),
        ('""^^^LAMNA~42', "42"),
        ("^&^~42", "42"),
        ("A\\T\\B^^^X\\F\\Y", "A\\T\\B^^^X\\F\\Y"),
        ("A\\X42\\", "AB"),
        ("", None),
        ("~", None),
        ('""', FORGET),
    ],
)
def test_repetitions_stay_as_they_are_written(written: str, given: object) -> None:
    assert find_patient_id(Message(f"{USUAL}PID|1||{written}||NAME^ALEX\r")) == given


def test_other_delimiters_become_the_usual_ones() -> None:
    message = Message(f"{OTHERS}PID*1**42:::LAMNA$1:MR+7|8^9:::!T!\r")
    assert find_patient_id(message) == "42^^^LAMNA&1^MR~7\\F\\8\\S\\9^^^$"


def test_without_a_patient_nothing_is_said() -> None:
    assert find_patient_id(Message(f"{USUAL}SCH|1\r")) is None


def test_what_would_be_too_long_is_left_out_whole() -> None:
    long = "9" * (LONGEST - 3)
    assert find_patient_id(Message(f"{USUAL}PID|1||42~{long}\r")) == f"42~{long}"
    assert find_patient_id(Message(f"{USUAL}PID|1||42~{long}0~7\r")) == "42~7"


def test_the_trace_has_no_id() -> None:
    trace = Trace()
    find_patient_id(Message(f"{USUAL}PID|1||MRN00042\r"), trace)
    assert [(evidence.name, evidence.value) for evidence in trace.evidence] == [("patient_id", "***")]
