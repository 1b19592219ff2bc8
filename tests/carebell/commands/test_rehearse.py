"""`rehearse`: a folder of messages, or an invented feed, as a calendar, as rows and as a page that names no patient."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest

from tests.carebell.conftest import Carebell
from tests.story.folder import make

BOOKED: Final = (
    "MSH|^~\\&|EHR|{facility}|APPTSMS|{facility}|{sent}+0000||SIU^{event}^SIU_S12|{id}|{mode}|2.5.1\r"
    "SCH|{ref}P^LAMNA|{ref}F^LAMNA|||||Visit|OFFICE|30|min|^^30^{start}+0000||||||||||||||{status}\r"
    "PID|1||MRN77^^^LAMNA^MR||CANARYNAME^ZELDA||19700101|U|||||^PRN^CP^^1^202^5550{last}||en\r"
)


def booking(ref: str, sent: str, start: str, last: str = "143", **more: str) -> bytes:
    said = {"facility": "LAMNA", "event": "S12", "mode": "P", "status": "Booked", "id": f"C{ref}{sent}"}
    return BOOKED.format(ref=ref, sent=sent, start=start, last=last, **(said | more)).encode()


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    """Three bookings, one of them cancelled, one to the test environment, one to nobody, one without a start."""
    folder = tmp_path / "feed"
    folder.mkdir()
    contents = [
        booking("7001", "20260302180000", "20260310170000"),
        booking("7002", "20260303180000", "20260311170000", last="188"),
        booking("7002", "20260304180000", "20260311170000", last="188", event="S15", status="Cancelled"),
        booking("8001", "20260303190000", "20260312170000", facility="LAMNATST", mode="T"),
        booking("9001", "20260303190000", "20260312170000", facility="ELSEWHERE"),
        booking("7003", "20260303190000", ""),
    ]
    for number, content in enumerate(contents):
        (folder / f"{number}.hl7").write_bytes(content)
    return folder


def test_a_folder_gives_its_calendar(carebell: Carebell, tmp_path: Path, messages: Path) -> None:
    ended = carebell("-c", make(tmp_path / "clinic"), "rehearse", messages, "--days", 10)
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["Mon", "2026-03-02", "1", "0", "0", "0", "0"] in lines
    assert ["Wed", "2026-03-04", "0", "0", "1", "1"] in [line[:6] for line in lines]
    assert "6 messages of the folder feed; 2 of them cannot be used" in ended.out
    assert "no environment of the configuration takes its MSH-4" in ended.out
    assert "CANARYNAME" not in ended.out
    assert "5550143" not in ended.out


def rows_of(carebell: Carebell, *words: object) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """Texts, sums, and the last row."""
    *rows, last = carebell(*words, "--json").rows
    return [row for row in rows if "date" in row], [row for row in rows if "sent" in row], last


def test_rows_and_sums_agree(carebell: Carebell, tmp_path: Path, messages: Path) -> None:
    texts, sums, last = rows_of(carebell, "-c", make(tmp_path / "clinic"), "rehearse", messages, "--days", 14)
    assert {row["environment"] for row in texts} == {"production", "test"}
    for row in sums:
        own = [text for text in texts if text["environment"] == row["environment"]]
        assert row["sent"] == sum(text["status"] == "sent" for text in own)
        assert row["suppressed"] == Counter(text["reason"] for text in own if text["status"] == "suppressed")
        assert row["segments"] == sum(text["segments"] or 0 for text in own)
        assert sum(row["caps"]["per_day"]["numbers"].values()) == len({text["to"] for text in own if text["left"]})
    assert last["messages"] == 6
    assert sum(last["rejected"].values()) == 2
    assert {text["to"] for text in texts if text["left"]} == {"***0143", "***0188"}
    sent = [text for text in texts if text["appointment"] == "7001F" and text["left"]]
    assert [text["kind"] for text in sent] == ["booked", "reminder", "reminder"]
    assert all(text["text"] for text in sent)


def test_an_environment_takes_every_message_of_a_folder(carebell: Carebell, tmp_path: Path, messages: Path) -> None:
    texts, _, last = rows_of(carebell, "-c", make(tmp_path / "clinic"), "rehearse", messages, "-e", "production")
    assert {text["environment"] for text in texts} == {"production"}
    assert {"8001F", "9001F"} <= {text["appointment"] for text in texts}
    assert sum(last["rejected"].values()) == 1


def test_the_first_day_is_the_first_messages_or_the_one_given(
    carebell: Carebell, tmp_path: Path, messages: Path
) -> None:
    configuration = make(tmp_path / "clinic")
    assert rows_of(carebell, "-c", configuration, "rehearse", messages)[1][0]["from"] == "2026-03-02"
    texts, sums, _ = rows_of(carebell, "-c", configuration, "rehearse", messages, "--from", "2026-03-09", "--days", 2)
    assert sums[0]["from"] == "2026-03-09"
    assert {text["date"] for text in texts} <= {"2026-03-09", "2026-03-10"}


def test_an_invented_feed_is_the_same_for_one_seed(carebell: Carebell, tmp_path: Path) -> None:
    words = ("-c", make(tmp_path / "clinic"), "rehearse", "--simulate", 2, "--days", 3, "--from", "2026-03-02")
    first, again = rows_of(carebell, *words), rows_of(carebell, *words)
    assert first == again
    assert first[0]
    days = {date.fromisoformat(text["date"]) for text in first[0]}
    assert min(days) >= date(2026, 3, 2)
    assert max(days) < date(2026, 3, 2) + timedelta(days=3)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((), 2, "give a folder of messages, or --simulate"),
        (("{feed}", "--simulate", "2"), 2, "give a folder of messages, or --simulate"),
        (("{feed}", "-e", "nowhere"), 2, "no environment 'nowhere'"),
        (("{feed}/absent",), 1, "no such file or folder"),
        (("{feed}", "--from", "soon"), 2, "soon"),
        (("{feed}", "--days", "0"), 2, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_rehearsed(
    words: tuple[str, ...], code: int, why: str, carebell: Carebell, tmp_path: Path, messages: Path
) -> None:
    ended = carebell("-c", make(tmp_path / "clinic"), "rehearse", *(word.format(feed=messages) for word in words))
    assert ended.code == code
    assert why in ended.err
    assert ended.out == ""


def test_an_empty_folder_is_refused(carebell: Carebell, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = carebell("-c", make(tmp_path / "clinic"), "rehearse", tmp_path / "empty")
    assert ended.code == 1
    assert "0 messages of the folder empty" in ended.out


def test_a_file_that_is_no_hl7_is_named(carebell: Carebell, tmp_path: Path, messages: Path) -> None:
    (messages / "notes.txt").write_text("remember the milk\n")
    _, _, last = rows_of(carebell, "-c", make(tmp_path / "clinic"), "rehearse", messages)
    assert [line.rpartition("/")[2].partition(":")[0] for line in last["unreadable"]] == ["notes.txt"]


class Page(HTMLParser):
    """The elements of a page, and which are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "rect", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "path"):
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture
def page(carebell: Carebell, tmp_path: Path, messages: Path) -> str:
    file = tmp_path / "page.html"
    assert carebell("-c", make(tmp_path / "clinic"), "rehearse", messages, "--html", file, "--days", 14).code == 0
    return file.read_text("utf-8")


def test_the_page_names_no_patient(page: str) -> None:
    for canary in ("CANARYNAME", "ZELDA", "MRN77", "2025550143", "5550188", "7001", "8001"):
        assert canary not in page
    assert "***0143" in page


def test_the_page_asks_for_nothing(page: str) -> None:
    """No script, no address, no other file, and a policy that would stop them."""
    parsed = Page(page)
    assert parsed.open == []
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "img", "iframe", "form", "a"}
    names = {name for _, attributes in parsed.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "href", "style")}
    assert "://" not in page
    assert "url(" not in page
    assert "default-src 'none'" in page


def test_the_page_is_for_everybody(page: str) -> None:
    """Each chart has a title and a description, and its numbers as a table; ids are unique and references lead to one."""
    parsed = Page(page)
    charts = re.findall(r"<svg.*?</svg>", page)
    assert len(charts) >= 8
    for chart in charts:
        root = ET.fromstring(chart)
        assert root.get("role") == "img"
        title, description = (root.find(name) for name in ("title", "desc"))
        assert title is not None
        assert description is not None
        assert title.text
        assert description.text
        assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert page.count("<figure>") == len(charts) == page.count("<details><summary>The numbers")
    assert page.count("<table>") == page.count("<caption>")
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [attributes["lang"] for tag, attributes in parsed.tags if tag == "html"] == ["en"]
    assert [tag for tag, _ in parsed.tags].count("h1") == 1
    assert "prefers-color-scheme:dark" in page
