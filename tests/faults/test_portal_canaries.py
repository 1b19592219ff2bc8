"""P13 and P14: markup in every stored field is only words on every page; nothing of a patient is on any, in a file or a log."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from html import escape, unescape
from typing import Final

import pytest
from sqlalchemy import select

from portal.staff_app import HEADERS
from store.tables import audit
from tests.faults.canary_portal import CONTROL_ID, NUMBERS, REFERENCE, CanaryPortal, canary_portal
from tests.faults.conftest import Tally
from tests.faults.portal_forms import CANARY, ReadPage

SHOWN_IN: Final = {
    "GET /messages": "MSH-10, and the appointment's id",
    "GET /outbox": "the appointment's id",
    "GET /reports/sms": "the appointment's id",
    "POST /why": "MSH-10, and the appointment's id",
    "GET /logs": "MSH-10",
    "GET /holds": "the reason",
    "GET /audit": "reasons and values",
    "GET /configuration": "a comment of carebell.yaml",
    "GET /configuration/history": "the comment",
    "GET /people": "names",
    "GET /you": "the browser",
    "GET /sign-in": "the provider's name",
    "GET /environments/test/approval": "why it was sent back",
    "POST /environments/production/records/compare": "what was pasted",
}
"""Answer -> a stored field that it shows: where markup must be seen, as words."""


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CanaryPortal]:
    with canary_portal(tmp_path_factory.mktemp("canary")) as portal:
        portal.fill_in_everything()
        portal.ask_for_everything()
        yield portal


# P13


@pytest.mark.faults("P13")
def test_markup_in_a_stored_field_is_only_words(portal: CanaryPortal, tally: Tally) -> None:
    assert portal.unknown() == [], "no address was learnt"
    words = set()
    for _ in tally.rounds():
        for asked, answer in portal.visitor.answers:
            assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, asked
            assert answer.status_code < 500, asked
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; "), asked
            assert "unsafe" not in policy, asked
            tally.seen["answers"] += 1
        for asked, answer in portal.visitor.pages():
            assert ReadPage(answer.text).alive == [], asked
            tally.seen["pages"] += 1
            if "?" not in answer.url and _is_markup_shown(answer.text):
                words.add(asked)
        tally.seen["of them with a stored field's markup as words"] += len(words)
    assert set(SHOWN_IN) - words == set(), "where it is not seen, nothing is shown of it"


def _is_markup_shown(html: str) -> bool:
    """Beside the organisation and the person who is signed in, which stand on every page."""
    own = re.sub(r"(Lamna|Kim Akers) &#34;&#39;&gt;&lt;canary", "", html)
    return "&lt;canary" in own


@pytest.mark.faults("P13", proof=True)
@pytest.mark.parametrize(
    "html",
    [
        f"<p>{CANARY}</p>",
        f'<input value="{CANARY}">',
        f"<a title='{CANARY}'>x</a>",
        '<a href=" JavaScript:alert(1)">x</a>',
        "<p onclick=x>",
        "<script>x</script>",
        "<p style='x'>",
    ],
)
def test_markup_that_lives_is_found(html: str, tally: Tally) -> None:
    assert ReadPage(html).alive
    assert ReadPage(f'<p title="{escape(CANARY)}">{escape(CANARY)}</p>').alive == []
    tally.seen["alive, found"] += 1


# P14


def told(content: str, patients: Collection[bytes]) -> list[str]:
    """What this says of a patient: a value of a message, or a number in any spelling."""
    read = unescape(content)
    found = [value.decode() for value in patients if value.decode() in read]
    for number in NUMBERS:
        digits = number.removeprefix("+1")
        for shown in (digits, digits[3:]):
            if re.search(r"[^0-9A-Za-z]{0,3}".join(shown), read):
                found.append(f"***{digits[-4:]}")
                break
    return found


@pytest.mark.faults("P14")
def test_nothing_of_a_patient_is_on_a_page_in_a_file_or_in_a_log(portal: CanaryPortal, tally: Tally) -> None:
    for _ in tally.rounds():
        for asked, answer in portal.visitor.answers:
            everything = f"{answer.url}\n{answer.headers}\n{answer.text}"
            assert told(everything, portal.patients) == [], asked
            kind = answer.headers.get("content-type", "nothing").partition(";")[0]
            tally.seen[{"text/html": "pages", "text/csv": "CSV files"}.get(kind, "other answers")] += 1
        log = portal.log().decode()
        assert told(log, portal.patients) == []
        tally.seen["lines of the log"] += log.count("\n")
        with portal.site.clinic.service.store.read() as conn:
            entries = conn.execute(select(audit)).all()
        assert told(repr(entries), portal.patients) == []
        tally.seen["entries of the audit log"] += len(entries)
    files = {
        asked
        for asked, answer in portal.visitor.answers
        if "attachment" in answer.headers.get("content-disposition", "")
    }
    assert {"POST /reports/sms/csv", "POST /audit/export", "POST /logs/download"} <= files


@pytest.mark.faults("P14", proof=True)
def test_what_tells_of_a_patient_is_found(portal: CanaryPortal, tally: Tally) -> None:
    for said in (
        "to (202) 555-0188",
        "+12025550177",
        "555 01 66",
        "TESTPATIENT",
        "<td>MRN00042</td>",
        "202&#45;555&#45;0188",
    ):
        assert told(said, portal.patients), said
        tally.seen["told, found"] += 1
    assert told("to ***0188, 2,025 messages, EPIC5550", portal.patients) == []
    assert {b"TESTPATIENT", b"MRN00042", b"19800101", *(number[2:].encode() for number in NUMBERS)} <= portal.patients
    log = portal.log().decode()
    assert [REFERENCE in line or CONTROL_ID in line for line in log.replace('\\"', '"').splitlines()].count(True) > 1, (
        "the log tells of these visits"
    )
