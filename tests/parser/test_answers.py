"""parser/answers.py and config/answers.yaml: every failure has its row, and an environment may change single answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from parser.ack import ERROR_TEXTS, Answer
from parser.answers import AnswerTable

SHIPPED = Path(__file__).parents[2] / "config" / "answers.yaml"

# The tables of the signing profile, section 9, and of hl7.md, written down once more.
EXPECTED = {
    "SIG01": ("AR", "100"),
    "SIG02": ("AR", "102"),
    "SIG03": ("AR", "102"),
    "SIG04": ("AR", "103"),
    "SIG05": ("AR", "207"),
    "SIG06": ("AR", "207"),
    "SIG07": ("AR", "207"),
    "SIG08": ("AR", "207"),
    "SIG09": ("AR", "102"),
    "SIG10": ("AR", "205"),
    "SIG11": ("AR", "102"),
    "DISABLED": ("AR", "207"),
    "NOHL7": ("AR", "199"),
    "BATCH": ("AE", "199"),
    "SIZE": ("AE", "104"),
    "TYPE": ("AR", "200"),
    "VERSION": ("AR", "203"),
    "LIMIT": ("AE", "102"),
    "FIELD": ("AE", "101"),
    "VALUE": ("AE", "102"),
    "UNSEEN": ("AA", "204"),
    "TRANSIENT": ("AE", "207"),
}


def shipped_rows() -> dict[str, dict[str, Any]]:
    rows = YAML(typ="safe", pure=True).load(SHIPPED.read_text(encoding="utf-8"))
    assert isinstance(rows, dict)
    return rows


def shipped(**overrides: Any) -> AnswerTable:
    return AnswerTable(shipped_rows(), overrides)


def test_the_shipped_table_is_the_specified_one() -> None:
    assert {row.code: (row.answer, row.err3[0]) for row in shipped()} == EXPECTED


def test_codes_of_several_err3() -> None:
    assert {row.code: row.err3 for row in shipped() if len(row.err3) > 1} == {
        "SIG08": ("207", "202"),
        "SIG10": ("205", "104", "102"),
        "TYPE": ("200", "201"),
    }


@pytest.mark.parametrize("code", EXPECTED)
def test_a_row_speaks_for_people(code: str) -> None:
    row = shipped().row(code)
    assert len(f"{code} {row.meaning}") <= 100
    for sentence in (row.meaning, row.advice):
        assert sentence.isascii()
        assert sentence.endswith(".")


def test_answer_takes_what_the_failure_knows_better() -> None:
    table = shipped()
    assert table.answer("FIELD") == Answer(
        answer="AE",
        code="FIELD",
        err3="101",
        text="A field that this event needs is missing.",
        meaning="A field that this event needs is missing.",
        severity="E",
        location=None,
    )
    known = table.answer("TYPE", "201", "S99 is not handled", "MSH^1^9")
    assert (known.answer, known.err3, known.text, known.location) == ("AR", "201", "S99 is not handled", "MSH^1^9")
    assert known.meaning == "This message type or event is not handled."


def test_a_warning_is_an_accepted_message() -> None:
    assert (shipped().answer("UNSEEN").answer, shipped().answer("UNSEEN").severity) == ("AA", "W")
    assert shipped(TYPE="AA").answer("TYPE").severity == "W"
    assert shipped(UNSEEN="AE").answer("UNSEEN").severity == "E"


def test_overrides_change_the_answer_alone() -> None:
    changed = {row.code: row for row in shipped(VALUE="AR")}
    for row in shipped():
        expected = "AR" if row.code == "VALUE" else row.answer
        assert (changed[row.code].answer, changed[row.code].err3) == (expected, row.err3)


def test_an_unknown_code_is_a_fault_of_the_program() -> None:
    assert "SIG99" not in shipped()
    assert "SIG01" in shipped()
    with pytest.raises(KeyError):
        shipped().answer("SIG99")


GOOD = {"answer": "AE", "err3": ["101"], "meaning": "m", "advice": "a"}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({**GOOD, "answer": "CE"}, "X1: answer is one of AA, AE, AR"),
        ({**GOOD, "err3": "101"}, "X1: err3 is a list"),
        ({**GOOD, "err3": []}, "X1: err3 is a list"),
        ({**GOOD, "err3": [101]}, "X1: err3 is a list"),
        ({**GOOD, "err3": ["999"]}, "X1: err3 is a list"),
        ({**GOOD, "meaning": " "}, "X1: meaning and advice"),
        ({**GOOD, "advise": "a"}, "X1: a row has the keys"),
        ({"answer": "AE"}, "X1: a row has the keys"),
    ],
)
def test_a_wrong_row(row: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        AnswerTable({"X1": row})


def test_wrong_overrides() -> None:
    with pytest.raises(ValueError, match="SIG99: no such failure; there are SIG01, "):
        shipped(SIG99="AA")
    with pytest.raises(ValueError, match="TYPE: answer is one of"):
        shipped(TYPE="CA")
    with pytest.raises(ValueError, match="TRANSIENT: AA would acknowledge"):
        shipped(TRANSIENT="AA")


def test_every_err3_has_its_text() -> None:
    assert {value for row in shipped() for value in row.err3} <= set(ERROR_TEXTS)
