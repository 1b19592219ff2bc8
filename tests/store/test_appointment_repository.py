"""The way in: every field survives, replays are known, plans are replaced only while nothing was attempted."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from types import MappingProxyType

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment, AppointmentStatus, Visible
from scheduler.sent_period import NEVER, SentPeriod
from scheduler.sms import Reason, SmsState
from store import records
from store.appointment_repository import MessageKey, find, known
from store.engine import Store
from store.forgetting import sweep
from store.tables import appointments, outbox
from store.vault import Vault
from tests.store.samples import NOW, again, appointment, first, memory, put, reminder


def _full() -> Appointment:
    """An appointment in which no field has its default."""
    hour = timedelta(hours=1)
    return appointment(
        aliases=("a|1", "b|1"),
        status=AppointmentStatus.CANCELED,
        date_only=True,
        duration=timedelta(minutes=30),
        phone_fault="landline",
        deceased=True,
        consent=False,
        visit_mode="video",
        join_link="https://visit.example/1",
        facility="Lamna",
        provider="Dr. Example",
        location="Room 1",
        conference="G-77",
        patient_name="Ann",
        window_revision=3,
        window_due=NOW + hour,
        last_notified=Visible(
            start=NOW + hour, date_only=True, visit_mode="phone", canceled=True, details=(("facility", "L"),)
        ),
        window_text=True,
        planned_revision=2,
        unseen_edit=True,
        stamps=MappingProxyType({"start": SentPeriod(earliest=NOW - hour, until=NOW), "status": NEVER}),
        purged_at=NOW - hour,
        revision=4,
        event_until=NOW + hour,
    )


def test_every_field_survives_the_round_trip(store: Store, vault: Vault) -> None:
    before = _full()
    defaults = {field.name for field in fields(Appointment) if getattr(before, field.name) in (None, False, (), {})}
    assert defaults == {"consent"}  # which is False on purpose
    put(store, vault, [first(before)])
    with store.write() as conn:
        assert find(conn, vault, [("production", ["b|1"])], NOW)[0][0].appointment == before


def test_the_tuple_has_the_table_s_order() -> None:
    assert tuple(column.name for column in appointments.columns) == records.COLUMNS


def test_nothing_of_the_patient_is_stored_in_the_clear(store: Store, vault: Vault) -> None:
    put(store, vault, [first(_full())])
    with store.read() as conn:
        row = repr(conn.execute(select(appointments)).one())
    for secret in ("2025550143", "Ann", "visit.example"):
        assert secret not in row


def test_finding_answers_each_question_in_the_order_of_its_aliases(store: Store, vault: Vault) -> None:
    one, two = appointment(1), appointment(2)
    put(store, vault, [first(one, reminder()), first(two)])
    alias_1, alias_2 = one.aliases[0], two.aliases[0]
    wanted = [
        ("production", [alias_2, alias_1]),
        ("test", [alias_1]),
        ("production", ["none", alias_1]),
        ("production", []),
    ]
    with store.write() as conn:
        found = find(conn, vault, wanted, NOW)
    assert [[one.appointment.reference for one in answer] for answer in found] == [["R2", "R1"], [], ["R1"], []]
    assert found[2][0].history == (reminder(),)


def test_a_phone_is_closed_from_its_deadline_on_even_before_the_sweep(store: Store, vault: Vault) -> None:
    one = appointment()
    put(store, vault, [first(one)])
    assert one.start is not None
    for now, readable in ((one.start - timedelta(microseconds=1), True), (one.start, False)):
        with store.write() as conn:
            read = find(conn, vault, [("production", one.aliases)], now)[0][0].appointment
        assert (read.phone is not None, read.phone_fault) == (readable, None if readable else "purged")


def test_a_phone_after_its_deadline_is_not_even_written(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(start=NOW))])
    with store.read() as conn:
        assert conn.execute(select(appointments.c.phone, appointments.c.forget_at)).one() == (None, None)


def test_a_plan_replaces_what_waits_and_leaves_what_was_attempted(store: Store, vault: Vault) -> None:
    one = appointment()
    rules = {rule: reminder(rule=rule) for rule in ("7d", "24h")}
    put(store, vault, [first(one, *rules.values())])
    with store.write() as conn:
        conn.execute(update(outbox).where(outbox.c.rule == "24h").values(state=SmsState.SENDING.value))
    later = [replace(past, state=SmsState.SUPPRESSED, reason=Reason.CANCELED, expires=None) for past in rules.values()]
    put(store, vault, [again(replace(one, revision=2), *later)])
    with store.read() as conn:
        rows = conn.execute(
            select(outbox.c.rule, outbox.c.state, outbox.c.next_attempt_at, outbox.c.config_version)
        ).all()
    assert sorted(rows, key=str) == sorted([("7d", "suppressed", None, "c2"), ("24h", "sending", NOW, "c1")], key=str)


def test_of_two_plans_for_one_row_in_a_batch_the_later_counts(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(), reminder(), reminder(state=SmsState.SUPPRESSED, reason=Reason.CANCELED))])
    with store.read() as conn:
        assert conn.execute(select(outbox.c.state, outbox.c.reason)).all() == [("suppressed", "canceled")]


def test_a_large_batch_is_stored_whole(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(number)) for number in range(205)], [memory(number) for number in range(205)])
    with store.read() as conn:
        assert len(conn.execute(select(appointments.c.id)).all()) == 205
        assert len(known(conn, [(memory(number).key, memory(number).digest) for number in range(300)])) == 205


def test_answers_are_remembered_per_sender(store: Store, vault: Vault) -> None:
    one, odd = memory(1, warning="OLD"), memory(2, key=MessageKey("production", "EPIC", "LAMNA", "M\0"))
    put(store, vault, [], [one, odd])
    other = one.key._replace(environment="test")
    with store.read() as conn:
        found = known(conn, [(one.key, one.digest), (other, one.digest), (odd.key, odd.digest)])
    assert found[one.key] == [one]
    assert (set(found), found[odd.key][0].digest) == ({one.key, odd.key}, odd.digest)


def test_every_content_of_a_reused_control_id_is_remembered_where_reuse_is_let_through(
    store: Store, vault: Vault
) -> None:
    old, new, newer = (memory(1, digest=letter * 32, text=letter.decode()) for letter in (b"a", b"b", b"c"))
    put(store, vault, [], [old])
    with pytest.raises(IntegrityError):
        put(store, vault, [], [new])
    put(store, vault, [], [replace(new, reuses=True)])
    with pytest.raises(IntegrityError):  # two nodes that handle the same content at once
        put(store, vault, [], [replace(new, reuses=True)])
    with store.read() as conn:
        assert known(conn, [(old.key, old.digest)]) == {old.key: [old]}
        assert known(conn, [(old.key, one.digest) for one in (newer, new, old)]) == {old.key: [old, new]}
        assert known(conn, [(old.key, newer.digest)]) == {old.key: [old]}


def test_a_batch_may_reuse_a_control_id_again_and_again(store: Store, vault: Vault) -> None:
    contents = [memory(1, digest=bytes([letter]) * 32, reuses=letter > 0) for letter in range(5)]
    put(store, vault, [], contents)
    with store.read() as conn:
        found = known(conn, [(one.key, one.digest) for one in contents])
    assert sorted(one.digest for one in found[contents[0].key]) == [one.digest for one in contents]


def test_the_last_content_of_a_control_id_keeps_the_first_remembered(store: Store, vault: Vault) -> None:
    """Or the last one, whose first is gone, would be new again."""
    late = NOW + timedelta(days=6)
    first_one, last = memory(1, digest=b"a" * 32), memory(1, digest=b"b" * 32, reuses=True)
    last = replace(last, received_at=late, forget_after=late + timedelta(days=8))
    put(store, vault, [], [first_one])
    put(store, vault, [], [last])
    with store.write() as conn:
        sweep(conn, vault, NOW + timedelta(days=9))
        assert [one.digest for one in known(conn, [(last.key, last.digest)])[last.key]] == [b"a" * 32, b"b" * 32]
        sweep(conn, vault, last.forget_after)
        assert known(conn, [(last.key, last.digest)]) == {}


def test_two_first_sights_of_one_appointment_do_not_both_succeed(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(1))])
    with pytest.raises(IntegrityError):
        put(store, vault, [first(appointment(1, phone=PhoneNumber("+12025550144")))])
