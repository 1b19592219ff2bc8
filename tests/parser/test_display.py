"""parser/display.py and parser/patient.py: what texts may show is one clean line, and links lead only where they may."""

from __future__ import annotations

import unicodedata
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser.display import find_conference, find_link, find_mode, one_line
from parser.er7 import Message
from parser.evidence import Trace
from parser.patient import find_consent, find_deceased

HOSTS = frozenset({"meet.lamna.example"})


def message(*segments: str) -> Message:
    return Message("MSH|^~\\&|A\r" + "".join(f"{segment}\r" for segment in segments))


@given(st.text(max_size=300))
def test_one_line_is_one_clean_short_line(text: str) -> None:
    line = one_line(text)
    assert len(line) <= 60
    assert line == " ".join(line.split())
    assert all(unicodedata.category(character)[0] != "C" for character in line)
    assert one_line(line) == line


@pytest.mark.parametrize(
    "link",
    [
        "https://meet.lamna.example",
        "https://meet.lamna.example/",
        "https://MEET.lamna.example/j/1?pwd=a&b=c#d",
        "https://meet.lamna.example/j/1~2/(x)",
    ],
)
def test_links_that_pass(link: str) -> None:
    assert find_link(message(f"ZVV|{link}"), "ZVV-1", HOSTS)[0] == link


@pytest.mark.parametrize(
    "link",
    [
        "http://meet.lamna.example/j/1",
        "https://meet.lamna.example:8443/j/1",
        "https://meet.lamna.example@evil.example/",
        "https://evil.example/?meet.lamna.example",
        "https://meet.lamna.example.evil.example/",
        "https://evil.example\\@meet.lamna.example/",
        "https://meet.lamna.example/j\\F\\1",
        "https://meet.lamna.example/j/\\X0D0A\\x",
        "https://meet.lamna.example/<script>",
        "https://meet.lamna.example/\u202e",
        "javascript:alert(1)",
        "meet.lamna.example/j/1",
        "https://meet.lamna.example/" + "x" * 500,
    ],
)
def test_links_that_do_not(link: str) -> None:
    passed_on, odd = find_link(message(f"ZVV|{link}"), "ZVV-1", HOSTS)
    assert (passed_on, [warning.code for warning in odd]) == (None, ["JOIN_LINK_REFUSED"])


@given(st.text(max_size=60) | st.from_regex(r"https://[a-z.@:/\\?#\[\]-]{0,40}", fullmatch=True))
def test_whatever_passes_leads_to_an_allowed_host(text: str) -> None:
    passed_on, _ = find_link(message(f"ZVV|{text}".replace("\r", "")), "ZVV-1", frozenset({"a", "a.b"}))
    if passed_on is not None:
        parts = urlsplit(passed_on)
        assert (parts.scheme, parts.netloc.lower() in {"a", "a.b"}) == ("https", True)


def test_silence_and_deletion_are_no_refused_links() -> None:
    for given_value in ("", '""', " "):
        assert find_link(message(f"ZVV|{given_value}"), "ZVV-1", HOSTS) == (None, ())
    assert find_link(message("ZVV|https://meet.lamna.example"), None, HOSTS) == (None, ())


def test_a_link_in_a_component_keeps_its_subcomponents() -> None:
    link = "https://meet.lamna.example/j?a=1&b=2"
    assert find_link(message(f"ZVV|x^{link}"), "ZVV-1.2", HOSTS)[0] == link


@pytest.mark.parametrize(
    ("services", "mode"),
    [
        ([], None),
        ([""], None),
        ([" office"], "in-person"),
        (["LAB", "video"], "video"),
        (["TELE", "PHONE"], "video"),
        (['""'], None),
    ],
)
def test_visit_modes(services: list[str], mode: str | None) -> None:
    modes = {"video": "video", "tele": "video", "phone": "phone"}
    parsed = message(*(f"AIS|{n}|A|{service}" for n, service in enumerate(services, 1)))
    assert find_mode(parsed, "AIS-3", modes) == mode


@pytest.mark.parametrize(
    ("value", "consent"),
    [("", None), ('""', None), ("Y", True), ("y ", True), ("N", False), ("maybe", False), ("Y~N", False)],
)
def test_consent(value: str, consent: bool | None) -> None:
    assert find_consent(message(f"PD1|{value}"), "PD1-1", frozenset({"y"})) is consent
    assert find_consent(message(f"PD1|{value}"), None, frozenset({"y"})) is None


@pytest.mark.parametrize(
    ("date", "flag", "dead"),
    [
        ("", "", False),
        ('""', '""', False),
        ("", "N", False),
        ("", "Y", True),
        ("20260301", "", True),
        ("20260301", "N", True),
    ],
)
def test_death(date: str, flag: str, dead: bool) -> None:
    parsed = message("PID" + "|" * 29 + f"{date}|{flag}")
    assert find_deceased(parsed, "PID-30", "PID-29") is dead


@pytest.mark.parametrize(
    ("segments", "conference"),
    [
        (("ZCH|||G-77",), "G-77"),
        (("ZCH||| G-77 ",), "G-77"),
        (("ZCH|||", "OBX|1|ST|||G-78"), "G-78"),
        (('ZCH|||""',), ""),
        (('ZCH|||""', "OBX|1|ST|||G-78"), "G-78"),
        (("ZCH|||" + "x" * 120,), "x" * 120),
        (("ZCH|||" + "x" * 121,), None),
        (("ZCH|||G\\X0D\\7",), None),
        (("ZCH|||",), None),
        ((), None),
    ],
)
def test_a_conference_is_used_whole_or_not_at_all(segments: tuple[str, ...], conference: str | None) -> None:
    trace = Trace()
    assert find_conference(message(*segments), ["ZCH-3", "OBX-5"]) == conference
    assert find_conference(message(*segments), ["ZCH-3", "OBX-5"], trace) == conference
    [evidence] = trace.evidence
    assert (evidence.name, evidence.value) == ("conference", conference or None)
    assert {candidate.field for candidate in evidence.candidates} == {"ZCH-3", "OBX-5"}
    assert ("takes the visit out" in (evidence.note or "")) is (conference == "")
