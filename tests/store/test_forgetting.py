"""Gone means gone: from the rows on time, from the files after the sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, LargeBinary, bindparam, event, func, select, text, update

from parser.phone_number import PhoneNumber
from scheduler.appointment import AppointmentStatus
from scheduler.sms import Reason, SmsKind, SmsState
from store import outbox
from store.appointments import listed, masked_phones, named
from store.engine import Store, open_store
from store.forgetting import anything_due, anything_kept_too_long, forget_due, settle_files, sweep
from store.phone_scan import scan_files
from store.tables import appointments, messages
from store.tables import outbox as outbox_table
from store.vault import Vault
from tests.store.samples import NOW, PHONE, again, appointment, first, memory, put, reminder

DAY = timedelta(days=1)
LATE = timedelta(minutes=20)


def _kept(store: Store) -> int:
    with store.read() as conn:
        return int(conn.execute(select(func.count(appointments.c.phone))).scalar_one())


def test_a_phone_goes_at_the_start_and_takes_waiting_texts_with_it(store: Store, vault: Vault) -> None:
    one = appointment(provider="Dr. Example", patient_name="Ann")
    put(store, vault, [first(one, reminder())])
    assert one.start is not None
    with store.write() as conn:
        assert forget_due(conn, one.start - timedelta(microseconds=1)) == []
        (gone,) = forget_due(conn, one.start)
        assert (gone.reference, gone.suppressed, forget_due(conn, one.start)) == ("R1", 1, [])
        row = conn.execute(select(appointments)).mappings().one()
        assert [row[name] for name in ("phone", "patient_name", "provider", "phone_fault")] == [
            None,
            None,
            None,
            "purged",
        ]
        assert [(sms.state, sms.reason) for sms in outbox.rows(conn)] == [(SmsState.SUPPRESSED, Reason.PURGED)]
        assert [(shown.phone, shown.purged_at) for shown in listed(conn, vault, NOW)] == [(None, one.start)]


NAMED: dict[str, Any] = {
    "facility": "Lamna West",
    "provider": "Dr. Example",
    "location": "Room 5",
    "conference": "G-77",
}


def _named(store: Store) -> set[str | None]:
    with store.read() as conn:
        return set(conn.execute(select(*(appointments.c[name] for name in NAMED))).one())


def test_what_a_message_says_after_the_visit_was_forgotten_is_not_stored(store: Store, vault: Vault) -> None:
    one = appointment(**NAMED)
    put(store, vault, [first(one)])
    assert _named(store) == set(NAMED.values())
    assert one.start is not None
    with store.write() as conn:
        assert len(forget_due(conn, one.start)) == 1
    late = one.start + LATE
    put(store, vault, [again(replace(one, status=AppointmentStatus.ENDED, revision=2))], now=late)
    assert _named(store) == {None}


def test_a_message_between_the_start_and_the_round_stores_nothing_that_no_round_would_empty(
    store: Store, vault: Vault
) -> None:
    one = appointment(**NAMED)
    put(store, vault, [first(one)])
    assert one.start is not None
    put(store, vault, [again(replace(one, revision=2))], now=one.start)
    with store.write() as conn:
        assert forget_due(conn, one.start + LATE) == []
    assert _named(store) == {None}


def test_a_first_message_about_a_visit_that_began_stores_nothing_of_it(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(start=NOW, **NAMED))])
    assert _named(store) == {None}


def test_a_date_only_visit_keeps_it_until_its_local_day_is_over(store: Store, vault: Vault) -> None:
    midnight = NOW.replace(hour=8) + DAY  # 00:00 in Los Angeles
    put(store, vault, [first(appointment(start=midnight, date_only=True))])
    with store.write() as conn:
        assert forget_due(conn, midnight + DAY - timedelta(seconds=1)) == []
        assert len(forget_due(conn, midnight + DAY)) == 1


@pytest.mark.parametrize("status", [AppointmentStatus.DELETED, AppointmentStatus.ENDED])
def test_a_visit_that_is_off_or_over_is_forgotten_at_once(
    store: Store, vault: Vault, status: AppointmentStatus
) -> None:
    put(store, vault, [first(appointment(status=status))])
    with store.write() as conn:
        assert len(forget_due(conn, NOW)) == 1


def test_a_visit_that_is_not_booked_keeps_it_until_its_time(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(status=AppointmentStatus.NOT_BOOKED))])
    with store.write() as conn:
        assert (anything_due(conn, NOW), forget_due(conn, NOW)) == (False, [])
        assert len(forget_due(conn, NOW + 2 * DAY)) == 1


@pytest.mark.parametrize("state", list(SmsState))
def test_a_cancelled_visit_is_forgotten_when_its_text_is_settled(store: Store, vault: Vault, state: SmsState) -> None:
    text_row = reminder(kind=SmsKind.CANCELED, rule="canceled")
    put(store, vault, [first(appointment(status=AppointmentStatus.CANCELED), text_row)])
    with store.write() as conn:
        conn.execute(update(outbox_table).values(state=state.value))
        settled = state in (SmsState.DELIVERED, SmsState.UNDELIVERED, SmsState.FAILED, SmsState.SUPPRESSED)
        assert len(forget_due(conn, NOW)) == settled


@pytest.mark.parametrize("status", [AppointmentStatus.CANCELED, AppointmentStatus.ENDED])
def test_a_number_is_kept_too_long_from_when_it_could_go(store: Store, vault: Vault, status: AppointmentStatus) -> None:
    put(store, vault, [first(appointment(status=status))])
    second = timedelta(seconds=1)
    with store.write() as conn:
        assert anything_due(conn, NOW)
        assert not anything_kept_too_long(conn, NOW + LATE - second, by=LATE)
        assert anything_kept_too_long(conn, NOW + LATE, by=LATE)


def test_a_cancelled_visit_is_kept_too_long_from_the_end_of_its_text(store: Store, vault: Vault) -> None:
    text_row = reminder(kind=SmsKind.CANCELED, rule="canceled")
    put(store, vault, [first(appointment(status=AppointmentStatus.CANCELED), text_row)])
    delivered, second = NOW + timedelta(hours=3), timedelta(seconds=1)
    with store.write() as conn:
        conn.execute(update(outbox_table).values(state=SmsState.DELIVERED.value, final_at=delivered))
        assert not anything_kept_too_long(conn, delivered + LATE - second, by=LATE)
        assert anything_kept_too_long(conn, delivered + LATE, by=LATE)


def test_an_open_window_still_needs_the_phone(store: Store, vault: Vault) -> None:
    one = appointment(
        status=AppointmentStatus.CANCELED, window_revision=2, window_due=NOW + timedelta(minutes=1), window_text=True
    )
    put(store, vault, [first(one)])
    with store.write() as conn:
        assert forget_due(conn, NOW + timedelta(hours=1)) == []


def test_a_new_future_start_brings_a_forgotten_visit_back(store: Store, vault: Vault) -> None:
    one = appointment()
    put(store, vault, [first(one)])
    with store.write() as conn:
        forget_due(conn, NOW + 2 * DAY)
    put(store, vault, [again(replace(one, revision=2, start=NOW + 9 * DAY))], now=NOW + 2 * DAY)
    with store.write() as conn:
        assert masked_phones(conn, vault, [one.id], NOW + 2 * DAY) == {one.id: "***0143"}
        assert [shown.phone for shown in named(conn, vault, "R1", NOW + 2 * DAY)] == ["***0143"]


def test_the_sweep_destroys_keys_and_expires_replays(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment())], [memory(1), memory(2, forget_after=NOW + 20 * DAY)])
    with store.write() as conn:
        swept = sweep(conn, vault, NOW + 8 * DAY)
        assert (swept.keys, swept.messages) == (1, 1)
        assert conn.execute(select(messages.c.msh10)).scalars().all() == ["M2"]


def test_deleted_values_are_in_no_file(tmp_path: Path) -> None:
    """Plain digits on purpose: encryption must not be what hides them from this test."""
    store = open_store(f"sqlite:///{tmp_path / 'plain.db'}")
    numbers = [PhoneNumber(f"+1202555{number:04d}") for number in range(100, 200)]
    with store.write() as conn:
        conn.execute(text("CREATE TABLE plain (id INTEGER PRIMARY KEY, phone BLOB, padding TEXT)"))
        insert = text("INSERT INTO plain (phone, padding) VALUES (:phone, :padding)")
        insert = insert.bindparams(bindparam("phone", type_=LargeBinary))
        conn.execute(insert, [{"phone": one.e164().encode(), "padding": "x" * 300} for one in numbers])
    assert scan_files(store.files, numbers[7]), "the scan itself can find one"
    with store.write() as conn:
        conn.execute(text("UPDATE plain SET phone = NULL WHERE id <= 50"))
        conn.execute(text("DELETE FROM plain WHERE id > 50"))
    assert settle_files(store)
    assert [trace for one in numbers for trace in scan_files(store.files, one)] == []
    store.close()


def test_two_hundred_forgotten_phones_are_in_no_file(tmp_path: Path, vault: Vault) -> None:
    from store import schema

    store = open_store(f"sqlite:///{tmp_path / 'carebell.db'}")
    schema.upgrade(store)
    numbers = [PhoneNumber(f"+1{area}5550{last}") for area in (202, 425) for last in range(100, 200)]
    put(store, vault, [first(appointment(index, phone=number)) for index, number in enumerate(numbers)])
    assert _kept(store) == 200
    with store.write() as conn:
        assert len(forget_due(conn, NOW + 2 * DAY)) == 200
        sweep(conn, vault, NOW + 3 * DAY)
    assert settle_files(store)
    assert _kept(store) == 0
    assert [trace for one in numbers for trace in scan_files(store.files, one)] == []
    store.close()


@pytest.mark.parametrize(
    ("spelling", "written"),
    [
        ("ascii", b"(202) 555-0143"),
        ("ascii", b"+12025550143"),
        ("utf-16-le", "2025550143".encode("utf-16-le")),
        ("utf-16-be", "2025550143".encode("utf-16-be")),
        ("hex", b"32303235353530313433"),
        ("base64", b"KzEyMDI1NTUwMTQz"),
        ("base64", b"MjAyNTU1MDE0Mw=="),
        ("base64", b"ICsxMjAyNTU1MDE0Mw=="),
    ],
    ids=["separated", "e164", "utf-16-le", "utf-16-be", "hex", "base64-2", "base64-0", "base64-1"],
)
def test_the_scan_knows_the_spellings(tmp_path: Path, spelling: str, written: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"-" * ((1 << 20) - 5) + written + b"-" * 9)  # across two chunks
    assert [trace.spelling for trace in scan_files([file, tmp_path / "none"], PHONE)] == [spelling]
    assert scan_files([file], PhoneNumber("+12025550144")) == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("ask", [anything_due, forget_due, partial(anything_kept_too_long, by=LATE)])
def test_what_is_due_is_found_without_reading_what_is_kept(
    store: Store, ask: Callable[[Connection, datetime], object]
) -> None:
    """A hundred thousand booked visits keep their numbers; each is read only when its own deadline has come."""
    asked: list[tuple[str, object]] = []
    event.listen(store.engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
    with store.read() as conn:
        ask(conn, NOW)
    [(sql, values)] = [statement for statement in asked if statement[0].startswith("SELECT")]
    with store.read() as conn:
        steps = [str(step[3]) for step in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]  # type: ignore[arg-type]
    searches = [step for step in steps if "appointments" in step]
    assert searches == [
        "SEARCH appointments USING INDEX ix_appointments_forget_at (forget_at<?)",
        "SEARCH appointments USING INDEX ix_appointments_over (life=?)",
    ]
