"""parser/er7.py: paths, silence and deletion, delimiters, limits; python-hl7 is the oracle for splitting."""

from __future__ import annotations

from datetime import UTC, datetime

import hl7
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certs.message import Msh, VerifiedMessage
from parser.er7 import DELETE, MAX_SEGMENTS, Message, Place, Value

SIU = "\r".join(
    (
        "MSH|^~\\&|EPIC|LAMNA^2.16.840.1^ISO|APPTSMS|LAMNA|20260301120000-0800||SIU^S12^SIU_S12|M1|P|2.5.1^USA^^",
        "SCH|10345^EPIC|20114^EPIC|||||||30|MIN|^^30^20260309120000^20260309123000~^^30^20260310120000",
        'PID|1||E1^^^LAMNA^MR||DOE&VON^PAT^""||19800101|F|""|""^x|1 MAIN ST||~5550100^PRN^CP~""~|&second',
        "AIS|1|A|OV^Office Visit|20260309120000",
        "AIS|2|A|LAB|20260309121500",
        "NTE|1||a\\F\\b\\.br\\c",
        "ZZ",
        "PV1A|not PV1",
        "ZZZ",
        "",
    )
)


def verified(payload: bytes, character_set: bytes = b"") -> VerifiedMessage:
    noon = datetime(2026, 3, 1, 20, tzinfo=UTC)
    return VerifiedMessage(
        payload=payload,
        digest=b"\0" * 32,
        msh=Msh(character_set=character_set),
        environment="production",
        thumbprint="AAAA",
        received_at=noon,
        sent_at=noon,
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-2.2", None),
        ("MSH-3", "EPIC"),
        ("MSH-4.2", "2.16.840.1"),
        ("MSH-9.2", "S12"),
        ("MSH-12", "2.5.1"),
        ("MSH-99", None),
        ("SCH-2.1", "20114"),
        ("SCH-11.4", "20260309120000"),
        ("SCH-11[2].4", "20260310120000"),
        ("SCH-11[3].4", None),
        ("SCH-11.1", None),
        ("SCH-3", None),
        ("PID-5", "DOE"),
        ("PID-5.1.2", "VON"),
        ("PID-5.1.3", None),
        ("PID-5.2.2", None),
        ("PID-5.3", DELETE),
        ("PID-5.3.2", DELETE),
        ("PID-9", DELETE),
        ("PID-9.4", DELETE),  # a deleted field deletes all of its components
        ("PID-10", DELETE),
        ("PID-10.2", "x"),
        ("PID-13", None),
        ("PID-13[2].3", "CP"),
        ("PID-13[3]", DELETE),
        ("PID-13[3].12", DELETE),
        ("PID-13[4]", None),
        ("PID-14", None),
        ("PID-14.1.2", "second"),
        ("AIS-4", "20260309120000"),
        ("AIS[2]-4", "20260309121500"),
        ("AIS[3]-4", None),
        ("NTE-3", "a|b\nc"),
        ("PV1-1", None),
        ("ZZZ-1", None),
        ("QRD-1", None),
    ],
)
def test_paths(path: str, expected: Value) -> None:
    assert Message(SIU).get(path) == expected


@pytest.mark.parametrize(
    "path", ["", "PID", "PID-0", "pid-3", "PID-3.", "PID-3[0]", "PID-3.1.1.1", "PID-3 ", "PIDX-3", "PID-123456"]
)
def test_not_a_path(path: str) -> None:
    with pytest.raises(ValueError, match="not an HL7 path"):
        Place.of(path)


def test_segments_and_fields() -> None:
    message = Message(SIU)
    pid = message.first("PID")
    assert pid is not None
    assert pid.field(13) == '~5550100^PRN^CP~""~'
    assert (pid.field(0), pid.field(-1), pid.field(99)) == ("", "", "")
    repetitions = pid.repetitions(13)
    assert [repetition.raw for repetition in repetitions] == ["", "5550100^PRN^CP", '""', ""]
    assert [repetition.component(1) for repetition in repetitions] == ["", "5550100", "", ""]
    assert [repetition.deleted for repetition in repetitions] == [False, False, True, False]
    assert pid.repetitions(12) == []
    assert [segment.field(1) for segment in message.segments("AIS")] == ["1", "2"]
    assert message.segments("PV1") == []
    assert message.first("PV1") is None
    assert repetitions[1].raw_component(3) == "CP"
    assert [repetition.text for repetition in pid.repetitions(5)] == ['DOE&VON^PAT^""']


def test_version_and_text() -> None:
    assert Message(SIU).version == "2.5.1"
    assert Message(SIU).text == SIU
    assert Message("MSH|^~\\&|A").version == ""
    assert Message("PID|1").version == ""


def test_header_delimiters_are_not_split() -> None:
    header = Message(SIU).first("MSH")
    assert header is not None
    assert [repetition.raw for repetition in header.repetitions(1)] == ["|"]
    assert [(repetition.raw, repetition.component(1)) for repetition in header.repetitions(2)] == [("^~\\&", "^~\\&")]


def test_only_so_many_repetitions_are_looked_at() -> None:
    message = Message("MSH|^~\\&\rPID|||" + "~".join(str(n) for n in range(3000)))
    pid = message.first("PID")
    assert pid is not None
    assert [repetition.raw for repetition in pid.repetitions(3)] == [str(n) for n in range(20)]
    assert [repetition.raw for repetition in pid.repetitions(3, limit=2)] == ["0", "1"]
    assert message.get("PID-3[3000]") == "2999"


def test_too_many_segments_are_an_error_value() -> None:
    full = "MSH|^~\\&|A\r" + "NTE|1\r" * (MAX_SEGMENTS - 1)
    message = Message(full)
    assert message.rejection is None
    assert len(message.segments("NTE")) == MAX_SEGMENTS - 1
    for extra in ("NTE|2\r", "NTE|2\r" * 60_000):
        refused = Message(full + extra)
        assert refused.rejection is not None
        assert (refused.rejection.code, refused.rejection.err3) == ("LIMIT", "102")
        assert refused.get("MSH-3") is None
        assert refused.segments("NTE") == []


def test_the_last_segment_may_lack_its_terminator() -> None:
    text = "MSH|^~\\&|A\r" + "NTE|1\r" * (MAX_SEGMENTS - 2) + "ZZZ|last"
    assert Message(text).get("ZZZ-1") == "last"
    assert Message(text + "\r").get("ZZZ-1") == "last"
    assert Message(text + "\rZZZ|more").rejection is not None


def test_thirty_thousand_subcomponents() -> None:
    message = Message("MSH|^~\\&\rPID|||||" + "&".join(str(n) for n in range(30_000)))
    assert message.get("PID-5.1.30000") == "29999"
    assert message.get("PID-5") == "0"


def test_a_lone_line_feed_is_data() -> None:
    message = Message("MSH|^~\\&|A\rNTE|1||x\nPID|1||evil\r")
    assert message.segments("PID") == []
    assert message.get("NTE-3") == "x\nPID"


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("MSH$%#!+$A%B\rPID$x+y%z!T!", "MSH-3.2", "B"),
        ("MSH$%#!+$A%B\rPID$x+y%z!T!", "PID-1.1.2", "y"),
        ("MSH$%#!+$A%B\rPID$x+y%z!T!", "PID-1.2", "z+"),
        ("MSH|^~\\&#|\\L\\", "MSH-3", "#"),
        ("MSH|^~\\&$|\\L\\", "MSH-3", "$"),
        ("MSH|^|a^b&c", "MSH-3.2", "b"),  # missing ones keep their usual meaning
        ("MSH|", "MSH-3", None),
        ("MSH", "MSH-2", None),
        ("", "MSH-1", None),
        ("\r\r\r", "MSH-3", None),
        ("PID|1^2", "PID-1.2", "2"),
    ],
)
def test_the_messages_own_delimiters(text: str, path: str, expected: str | None) -> None:
    assert Message(text).get(path) == expected


def test_decoded_delimiters_never_split() -> None:
    message = Message("MSH|^~\\&\rPID|||||A\\S\\B\\T\\C\\R\\D\\F\\E\\X0D\\PID\\X7C\\9^PAT\rPV1|1\r")
    assert message.get("PID-5") == "A^B&C~D|E\rPID|9"
    assert message.get("PID-5.2") == "PAT"
    assert len(message.segments("PID")) == 1


def test_nothing_of_the_message_shows_in_repr() -> None:
    message = Message(SIU)
    pid = message.first("PID")
    assert pid is not None
    shown = f"{message!r} {pid!r} {pid.repetitions(13)!r} {verified(SIU.encode())!r}"
    assert "5550100" not in shown
    assert "DOE" not in shown
    assert "9 segments" not in shown
    assert "7 segments" in shown


def test_of_decodes_and_warns() -> None:
    message = Message.of(verified(b"MSH|^~\\&|A\rPID|||||M\xfcller\r"), "cp1252")
    assert message.get("PID-5") == "Müller"
    assert [warning.code for warning in message.warnings] == ["CHARSET_FALLBACK"]


# --- python-hl7 as the oracle

_TEXT = st.text(st.sampled_from("abcXYZ019 .,-é字\"'()/"), max_size=6)
_TREE = st.lists(  # fields of repetitions of components of subcomponents
    st.lists(st.lists(st.lists(_TEXT, min_size=1, max_size=3), min_size=1, max_size=4), min_size=1, max_size=3),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees=st.lists(_TREE, min_size=1, max_size=3))
def test_splits_as_python_hl7_does(trees: list[list[list[list[list[str]]]]]) -> None:
    lines = [
        "ZZZ|" + "|".join("~".join("^".join("&".join(c) for c in r) for r in field) for field in tree) + "|."
        for tree in trees
    ]
    text = "MSH|^~\\&|A|B\r" + "\r".join(lines) + "\r"
    oracle = hl7.parse(text)
    message = Message(text)
    assert len(message.segments("ZZZ")) == len(oracle.segments("ZZZ")) == len(trees)
    for number, tree in enumerate(trees, start=1):
        segment = message.segments("ZZZ")[number - 1]
        for at, field in enumerate(tree, start=1):
            assert segment.field(at) == str(oracle.segments("ZZZ")[number - 1](at))
            assert len(segment.repetitions(at)) in (len(field), 0)
            for r, repetition in enumerate(field, start=1):
                for c, component in enumerate(repetition, start=1):
                    for s in range(1, len(component) + 1):
                        expected = oracle.extract_field("ZZZ", number, at, r, c, s)
                        value = message.get(f"ZZZ[{number}]-{at}[{r}].{c}.{s}")
                        assert ('""' if value is DELETE else value or "") == expected
