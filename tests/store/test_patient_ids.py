"""store/patient_ids.py: kept sealed until its time, moved with its visit, gone with it; in no file afterwards."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from parser.event import FORGET
from scheduler.appointment import Appointment
from store import patient_ids, schema
from store.crypto import day_of, sealed_day
from store.engine import Store, open_store
from store.forgetting import give_up_unreadable, settle_files, sweep
from store.keys import KeyRing
from store.patient_ids import KeptPatientId, PatientIdPlan
from store.tables import day_keys
from store.tables import patient_ids as table
from store.vault import Vault
from tests.store.samples import NOW, appointment, first, put

DAY = timedelta(days=1)
OLD, NEW = "MRN00042^^^LAMNA^MR~7", "MRN00043^^^LAMNA^MR"


def _visit(store: Store, vault: Vault, number: int = 1) -> str:
    one: Appointment = appointment(number)
    put(store, vault, [first(one)])
    return one.id


def _keep(store: Store, vault: Vault, owner: str, days: float | None = 3, **changes: object) -> None:
    ends_at = None if days is None else NOW + days * DAY
    plan = PatientIdPlan(appointment=owner, ends_at=ends_at, **changes)  # type: ignore[arg-type]
    with store.write() as conn:
        patient_ids.keep(conn, vault, [plan], NOW)


def _kept(store: Store, vault: Vault, owner: str, after: timedelta = timedelta()) -> KeptPatientId | None:
    with store.read() as conn:
        return patient_ids.read(conn, vault, [owner], NOW + after).get(owner)


def test_it_is_kept_until_its_time_and_sealed_with_the_key_of_that_day(store: Store, vault: Vault) -> None:
    owner = _visit(store, vault)
    _keep(store, vault, owner, given=OLD, sent_at=NOW)
    assert _kept(store, vault, owner) == KeptPatientId(repetitions=OLD, ends_at=NOW + 3 * DAY)
    assert _kept(store, vault, owner, 3 * DAY) is None
    with store.write() as conn:
        sealed = conn.execute(select(table.c.sealed)).scalar_one()
        assert sealed_day(sealed) == day_of(NOW + 3 * DAY)
        assert b"MRN00042" not in bytes(sealed)
        assert patient_ids.kept(conn).visits == 1
        sweep(conn, vault, NOW + 3 * DAY)
        assert patient_ids.kept(conn) == patient_ids.KeptPatientIds(visits=0, until=None)


def test_a_moved_visit_moves_it_and_nobody_opens_it_with_an_older_key(store: Store, vault: Vault) -> None:
    owner = _visit(store, vault)
    for days in (3, 6, 1.5):
        _keep(store, vault, owner, days, **({"given": OLD, "sent_at": NOW} if days == 3 else {}))
        assert _kept(store, vault, owner) == KeptPatientId(repetitions=OLD, ends_at=NOW + days * DAY)
        with store.read() as conn:
            assert sealed_day(conn.execute(select(table.c.sealed)).scalar_one()) == day_of(NOW + days * DAY)


def test_the_newest_message_counts(store: Store, vault: Vault) -> None:
    owner = _visit(store, vault)
    _keep(store, vault, owner, given=NEW, sent_at=NOW)
    _keep(store, vault, owner, given=OLD, sent_at=NOW - DAY)
    kept = _kept(store, vault, owner)
    assert kept is not None
    assert kept.repetitions == NEW
    _keep(store, vault, owner, given=FORGET, sent_at=NOW - DAY)
    assert _kept(store, vault, owner) == kept
    _keep(store, vault, owner, given=FORGET, sent_at=NOW)
    assert _kept(store, vault, owner) is None


@pytest.mark.parametrize("days", [None, 0, -1])
def test_a_visit_that_is_deleted_or_long_over_keeps_none(store: Store, vault: Vault, days: float | None) -> None:
    owner = _visit(store, vault)
    _keep(store, vault, owner, given=OLD, sent_at=NOW)
    _keep(store, vault, owner, days)
    with store.read() as conn:
        assert patient_ids.kept(conn).visits == 0
    _keep(store, vault, owner, days, given=OLD, sent_at=NOW)
    with store.read() as conn:
        assert patient_ids.kept(conn).visits == 0


def test_a_canceled_visit_never_keeps_it_longer_and_a_new_booking_does(store: Store, vault: Vault) -> None:
    owner = _visit(store, vault)
    _keep(store, vault, owner, 9, given=OLD, sent_at=NOW)
    for days, canceled, kept_for in ((1, True, 1), (2, True, 1), (9, False, 9)):
        _keep(store, vault, owner, days, canceled=canceled)
        kept = _kept(store, vault, owner)
        assert kept is not None
        assert kept.ends_at == NOW + kept_for * DAY


def test_two_visits_that_are_one_keep_the_newest(store: Store, vault: Vault) -> None:
    stays, goes, third = (_visit(store, vault, number) for number in range(3))
    _keep(store, vault, stays, given=OLD, sent_at=NOW)
    _keep(store, vault, goes, 5, given=NEW, sent_at=NOW + timedelta(seconds=1))
    _keep(store, vault, stays, others=(goes,))
    assert _kept(store, vault, stays) == KeptPatientId(repetitions=NEW, ends_at=NOW + 3 * DAY)
    assert _kept(store, vault, goes) is None
    _keep(store, vault, third, 4, others=(stays,))
    assert _kept(store, vault, third) == KeptPatientId(repetitions=NEW, ends_at=NOW + 4 * DAY)
    with store.read() as conn:
        assert patient_ids.kept(conn).visits == 1


def test_with_another_key_file_it_is_absent_and_given_up(store: Store, vault: Vault) -> None:
    owner = _visit(store, vault)
    _keep(store, vault, owner, given=OLD, sent_at=NOW)
    other = Vault(KeyRing(current=1, masters={1: b"o" * 32}, pepper=b"p" * 32))
    assert _kept(store, other, owner) is None
    with store.write() as conn:
        give_up_unreadable(conn, other)
        assert patient_ids.kept(conn).visits == 0


def test_the_key_of_its_day_goes_with_the_day(store: Store, vault: Vault) -> None:
    owner = _visit(store, vault)
    _keep(store, vault, owner, given=OLD, sent_at=NOW)
    with store.write() as conn:
        sweep(conn, vault, NOW + 4 * DAY)
        assert day_of(NOW + 3 * DAY) not in conn.execute(select(day_keys.c.day)).scalars().all()


def test_two_hundred_that_ended_are_in_no_file(tmp_path: Path, vault: Vault) -> None:
    """Neither the id nor what it was sealed to is in the database or its log, so no key can open it there."""
    store = open_store(f"sqlite:///{tmp_path / 'carebell.db'}")
    schema.upgrade(store)
    for number in range(200):
        _keep(store, vault, _visit(store, vault, number), given=f"MRN{number:05}^^^LAMNA^MR", sent_at=NOW)
    with store.read() as conn:
        sealed = [bytes(value) for value in conn.execute(select(table.c.sealed)).scalars()]
    assert settle_files(store)
    assert any(sealed[7] in file.read_bytes() for file in store.files if file.exists()), "the search itself finds one"
    with store.write() as conn:
        sweep(conn, vault, NOW + 3 * DAY)
    assert settle_files(store)
    contents = [file.read_bytes() for file in store.files if file.exists()]
    assert len(sealed) == 200
    assert not any(value in content for value in (b"MRN00", *sealed) for content in contents)
    store.close()
