"""ehr/acknowledgements.py: what an engine answered, in both forms of ERR, and what follows from it."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr.acknowledgements import EngineAnswer, EngineVerdict, answer_words, judge, read_answer

MSH: Final = "MSH|^~\\&|EHR|L|CAREBELL|L|20260101||ACK|1|P|2.5.1\r"
REFUSES: Final = {"AE": "refuse", "AR": "refuse", "CE": "refuse", "CR": "refuse"}


@pytest.mark.parametrize(
    ("rest", "answer"),
    [
        ("MSA|AA|7\r", EngineAnswer(answer="AA", control_id=b"7")),
        ("MSA|CA|7\r\n", EngineAnswer(answer="CA", control_id=b"7")),
        (
            "MSA|AE|7|why\rERR||SCH^1^2|204^Unknown key^HL70357|E\r",
            EngineAnswer(answer="AE", control_id=b"7", err3="204"),
        ),
        ("MSA|AE|7\rERR|SCH^1^2^103&x\r", EngineAnswer(answer="AE", control_id=b"7", err3="103")),
        ("MSA|AR|7||||207^x\r", EngineAnswer(answer="AR", control_id=b"7", err3="207")),
        ("MSA|AE|7\rERR|||0|I\rERR|||101|E\r", EngineAnswer(answer="AE", control_id=b"7", err3="101")),
        ("MSA|AE|7\rERR|||DOE^JANE|E\r", EngineAnswer(answer="AE", control_id=b"7")),
        ("MSA|XX|7\r", None),
        ("MSA|AA\r", None),
        ("MSA|AA|7\rMSA|AA|8\r", None),
        ("PID|1\r", None),
        ("", None),
    ],
)
def test_an_acknowledgement_is_read(rest: str, answer: EngineAnswer | None) -> None:
    assert read_answer((MSH + rest).encode()) == answer


@given(st.binary(max_size=200))
def test_anything_else_is_none(content: bytes) -> None:
    assert read_answer(content) is None or b"MSA" in content
    read_answer(MSH.encode() + content)


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_a_locked_record_is_tried_again_whatever_is_configured(code: str) -> None:
    refused, locked = EngineAnswer(answer=code, control_id=b""), EngineAnswer(answer=code, control_id=b"", err3="206")
    assert judge(refused, REFUSES) is EngineVerdict.REFUSED
    assert judge(locked, REFUSES) is EngineVerdict.AGAIN
    assert judge(refused, REFUSES | {code: "retry"}) is EngineVerdict.AGAIN


def test_accepted_is_taken() -> None:
    assert {judge(EngineAnswer(answer=code, control_id=b""), REFUSES) for code in ("AA", "CA")} == {EngineVerdict.TAKEN}


def test_words_are_ours() -> None:
    assert answer_words("AE", "204") == "The EHR says: unknown key identifier (204). Does SCH-2 hold their number?"
    assert answer_words("AR", None) == "The EHR answered AR and says no more; its own log does."
    assert "(999)" in answer_words("AE", "999")
