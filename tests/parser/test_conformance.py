"""parser/conformance.py: hl7apy's findings as warnings, with no value of the message in them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parser.conformance import MAX_CHARACTERS, MAX_SEGMENTS, report

HEADER = "MSH|^~\\&|EPIC|LAMNA|APPTSMS|LAMNA|20260301120000-0800||SIU^S12^SIU_S12|M1|P|2.5.1\r"
COMPLETE = HEADER + "SCH|10345^EPIC|20114^EPIC||||BOOK^New booking|||30|MIN||||||^DOE||||^CREATOR\r"


def findings(text: str, version: str = "2.5.1") -> set[tuple[str, str | None]]:
    return {(warning.code.removeprefix("CONFORMANCE_"), warning.field) for warning in report(text, version)}


def test_each_kind_of_finding() -> None:
    text = (
        HEADER.replace("|P|", "|CANARY|")
        + "SCH|10345\r"
        + "PID|1||E1^^^LAMNA^MR||DOE^PAT~^CANARY||CANARY|CANARY"
        + "|" * 60
        + "CANARY\r"
        + "AIS|1|A|OV\r"
        + "AIS\r"
    )
    warnings = report(text, "2.5.1")
    assert findings(text) >= {
        ("TABLE", "MSH-11.1"),
        ("REQUIRED", "SCH-6"),
        ("REQUIRED", "SCH-16"),
        ("TABLE", "PID-8"),
        ("UNKNOWN", "PID"),
        ("REQUIRED", "AIS[2]-1"),
    }
    assert "CANARY" not in str(warnings)
    assert "DOE" not in str(warnings)


def test_a_complete_message_has_no_finding() -> None:
    assert findings(COMPLETE) == set()


def test_z_segments_are_seen() -> None:
    assert findings(COMPLETE + "ZPM|1|x\r") == set()
    assert findings(COMPLETE + "ZPM|1|x^y\r") == {("UNKNOWN", "ZPM")}
    assert findings(COMPLETE + "?X?|1\r") == {("UNREADABLE", None)}


def test_withdrawn_fields() -> None:
    assert ("OCCURRENCES", "PID-19") in findings(
        HEADER.replace("2.5.1", "2.8") + "PID|||E1||DOE" + "|" * 14 + "1\r", "2.8"
    )


def test_versions_without_reference() -> None:
    for version in ("2.9", "", "3.0", "CANARY"):
        (warning,) = report(COMPLETE, version)
        assert (warning.code, warning.field) == ("CONFORMANCE_VERSION", "MSH-12")
        assert "2.5.1" in warning.text
        assert "CANARY" not in warning.text


@pytest.mark.parametrize(
    "version", ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2"]
)
def test_every_version_of_hl7apy(version: str) -> None:
    assert ("REQUIRED", "SCH-1") not in findings(COMPLETE.replace("2.5.1", version), version)
    assert {code for code, _ in findings("PV1|1\r", version)} <= {"REQUIRED", "OCCURRENCES"}


def test_own_delimiters() -> None:
    assert findings(COMPLETE.translate(str.maketrans("|^~\\&", "$%#!+"))) == set()


def test_long_messages_are_not_validated() -> None:
    for text in (HEADER + "NTE|1\r" * MAX_SEGMENTS, HEADER + "NTE|1||" + "x" * MAX_CHARACTERS):
        assert findings(text) == {("SKIPPED", None)}


@settings(deadline=None, max_examples=60)
@given(
    text=st.text(st.sampled_from("MSHPIDSCHAISZ|^~\\&\r\n\"'\x00\x1b0123456789é字 ."), max_size=120),
    version=st.sampled_from(["2.3", "2.5.1", "2.8"]),
)
def test_a_report_never_fails(text: str, version: str) -> None:
    for warning in report(HEADER + text, version):
        assert warning.code.startswith("CONFORMANCE_")
        assert warning.text.isascii()
        assert "\x1b" not in f"{warning.field}{warning.text}"


def test_hl7apy_is_imported_at_the_first_report_only() -> None:
    program = "import sys, parser.conformance; sys.exit(any(name.startswith('hl7apy') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
