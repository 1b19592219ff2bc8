"""Pages and sums of visits: each once and in order, what they say is what happened, and never more read than an index gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event

from scheduler.device_test import DeviceTest, DeviceTestStep
from scheduler.reply import ReplyKind
from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole, VisitState, VisitWindow
from scheduler.visit_times import VisitOutcome
from store import device_tests, patient_replies, visit_pages, visits
from store.engine import Store
from store.patient_replies import PatientReply
from store.sms_pages import RowKey
from store.vault import Vault
from store.visit_pages import ReportedVisit, VisitFilter
from store.visit_planning import VisitPlan, adopt, keep
from tests.store.samples import NOW, appointment, first, put

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
PATIENT, PROVIDER, STAFF = VisitRole.PATIENT, VisitRole.PROVIDER, VisitRole.STAFF
WAITED = ((0, VisitEventKind.WAITING, PATIENT, VisitEventSource.PAGE),)
HELD = (
    *WAITED,
    (2, VisitEventKind.ADMITTED, STAFF, VisitEventSource.PAGE),
    (3, VisitEventKind.CONNECTED, PROVIDER, VisitEventSource.MEETING),
    (4, VisitEventKind.CONNECTED, PATIENT, VisitEventSource.MEETING),
    (24, VisitEventKind.DISCONNECTED, PATIENT, VisitEventSource.MEETING),
    (25, VisitEventKind.DISCONNECTED, PROVIDER, VisitEventSource.MEETING),
)
ENDED = (30, VisitEventKind.ENDED, VisitRole.CAREBELL, VisitEventSource.CLOCK)


def _visit(
    store: Store,
    vault: Vault,
    number: int,
    at: datetime,
    *happened: tuple[int, VisitEventKind, VisitRole, VisitEventSource],
    environment: str = "production",
) -> str:
    """Our id of its appointment."""
    one = appointment(number, environment=environment, aliases=(f"EPIC|LAMNA|filler|{environment}{number}|",))
    put(store, vault, [first(one)])
    window = VisitWindow(opens_at=one.start, ends_at=one.start + DAY)  # type: ignore[arg-type,operator]
    plan = VisitPlan(environment=environment, appointment=one.id, window=window, kind="link", meeting=None)
    with store.write() as conn:
        keep(conn, vault, [plan], NOW - DAY)
    for minute, what, who, source in happened:
        note(store, one.id, at + minute * MINUTE, what, who, source)
    return one.id


def note(
    store: Store, owner: str, at: datetime, what: VisitEventKind, who: VisitRole, source: VisitEventSource
) -> None:
    with store.write() as conn:
        known = visits.named(conn, owner)
        assert known is not None
        visit = visits.lock(conn, known.id)
        assert visit is not None
        # What a report says opens no visit again.
        state = visit.state if source is VisitEventSource.REPORT else None
        visits.append(conn, visit, what, at=at, who=who, source=source, ref=who.value, state=state)


@pytest.fixture
def lived(store: Store, vault: Vault) -> list[str]:
    """Twelve visits of two environments, four at each of three instants, and one to which nobody came."""
    owners = []
    for number in range(12):
        happened = (*(HELD if number % 2 else WAITED), *((ENDED,) if number % 3 else ()))
        owners.append(
            _visit(
                store, vault, number, NOW + (number // 4) * DAY, *happened,
                environment="test" if number % 4 == 0 else "production",
            )
        )  # fmt: skip
    _visit(store, vault, 99, NOW)
    return owners


def _walk(store: Store, only: VisitFilter, *, limit: int = 5) -> Iterator[ReportedVisit]:
    after: RowKey | None = None
    with store.read() as conn:
        for _ in range(100):
            page = visit_pages.reported(conn, NOW, NOW + 3 * DAY, only, after=after, limit=limit)
            yield from page.visits
            if page.after is None:
                return
            assert page.after != after, "it does not go on"
            after = page.after


@pytest.mark.parametrize("limit", [1, 3, 4, 5, 50])
def test_pages_hold_every_visit_once_the_newest_first(store: Store, lived: list[str], limit: int) -> None:
    shown = list(_walk(store, VisitFilter(), limit=limit))
    assert sorted(visit.reference for visit in shown) == sorted(f"R{number}" for number in range(12))
    starts = [visit.times.start for visit in shown]
    assert starts == sorted(starts, reverse=True)  # type: ignore[type-var]


@pytest.mark.parametrize("scan", [1, 2, 5, 50])
def test_a_filter_loses_nothing_however_little_a_page_may_read(
    store: Store, lived: list[str], monkeypatch: pytest.MonkeyPatch, scan: int
) -> None:
    monkeypatch.setattr(visit_pages, "SCAN", scan)
    shown = list(_walk(store, VisitFilter(environments=["test"], outcomes=[VisitOutcome.STAFF_NO_SHOW]), limit=2))
    assert sorted(visit.reference for visit in shown) == ["R4", "R8"]


def test_the_sums_are_those_of_the_visits(store: Store, lived: list[str]) -> None:
    shown = list(_walk(store, VisitFilter()))
    with store.read() as conn:
        counted = visit_pages.sums(conn, NOW, NOW + 3 * DAY, NOW)
    by_group = Counter((visit.environment, visit.times.outcome) for visit in shown)
    assert {(group.environment, group.outcome): group.visits for group in counted} == by_group
    for group in counted:
        times = [
            visit.times
            for visit in shown
            if (visit.environment, visit.times.outcome) == (group.environment, group.outcome)
        ]
        lasted = [each.duration for each in times if each.duration is not None]
        waited = [each.lobby_wait for each in times if each.lobby_wait is not None]
        assert (group.timed, group.lasted) == (len(lasted), sum(lasted, timedelta()))
        assert (group.waited, group.lobby_wait) == (len(waited), sum(waited, timedelta()))


def test_a_visit_tells_of_its_test_its_texts_and_the_reply(store: Store, vault: Vault) -> None:
    owner = _visit(store, vault, 1, NOW, *HELD, ENDED)
    reply = PatientReply(
        id="a1", environment="production", appointment=owner, revision=1, question=None, kind=ReplyKind.CONFIRM, reason=None,
        at=NOW,
    )  # fmt: skip
    with store.write() as conn:
        visit = visits.named(conn, owner)
        assert visit is not None
        patient_replies.add(conn, reply, "key")
        for at, code in ((NOW, "ok"), (NOW + MINUTE, "blocked")):
            test = DeviceTest(at=at, results={DeviceTestStep.CAMERA: code}, browser="chrome 126")
            device_tests.add(conn, visit.id, test)
    [shown] = _walk(store, VisitFilter())
    assert shown.device_test is not None
    assert (shown.device_test.words, shown.texts, shown.code) == ("camera blocked", 0, visit.code)
    assert shown.reply is not None
    assert (shown.times.lobby_wait, shown.times.duration) == (2 * MINUTE, 21 * MINUTE)


def test_what_comes_late_moves_a_visit_to_where_it_belongs(store: Store, vault: Vault) -> None:
    owner = _visit(store, vault, 1, NOW, *WAITED, ENDED)
    [shown] = _walk(store, VisitFilter())
    assert shown.times.outcome is VisitOutcome.STAFF_NO_SHOW
    for minute, what, who in ((-5, "connected", PROVIDER), (-4, "connected", PATIENT), (20, "disconnected", PATIENT)):
        note(store, owner, NOW + DAY + minute * MINUTE, VisitEventKind(what), who, VisitEventSource.REPORT)
    [shown] = _walk(store, VisitFilter(outcomes=[VisitOutcome.COMPLETED]))
    assert (shown.times.start, shown.times.duration) == (NOW + DAY - 4 * MINUTE, 24 * MINUTE)


def test_one_that_became_another_is_canceled(store: Store, vault: Vault) -> None:
    kept, other = _visit(store, vault, 1, NOW, *HELD, ENDED), _visit(store, vault, 2, NOW, *WAITED)
    with store.write() as conn:
        adopt(conn, kept, [other])
    assert {visit.reference: visit.times.outcome.value for visit in _walk(store, VisitFilter())} == {
        "R1": "completed", "R2": "canceled",
    }  # fmt: skip
    with store.read() as conn:
        assert {group.outcome.value for group in visit_pages.sums(conn, NOW, NOW + DAY, NOW)} == {
            "completed",
            "canceled",
        }
        assert visits.named(conn, other).state is VisitState.CANCELED  # type: ignore[union-attr]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_each_question_is_read_by_its_index(store: Store, lived: list[str]) -> None:
    asked: list[tuple[str, object]] = []
    event.listen(store.engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
    after = RowKey(at=NOW + DAY, id="5")
    with store.read() as conn:
        visit_pages.reported(conn, NOW, NOW + 3 * DAY, VisitFilter(environments=["test"]), after=after, limit=5)
        visit_pages.sums(conn, NOW, NOW + DAY, NOW)
    statements = [statement for statement in asked if statement[0].startswith("SELECT")]
    with store.read() as conn:
        plans = [
            " ".join(str(step[3]) for step in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values))  # type: ignore[arg-type]
            for sql, values in statements
        ]
    assert [plan for plan in plans if "SCAN" in plan] == []
    assert sum("ix_visits_report_start" in plan for plan in plans) == 3
    assert "COVERING INDEX ix_visits_report_start" in plans[-1]
