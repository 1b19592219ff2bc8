"""Cleaning: what a name, a detail and a link may hold, and the hostile ones that must be dropped whole."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.segments import INVISIBLE
from notifier.values import DETAIL_LIMIT, NAME_LIMIT, clean_detail, clean_line, clean_link, clean_name

HOSTILE = {
    "url": "http://evil.example/login",
    "bare-domain": "evil.example",
    "short-domain": "x.co",
    "fullwidth-dot": "evil．example",
    "ideographic-dot": "evil。example",
    "expression": "{{7*7}}",
    "globals": '{{ cycler.__init__.__globals__.os.popen("id").read() }}',
    "placeholder": "{contact}",
    "log-line": "A\r\n2026-03-02 INFO message accepted from EPIC",
    "newline": "Alex\nRobin",
    "formula": '=HYPERLINK("http://evil.example","x")',
    "plus": "+1-2",
    "at": "@SUM(A1)",
    "sql": "x'); DROP TABLE appointments;--",
    "path": "../../etc/passwd",
    "shell": "$(id)`id`",
    "bidi": "Alex\u202eelgoog",
    "isolate": "\u2066Alex\u2069",
    "zero-width": "A\u200blex",
    "filler": "\u3164\u3164",
    "variation": "A\ufe0f",
    "escape": "\x1b[31mAlex",
    "nul": "Alex\x00",
    "surrogate": "Alex\ud800",
    "optional-part": "[Alex]",
    "long": "L" * 400,
}


@pytest.mark.parametrize("hostile", list(HOSTILE.values()), ids=list(HOSTILE))
def test_hostile_values_are_dropped(hostile: str) -> None:
    assert clean_name(hostile) is None
    assert clean_detail(hostile) is None


NAMES = {
    "plain": ("Alex Testpatient", "Alex Testpatient"),
    "spaces": ("  Alex   Testpatient ", "Alex Testpatient"),
    "apostrophe": ("O’Neil-Smith", "O'Neil-Smith"),
    "accents": ("María José", "María José"),
    "initials": ("J.R. Example", "J.R. Example"),
    "abbreviation": ("St. Example", "St. Example"),
    "devanagari": ("अमित", "अमित"),
    "han": ("王小明", "王小明"),
    "digit": ("Alex 2", None),
    "dash": ("-", None),
    "empty": ("", None),
    "missing": (None, None),
    "longest": ("A" * NAME_LIMIT, "A" * NAME_LIMIT),
    "too-long": ("A" * (NAME_LIMIT + 1), None),
}


@pytest.mark.parametrize(("name", "cleaned"), list(NAMES.values()), ids=list(NAMES))
def test_names(name: str | None, cleaned: str | None) -> None:
    assert clean_name(name) == cleaned


@pytest.mark.parametrize(
    ("detail", "cleaned"),
    [
        ("Suite 200, 1200 Main St #4", "Suite 200, 1200 Main St #4"),
        ("2nd floor (east) & garden", "2nd floor (east) & garden"),
        ("98101", "98101"),
        ("Call 900-555-0143 now", None),
        ("Room 9 0 0 5 5 5 0 1 4 3", None),
        ("evil.example/login", None),
        ("a" * DETAIL_LIMIT, "a" * DETAIL_LIMIT),
        ("a" * (DETAIL_LIMIT + 1), None),
    ],
)
def test_details(detail: str, cleaned: str | None) -> None:
    assert clean_detail(detail) == cleaned


@settings(deadline=None)
@given(st.text(max_size=80))
def test_whatever_passes_holds_allowed_characters_alone(text: str) -> None:
    name, detail = clean_name(text), clean_detail(text)
    if name is not None:
        assert all(unicodedata.category(char)[0] in "LM" or char in " '-." for char in name)
        assert len(name) <= NAME_LIMIT
    if detail is not None:
        assert all(unicodedata.category(char)[0] in "LM" or char in " '-.,#&()/0123456789" for char in detail)
        assert len(detail) <= DETAIL_LIMIT
    assert not set((name or "") + (detail or "")) & INVISIBLE


HOSTS = ("video.lamna.example", "*.meet.example")


@pytest.mark.parametrize(
    "link",
    [
        "https://video.lamna.example/j/12345?pwd=a%20b#start",
        "https://VIDEO.lamna.example/j/1",
        "https://video.lamna.example:443/j/1",
        "https://us02.meet.example/j/1",
        "https://a.b.meet.example",
    ],
)
def test_links_to_listed_hosts_stay_as_they_are(link: str) -> None:
    assert clean_link(link, HOSTS) == link


@pytest.mark.parametrize(
    "link",
    [
        "http://video.lamna.example/j/1",
        "javascript:alert(1)",
        "video.lamna.example/j/1",
        "https://video.lamna.example.evil.example/",
        "https://evil.example/video.lamna.example",
        "https://evil.example?video.lamna.example",
        "https://evil.example#.meet.example",
        "https://evil.example\\@video.lamna.example/",
        "https://video.lamna.example@evil.example/",
        "https://user:word@video.lamna.example/",
        "https://video.lamna.example:8443/",
        "https://video.lamna.example:x/",
        "https://meet.example/",
        "https://evilmeet.example/",
        "https://video.lamna.example./",
        "https://video.lamna.example%2eevil.example/",
        "https://vide\u043e.lamna.example/",
        "https://video.lamna.example/\u202e",
        "https://video.lamna.example/a b",
        "https://video.lamna.example/\n",
        "https://video.lamna.example/{contact}",
        "https://[::1]/",
        "https://[video.lamna.example/",
        "https://",
        "https://video.lamna.example/" + "a" * 300,
        "",
    ],
)
def test_other_links_are_dropped(link: str) -> None:
    assert clean_link(link, HOSTS) is None


def test_no_link_passes_without_listed_hosts() -> None:
    assert clean_link("https://video.lamna.example/", ()) is None
    assert clean_link(None, HOSTS) is None


@settings(deadline=None)
@given(st.text(max_size=60))
def test_links_never_raise_and_never_leave_the_listed_hosts(text: str) -> None:
    for link in (text, f"https://{text}", f"https://video.lamna.example{text}"):
        kept = clean_link(link, HOSTS)
        assert kept is None or kept.lower().startswith("https://video.lamna.example") or ".meet.example" in kept.lower()


def test_the_configurations_own_words_stay_on_one_line() -> None:
    assert clean_line(" Lamna\nHealth\x07care –  “West” ") == 'Lamna Health care - "West"'
