"""The pages SMS notifications, Texts not sent, Why no text?, Outbox and Messages over what a service really stored and logged."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Final
from urllib.parse import quote_plus

import pytest

from carebell.commands.open_store import Opened
from carebell.commands.open_store import opened as opened_store
from carebell.inquiries.day_sums import DaySums
from carebell.staff.messages import MessagesInquiry
from carebell.staff.outbox import OutboxInquiry
from carebell.staff.sms_report import SmsReports
from carebell.staff.why import WhyInquiry
from portal.pages import messages, outbox, sms_report, why
from portal.people import Browser as Peer
from portal.people import Session
from portal.roles import Role
from store import audit, sms_pages
from store.audit import AuditEntry, AuditFilter, Author
from tests.carebell.conftest import Carebell
from tests.portal.pages.staff import Browser, browsing, words
from tests.story.clinic import Clinic, opened
from tests.story.ehr import signed, unsigned
from tests.story.folder import change, make

PATIENT: Final = "+12025550188"
OTHER: Final = "+12025550143"
OF_A_PATIENT: Final = ("5550188", "5550143", "TESTPATIENT", "ALEX", "MRN00042", "19800101")
CANARY: Final = "<b>canary</b>"
NOW: Final = datetime.now(UTC).replace(microsecond=0)
"""The clock of commands is the machine's, so the service lives now."""
ALL_DAY: Final = {"quiet_hours": {"from": "00:00", "to": "00:01"}, "max_lateness": "24h"}


async def _live(clinic: Clinic) -> None:
    visit = NOW + timedelta(days=18)
    await clinic.send(
        signed("S12", "C1", sent=NOW, start=visit, reference="A1", phone=PATIENT),
        signed("S12", CANARY, sent=NOW, start=visit, reference=CANARY, phone=OTHER),
        signed("S12", "C3", sent=NOW, start=visit, reference="=HYPERLINK", phone="UNKNOWN"),
        unsigned("S12", "R1", sent=NOW, start=visit, reference="A9", phone=PATIENT),
    )
    await clinic.pass_by(timedelta(minutes=2))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a service that took three bookings and refused one message."""
    path = make(tmp_path_factory.mktemp("lived"))
    change(
        path,
        {
            "environments": {
                "production": {"sms": {"quiet_hours": {"from": "00:00", "to": "00:01"}, "max_lateness": "24h"}}
            }
        },
    )

    async def live() -> None:
        async with opened(path, at=NOW) as clinic:
            await _live(clinic)

    asyncio.run(live())
    return path


def _author(by: Session, browser: Peer) -> Author:
    return Author(who=f"portal:{by.person.login}", origin=f"address={browser.address}")


@pytest.fixture(scope="module")
def source(lived: Path) -> Iterator[Opened]:
    with opened_store(lived) as source:
        yield source


@pytest.fixture
def browser(source: Opened) -> Iterator[Browser]:
    pages = (
        *sms_report.pages(
            SmsReports(
                source=source,
                sums=DaySums(store=source.store, now=source.now, count=sms_pages.sums),
                author=_author,
            )
        ),
        *why.pages(WhyInquiry(source=source, author=_author)),
        *outbox.pages(OutboxInquiry(source=source)),
        *messages.pages(MessagesInquiry(source=source)),
    )
    with browsing(pages, now=NOW) as browser:
        yield browser.sign_in(Role.SUPPORT)
    assert browser.failures == []


def _entries(source: Opened, action: str) -> list[AuditEntry]:
    with source.store.read() as conn:
        return list(audit.entries(conn, AuditFilter(action=action)))


SPAN: Final = f"from={NOW.date()}&to={NOW.date() + timedelta(days=20)}"


@pytest.mark.parametrize(
    "address",
    [
        f"/reports/sms?{SPAN}", f"/reports/sms?{SPAN}&columns=appointment&columns=reason", f"/reports/silences?{SPAN}",
        "/outbox", "/outbox?state=accepted", "/outbox?state=unknown", "/messages",
    ],
)  # fmt: skip
def test_no_page_holds_a_patient_or_markup_of_a_sender(browser: Browser, address: str) -> None:
    answer = browser.get(address)
    assert answer.status_code == 200
    assert [secret for secret in OF_A_PATIENT if secret in answer.text] == []
    assert CANARY not in answer.text


@pytest.mark.parametrize("wanted", ["A1", CANARY, "R1", PATIENT, OTHER, "nothing"])
def test_no_answer_holds_a_patient_or_markup_of_a_sender(browser: Browser, wanted: str) -> None:
    answer = browser.post("/why", {"telephone": wanted})
    assert answer.status_code == 200
    assert [secret for secret in OF_A_PATIENT if secret in answer.text.replace("+1 202 555 0143", "")] == []
    assert CANARY not in answer.text


def test_the_file_is_that_of_the_command(carebell: Carebell, browser: Browser, source: Opened, lived: Path) -> None:
    first, last = NOW.date(), NOW.date() + timedelta(days=20)
    answer = browser.post("/reports/sms/csv", {"from": str(first), "to": str(last)})
    entry = _entries(source, "report.export")[-1]
    printed = carebell("-c", lived, "report", "sms", "--from", first, "--to", last, "--csv")
    assert answer.content.decode() == printed.out
    assert printed.out.count("\n") > 5
    assert "'=HYPERLINK" in printed.out
    assert (entry.actor, entry.subject, entry.after) == (
        "portal:sam", f"{first} to {last}", f"{printed.out.count(chr(10)) - 1} rows",
    )  # fmt: skip


def test_every_filter_shows_what_the_tiles_count(browser: Browser) -> None:
    page = browser.get(f"/reports/sms?{SPAN}")
    total = int(_tile(words(page), "Texts and silences"))
    assert total > 5
    by_status = [
        browser.get(f"/reports/sms?{SPAN}&status={quote_plus(unescape(status))}")
        for status in re.findall(
            r'<option value="([^"]+)"', page.text.partition('id="status"')[2].partition("</select>")[0]
        )
        if status
    ]
    counts = [int(_tile(words(answer), "Texts and silences")) for answer in by_status]
    assert sum(counts) == total
    for answer, count in zip(by_status, counts, strict=True):
        assert answer.text.count('<tr><th scope="row" class="whole">') == count
    silent = browser.get(f"/reports/silences?{SPAN}")
    link = re.search(r'<th scope="row"><a href="([^"]+)">no number|<th scope="row"><a href="([^"]+)"', silent.text)
    assert link is not None
    rows = browser.get(unescape(link[1] or link[2]))
    assert "=HYPERLINK" in words(rows)
    assert CANARY not in words(rows)


def test_the_tiles_give_counts_beside_their_shares(browser: Browser) -> None:
    text = words(browser.get(f"/reports/sms?{SPAN}"))
    total, failed, not_sent = (int(_tile(text, name)) for name in ("Texts and silences", "Failed", "Not sent"))
    taken = int(_tile(text, "Taken by the gateway"))
    assert 0 < taken < total
    assert 0 < not_sent < total
    assert failed == 0
    assert re.search(rf"On time {taken} \(100\.0 %\)", text)
    assert re.search(r"Delivered [0-9]+ \([0-9.]+ %\)", text)


def test_the_report_leads_to_the_life_of_a_row(browser: Browser) -> None:
    page = browser.get(f"/reports/sms?{SPAN}").text
    assert re.search(r'name="telephone" value="A1"', page)


def _tile(text: str, name: str) -> str:
    found_tile = re.search(rf"{name} ([0-9,]+)", text)
    assert found_tile is not None
    return found_tile[1].replace(",", "")


def test_why_tells_the_life_and_records_the_look(browser: Browser, source: Opened) -> None:
    answer = words(browser.post("/why", {"telephone": "A1"}))
    assert "A1 in production" in answer
    assert "The last text, booking," in answer
    assert "message S12 C1, answered AA" in answer
    looks = _entries(source, "trace")
    assert (looks[-1].actor, looks[-1].subject) == ("portal:sam", "A1")


def test_a_silence_says_what_to_do(browser: Browser) -> None:
    answer = words(browser.post("/why", {"telephone": "=HYPERLINK", "environment": "production"}))
    assert "text did not go: " in answer
    assert "in the EHR; the next message about the visit brings it." in answer


def test_a_refused_message_is_found_by_its_control_id(browser: Browser, source: Opened) -> None:
    answer = words(browser.post("/why", {"telephone": "R1"}))
    assert "Message R1 was refused, AR SIG01" in answer
    assert "What to do: Add the signing step" in answer
    assert _entries(source, "trace")[-1].subject == "message R1"


def test_a_number_is_recorded_masked_and_finds_its_visits(browser: Browser, source: Opened) -> None:
    answer = words(browser.post("/why", {"telephone": "+1 (202) 555-0188"}))
    assert "A1 in production" in answer
    assert "canary" not in answer
    assert _entries(source, "trace")[-1].subject == "***0188"
    unknown = words(browser.post("/why", {"telephone": "+12025550199"}))
    assert "Nothing is known about that" in unknown
    assert "A telephone number is deleted when its visit begins" in unknown


@pytest.mark.parametrize("written", ["2025550188", "(202) 555-0188", "202 555 0188"])
def test_a_number_is_found_without_its_country_code(browser: Browser, source: Opened, written: str) -> None:
    answer = browser.post("/why", {"telephone": written})
    assert "Looked for as the telephone number ***0188. " in words(answer)
    assert "A1 in production" in words(answer)
    assert [entry.subject for entry in _entries(source, "trace")[-2:]] == ["an unknown id", "***0188"]
    assert written not in answer.text
    assert "5550188" not in answer.text


def test_a_number_without_country_code_and_without_visit_is_said_to_be_one(browser: Browser) -> None:
    answer = words(browser.post("/why", {"telephone": "2025550199"}))
    assert "Looked for as the telephone number ***0199. " in answer
    assert "A telephone number is deleted when its visit begins" in answer


def test_who_may_not_search_by_number_finds_none_by_its_digits(browser: Browser, source: Opened) -> None:
    browser.sign_in(Role.ANALYST, ["production"])
    answer = words(browser.post("/why", {"telephone": "2025550188"}))
    assert "Nothing is known about that" in answer
    assert "***0188" not in answer
    assert _entries(source, "trace")[-1].subject == "an unknown id"


def test_what_is_unknown_gets_its_likely_causes(browser: Browser, source: Opened) -> None:
    answer = words(browser.post("/why", {"telephone": "4711"}))
    assert "1 message was refused in the last 24 hours, the newest with SIG01. Add the signing step" in answer
    assert re.search(r"production: the newest message came (now|[0-9]+ minutes? ago)\.", answer)
    assert _entries(source, "trace")[-1].subject == "an unknown id"
    assert "4711" not in answer


def test_an_analyst_of_the_test_environment_finds_nothing_of_production(browser: Browser, source: Opened) -> None:
    browser.sign_in(Role.ANALYST, ["test"])
    assert "Nothing is known about that" in words(browser.post("/why", {"telephone": "A1"}))
    assert (_entries(source, "trace")[-1].subject, _entries(source, "trace")[-1].environment) == (
        "an unknown id",
        "test",
    )
    assert "Nothing is known about that" in words(browser.post("/why", {"telephone": "R1"}))
    for address in (f"/reports/sms?{SPAN}", "/outbox", "/messages", f"/reports/silences?{SPAN}"):
        page = words(browser.get(address))
        assert "A1" not in page, address
        assert "C1" not in page, address
        assert "R1" not in page, address
    assert browser.post("/reports/sms/csv", {"from": str(NOW.date()), "to": str(NOW.date())}).text.count("\n") == 1


def test_the_outbox_says_what_each_text_waits_for(browser: Browser) -> None:
    page = words(browser.get("/outbox?environment=production"))
    assert "reminder 7d" in page or "reminder 24h" in page
    assert "waits for its time" in page
    assert "***0188" in page


def test_messages_show_answers_and_what_to_do(browser: Browser) -> None:
    page = words(browser.get("/messages"))
    assert "R1" in page
    assert "SIG01" in page
    assert "Add the signing step" in page
    assert "C1" in page
    assert "What became of it" in page
    refused = words(browser.get("/messages?answer=refused&environment=production"))
    assert ("R1" in refused, "C3" in refused) == (True, False)


@pytest.mark.parametrize("path", ["/outbox", "/messages", "/reports/sms"])
@pytest.mark.parametrize(
    "cursor", ["x", "1-", "99999999999999999999-a", "-", "1-zz", "W10=", "bnVsbA==", "é", "0-" + "a" * 65]
)
def test_a_cursor_that_is_none_begins_at_the_first_page(browser: Browser, path: str, cursor: str) -> None:
    assert browser.get(f"{path}?after={cursor}").status_code == 200


def test_pages_of_messages_go_on_where_the_last_one_ended(source: Opened) -> None:
    desk, seen, after = MessagesInquiry(source=source), [], ""
    for _ in range(5):
        part = desk.processed(["production", "test"], after, 1, with_code=False)
        seen += [row.control_id for row in part.rows]
        after = part.after
        if not after:
            break
    assert sorted(seen) == sorted(["C1", CANARY, "C3"])
