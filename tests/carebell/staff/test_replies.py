"""The page Replies, its commands and the Overview's count, over replies in a real database."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from carebell.commands.open_store import Opened
from carebell.commands.open_store import opened as opened_store
from carebell.inquiries.overview import overview
from carebell.inquiries.waiting_replies import count_waiting, waiting_replies
from carebell.staff.replies import StaffReplies
from portal.pages import replies
from portal.people import Browser as Peer
from portal.people import Session
from portal.roles import Role
from scheduler.appointment import Appointment
from scheduler.reply import ReplyKind, ReplyReason
from store import audit, patient_replies, tables
from store.audit import AuditFilter, Author
from store.forgetting import sweep
from store.patient_replies import PatientReply
from store.tables import appointments
from tests.carebell.conftest import Carebell
from tests.portal.pages.staff import Browser, browsing, words
from tests.store.samples import PHONE, appointment, first, put

NOW = datetime.now(UTC).replace(microsecond=0)
CONFIRM, CANNOT_COME, CALL_ME, UNKNOWN = ReplyKind
HOUR = timedelta(hours=1)


@pytest.fixture
def source(configuration: Path, carebell: Carebell) -> Iterator[Opened]:
    assert carebell("-c", configuration, "db", "upgrade").code == 0
    with opened_store(configuration) as source:
        yield source


@pytest.fixture
def visit(source: Opened) -> Appointment:
    return _visit(source, 1)


def _visit(source: Opened, number: int, environment: str = "production") -> Appointment:
    booked = NOW - 5 * HOUR
    made = appointment(
        number,
        environment=environment,
        start=NOW + timedelta(days=2),
        event_at=booked,
        changed_at=booked,
        planned_at=booked,
    )
    put(source.store, source.vault, [first(made)], now=booked)
    return made


def _reply(source: Opened, visit: Appointment | None, kind: ReplyKind, *, hours_ago: float = 1) -> str:
    reply = PatientReply(
        id=secrets.token_hex(16),
        environment="production" if visit is None else visit.environment,
        appointment=None if visit is None else visit.id,
        revision=None if visit is None else visit.revision,
        question=None,
        kind=kind,
        reason=ReplyReason.NO_WORD if kind is UNKNOWN else None,
        at=NOW - hours_ago * HOUR,
    )
    with source.store.write() as conn:
        assert patient_replies.add(conn, reply, f"key {reply.id}")
    return reply.id


def _waiting(source: Opened) -> list[tuple[str, ReplyKind, int]]:
    with source.store.read() as conn:
        listed, more = waiting_replies(conn, source.vault, NOW)
        assert not more
        assert sum(count_waiting(conn).values()) == len(listed)
    return [(waiting.reference, waiting.newest.kind, waiting.count) for waiting in listed]


def _author(by: Session, browser: Peer) -> Author:
    return Author(who=f"portal:{by.person.login}", origin=f"address={browser.address}")


@pytest.fixture
def browser(source: Opened) -> Iterator[Browser]:
    with browsing(replies.pages(StaffReplies(source=source, author=_author)), now=NOW) as browser:
        yield browser.sign_in(Role.SUPPORT)
    assert browser.failures == []


def _entries(source: Opened) -> list[tuple[str, str | None, str | None, str | None]]:
    with source.store.read() as conn:
        entries = audit.entries(conn, AuditFilter(action="reply.done"))
        return [(entry.actor, entry.environment, entry.subject, entry.before) for entry in entries]


def test_whoever_waits_longest_is_first_and_what_asks_for_the_same_is_one(source: Opened) -> None:
    one, two = _visit(source, 1), _visit(source, 2)
    _reply(source, one, CALL_ME, hours_ago=1)
    _reply(source, two, CANNOT_COME, hours_ago=2)
    _reply(source, one, CALL_ME, hours_ago=3)
    _reply(source, one, UNKNOWN, hours_ago=0.5)
    assert _waiting(source) == [("R1", CALL_ME, 2), ("R2", CANNOT_COME, 1), ("R1", UNKNOWN, 1)]


@pytest.mark.parametrize(
    ("before", "after", "waits"),
    [
        (CANNOT_COME, CONFIRM, []),
        (UNKNOWN, CONFIRM, []),
        (UNKNOWN, CANNOT_COME, [CANNOT_COME]),
        (CALL_ME, CONFIRM, [CALL_ME]),
        (CONFIRM, CANNOT_COME, [CANNOT_COME]),
        (CONFIRM, CONFIRM, []),
    ],
)
def test_what_the_patient_said_last_counts(
    source: Opened, visit: Appointment, before: ReplyKind, after: ReplyKind, waits: list[ReplyKind]
) -> None:
    _reply(source, visit, before, hours_ago=2)
    _reply(source, visit, after, hours_ago=1)
    assert [kind for _, kind, _ in _waiting(source)] == waits


def test_one_whose_number_is_forgotten_waits_no_more(source: Opened, visit: Appointment) -> None:
    _reply(source, visit, CALL_ME)
    _reply(source, None, UNKNOWN)
    with source.store.write() as conn:
        conn.execute(appointments.update().values(phone=None))
    assert _waiting(source) == []
    with source.store.write() as conn:
        sweep(conn, source.vault, NOW)
        conn.execute(appointments.update().values(phone=b"another"))
        assert patient_replies.waiting(conn) == []


def test_the_page_shows_it_masked_and_support_notes_it_once(
    browser: Browser, source: Opened, visit: Appointment
) -> None:
    _reply(source, visit, CALL_ME, hours_ago=3)
    newest = _reply(source, visit, CALL_ME, hours_ago=1)
    answer = browser.get("/replies?environment=production")
    shown = words(answer)
    for said in ("R1", "asks to be called, 2 times", PHONE.masked, "production", "Done"):
        assert said in shown, said
    assert "2025550143" not in answer.text
    fields = {"id": newest, "environment": "production"}
    first_time, second = browser.post("/replies/done", fields), browser.post("/replies/done", fields)
    assert first_time.headers["location"] == "/replies?environment=production&done=done"
    assert second.headers["location"] == "/replies?environment=production&done=was"
    assert "Nobody waits for a person." in words(browser.get("/replies"))
    assert _entries(source) == [("portal:sam", "production", newest, "call_me")]


def test_one_that_comes_after_it_was_noted_waits_again(browser: Browser, source: Opened, visit: Appointment) -> None:
    seen = _reply(source, visit, CALL_ME, hours_ago=3)
    _reply(source, visit, CALL_ME, hours_ago=1)
    browser.post("/replies/done", {"id": seen})
    assert _waiting(source) == [("R1", CALL_ME, 1)]


def test_a_moved_visit_is_said(browser: Browser, source: Opened, visit: Appointment) -> None:
    _reply(source, visit, CANNOT_COME)
    with source.store.write() as conn:
        conn.execute(appointments.update().values(planned_revision=2, revision=2))
    assert "moved since" in words(browser.get("/replies"))


@pytest.mark.parametrize("role", [Role.ANALYST, Role.AUDITOR])
def test_others_see_it_and_cannot_note_it(browser: Browser, source: Opened, visit: Appointment, role: Role) -> None:
    own_id = _reply(source, visit, CANNOT_COME)
    browser.sign_in(role, ["production"])
    shown = words(browser.get("/replies"))
    assert "cannot come" in shown
    assert "Done" not in shown
    assert browser.post("/replies/done", {"id": own_id}).status_code == 403
    assert (len(_waiting(source)), _entries(source)) == (1, [])


def test_an_analyst_of_the_test_environment_sees_nothing_of_production(
    browser: Browser, source: Opened, visit: Appointment
) -> None:
    _reply(source, visit, CALL_ME)
    _reply(source, _visit(source, 7, "test"), CALL_ME)
    browser.sign_in(Role.ANALYST, ["test"])
    for query in ("", "?environment=production"):
        shown = words(browser.get(f"/replies{query}"))
        assert "R7" in shown
        assert "R1" not in shown


@pytest.mark.parametrize("unknown", ["", "0" * 32, "\x00", "x" * 400])
def test_what_is_not_there_is_not_found(browser: Browser, unknown: str) -> None:
    assert browser.post("/replies/done", {"id": unknown}).status_code == 404


def test_one_about_no_visit_waits_for_nobody_and_is_not_noted(
    browser: Browser, carebell: Carebell, configuration: Path, source: Opened
) -> None:
    one, other = _reply(source, None, UNKNOWN, hours_ago=2), _reply(source, None, UNKNOWN, hours_ago=1)
    assert browser.post("/replies/done", {"id": other}).headers["location"] == "/replies?done=was"
    assert carebell("-c", configuration, "reply", "done", one).code == 1
    with source.store.read() as conn:
        assert [row.done_at for row in conn.execute(select(tables.patient_replies))] == [None, None]
    assert _entries(source) == []


def test_where_newer_ones_are_missing_page_and_command_say_so(
    monkeypatch: pytest.MonkeyPatch, browser: Browser, carebell: Carebell, configuration: Path, source: Opened
) -> None:
    one, two, three = (_visit(source, number) for number in (1, 2, 3))
    monkeypatch.setattr(patient_replies, "MOST", 3)
    _reply(source, one, CANNOT_COME, hours_ago=5)
    _reply(source, one, CONFIRM, hours_ago=4)  # who cannot come is overtaken, and counts all the same
    _reply(source, two, CALL_ME, hours_ago=3)
    _reply(source, two, CALL_ME, hours_ago=2)
    asked = ("-c", configuration, "reply", "list", "--json")
    assert ("missing" in words(browser.get("/replies")), carebell(*asked).err) == (False, "")
    _reply(source, three, CALL_ME, hours_ago=1)
    call = carebell(*asked)
    assert ("the newest are missing" in words(browser.get("/replies")), "missing" in call.err) == (True, True)
    assert [row["appointment"] for row in call.rows] == ["R2"]


def test_the_overview_counts_them(source: Opened, visit: Appointment) -> None:
    _reply(source, visit, CALL_ME)
    _reply(source, visit, UNKNOWN)
    counted = {fact.name: fact.replies for fact in overview(source).environments}
    assert counted == {"production": 2, "test": 0}


def test_the_command_line_does_the_same(
    carebell: Carebell, configuration: Path, source: Opened, visit: Appointment
) -> None:
    own_id = _reply(source, visit, CANNOT_COME)
    [row] = carebell("-c", configuration, "reply", "list", "--json").rows
    assert (row["id"], row["appointment"], row["reply"], row["count"], row["moved"]) == (
        own_id, "R1", "cannot_come", 1, False,
    )  # fmt: skip
    table = carebell("-c", configuration, "reply", "list", "-e", "production")
    assert "R1" in table.out
    assert PHONE.masked[-4:] not in table.out
    assert list(carebell("-c", configuration, "reply", "list", "-e", "test", "--json").rows) == []
    assert carebell("-c", configuration, "reply", "done", own_id).code == 0
    again = carebell("-c", configuration, "reply", "done", own_id, "--json")
    assert (again.code, list(again.rows)) == (1, [{"id": own_id, "changed": False}])
    assert carebell("-c", configuration, "reply", "done", "00").code == 1
    assert [before for _, _, _, before in _entries(source)] == ["cannot_come"]
