"""Pages and sums of texts: every row once and in order, also where many share an instant, and never more read than allowed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, insert

from scheduler.sms import Reason, SmsKind, SmsState
from store import outbox, sms_pages
from store.engine import Store
from store.outbox_row import OutboxRow
from store.sms_pages import RowFilter, RowKey, RowPage
from store.tables import outbox as outbox_table
from store.vault import Vault
from tests.carebell.samples import row
from tests.store.samples import NOW, appointment, first, put

DAY = timedelta(days=1)
STATES = (SmsState.DELIVERED, SmsState.SUPPRESSED, SmsState.UNDELIVERED, SmsState.UNKNOWN, SmsState.DUE)


@pytest.fixture
def rows(store: Store, vault: Vault) -> list[OutboxRow]:
    """40 texts of two environments, ten at each of four instants, some of the first ten without a time, one postponed."""
    visit = appointment()
    put(store, vault, [first(visit)])
    made = []
    for number in range(40):
        state, at = STATES[number % len(STATES)], NOW + (number // 10) * timedelta(hours=1)
        taken = state in (SmsState.DELIVERED, SmsState.UNDELIVERED)
        made.append(
            row(
                id=f"{(number * 7919) % 4096:032x}", appointment=visit.id, revision=number,
                environment="production" if number % 3 else "test", state=state,
                reason=Reason.LANDLINE if state is SmsState.SUPPRESSED else Reason.REMINDER,
                due=None if number < 10 and number % 2 and state is not SmsState.DUE else at, created_at=at,
                next_attempt_at=at + timedelta(minutes=30) if number == 4 else at,
                claimed_at=at, code=30003 if state is SmsState.UNDELIVERED else None, segments=2,
                sent_at=at + timedelta(seconds=number * 3) if taken else None,
            )
        )  # fmt: skip
    with store.write() as conn:
        conn.execute(insert(outbox_table), [asdict(text_row) for text_row in made])
    return made


def _walk(page: Callable[[RowKey | None], RowPage]) -> Iterator[OutboxRow]:
    after = None
    for _ in range(100):
        part = page(after)
        yield from part.rows
        if part.after is None:
            return
        assert part.after != after, "it does not go on"
        after = part.after
    pytest.fail("it does not end")


LONG_BEFORE, MEANWHILE, AFTERWARDS = NOW - 3 * DAY, NOW - timedelta(hours=3), NOW + DAY
"""All is waited for; what was tried before reaches into the first hour; all is in the past."""


@pytest.mark.parametrize("now", [MEANWHILE, AFTERWARDS])
@pytest.mark.parametrize("limit", [1, 7, 10, 40, 50])
def test_pages_of_a_span_hold_every_text_once_the_newest_first(
    store: Store, rows: list[OutboxRow], limit: int, now: datetime
) -> None:
    with store.read() as conn:
        walked = list(
            _walk(lambda after: sms_pages.planned(conn, NOW, NOW + DAY, RowFilter(), after=after, limit=limit, now=now))
        )
    assert walked == sorted(rows, key=lambda text_row: (text_row.due or text_row.created_at, text_row.id), reverse=True)


def test_the_end_of_a_span_is_not_in_it(store: Store, rows: list[OutboxRow]) -> None:
    hour = timedelta(hours=1)
    with store.read() as conn:
        page = sms_pages.planned(conn, NOW + hour, NOW + 2 * hour, RowFilter(), after=None, limit=50, now=NOW)
        assert {text_row.created_at for text_row in page.rows} == {NOW + hour}
        counted = sms_pages.sums(conn, NOW + hour, NOW + 2 * hour, NOW)
    assert (len(page.rows), sum(group.texts for group in counted)) == (10, 10)


FILTERS: list[tuple[RowFilter, Callable[[OutboxRow], bool]]] = [
    (RowFilter(environments=["test"]), lambda text_row: text_row.environment == "test"),
    (RowFilter(environments=[]), lambda text_row: False),
    (RowFilter(states=[SmsState.UNKNOWN, SmsState.DUE]), lambda text_row: text_row.state in ("unknown", "due")),
    (RowFilter(reason=Reason.LANDLINE), lambda text_row: text_row.reason is Reason.LANDLINE),
    (RowFilter(kind=SmsKind.BOOKED), lambda text_row: False),
    (RowFilter(codes=[30003]), lambda text_row: text_row.code == 30003),
    (RowFilter(codes=[None]), lambda text_row: text_row.code is None),
]


@pytest.mark.parametrize(("only", "matches"), FILTERS)
@pytest.mark.parametrize("now", [MEANWHILE, AFTERWARDS])
@pytest.mark.parametrize("scan", [1, 9, 5000])
def test_a_filter_loses_nothing_however_little_a_page_may_read(
    store: Store, rows: list[OutboxRow], only: RowFilter, matches: Callable[[OutboxRow], bool], scan: int,
    now: datetime, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sms_pages, "SCAN", scan)
    with store.read() as conn:
        by_plan = list(
            _walk(lambda after: sms_pages.planned(conn, NOW, NOW + DAY, only, after=after, limit=3, now=now))
        )
        due = list(_walk(lambda after: sms_pages.waiting(conn, only, after=after, limit=3)))
        doubtful = list(_walk(lambda after: sms_pages.under_way(conn, SmsState.UNKNOWN, only, after=after, limit=3)))
    wanted = {text_row.id for text_row in rows if matches(text_row)}
    assert [text_row.id for text_row in by_plan if text_row.id in wanted] == [text_row.id for text_row in by_plan]
    assert Counter(text_row.id for text_row in by_plan) == Counter(wanted)
    for listed, state in ((due, SmsState.DUE), (doubtful, SmsState.UNKNOWN)):
        expected = [text_row for text_row in rows if matches(text_row) and text_row.state is state]
        assert [text_row.id for text_row in listed] == [
            text_row.id for text_row in sorted(expected, key=lambda text_row: (text_row.next_attempt_at, text_row.id))
        ]


def test_the_sums_are_those_of_the_rows(store: Store, rows: list[OutboxRow]) -> None:
    with store.read() as conn:
        counted = sms_pages.sums(conn, NOW, NOW + DAY, NOW)
        reported = list(outbox.report(conn, NOW, NOW + DAY))
    taken = [text_row for text_row in reported if text_row.sent_at is not None]
    assert sum(group.texts for group in counted) == len(reported) == 40
    assert sum(group.taken for group in counted) == len(taken)
    assert sum(group.segments for group in counted) == 2 * len(taken)
    on_time = [
        text_row
        for text_row in taken
        if text_row.sent_at is not None and text_row.due is not None
        and text_row.sent_at - text_row.due <= sms_pages.ON_TIME
    ]  # fmt: skip
    assert 0 < sum(group.on_time for group in counted) == len(on_time) < len(taken)
    by_state = {state: sum(group.texts for group in counted if group.state is state) for state in STATES}
    assert by_state == dict.fromkeys(STATES, 8)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_each_list_is_read_by_its_index(store: Store, rows: list[OutboxRow]) -> None:
    asked: list[tuple[str, object]] = []
    event.listen(store.engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
    only, after = RowFilter(environments=["test"]), RowKey(at=NOW, id="5")
    with store.read() as conn:
        sms_pages.planned(conn, NOW, NOW + DAY, only, after=after, limit=5, now=LONG_BEFORE)
        sms_pages.waiting(conn, only, after=after, limit=5)
        sms_pages.under_way(conn, SmsState.UNKNOWN, only, after=after, limit=5)
        sms_pages.sums(conn, NOW, NOW + DAY, NOW)
        list(outbox.report(conn, NOW, NOW + DAY))
        outbox.queue(conn, NOW)
        outbox.count_unknown(conn, since=NOW, until=NOW + DAY)
        outbox.waiting_by_environment(conn, NOW)
    statements = [statement for statement in asked if statement[0].startswith("SELECT")]
    with store.read() as conn:
        plans = [
            " ".join(str(step[3]) for step in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values))  # type: ignore[arg-type]
            for sql, values in statements
        ]
    assert len(plans) >= 11
    assert [plan for plan in plans if "USING" not in plan or "INDEX ix_outbox_" not in plan] == []


def test_what_waits_is_counted_by_environment(store: Store, rows: list[OutboxRow]) -> None:
    with store.read() as conn:
        counted = outbox.waiting_by_environment(conn, NOW + timedelta(hours=1, minutes=1))
    waiting = [text_row for text_row in rows if text_row.state is SmsState.DUE]
    late = [text_row for text_row in waiting if text_row.created_at <= NOW + timedelta(hours=1)]
    for name in ("production", "test"):
        assert counted[name].waiting == sum(text_row.environment == name for text_row in waiting)
        assert counted[name].late == sum(text_row.environment == name for text_row in late)
    assert set(counted) == {"production", "test"}
