"""`keys rotate`: what opens with which key file before and after it, whoever runs meanwhile.

The promise (docs/how-to/backups.md): the key file of today opens no copy of the database from before the last rotation. So
who finds an old backup, and reaches the key file at any time after the next rotation, reads no number.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from store.appointment_repository import find
from store.audit import Author, entries
from store.crypto import Undecipherable, day_of
from store.engine import Store, open_store
from store.forgetting import forget_due, give_up_unreadable, settle_files, sweep
from store.key_rotation import _alone, rotate
from store.keys import KeyFault, KeyRing, add_master_key, create_key_file, read_key_file
from store.tables import day_keys
from store.vault import Vault
from tests.store.samples import NOW, PHONE, appointment, first, put, reminder

TESTER = Author(who="cli:test", origin="host=here")
WEEK = timedelta(days=7)
VISITS = {"soon": timedelta(days=2), "later": timedelta(days=10)}


def _service(key_file: Path) -> Vault:
    """A running service's vault, which reads the file again as `components.open_vault` has it do."""
    return Vault(read_key_file(key_file), reread=lambda: read_key_file(key_file))


def _rotate(store: Store, key_file: Path, now: datetime = NOW) -> None:
    rotate(store, _service(key_file), key_file, author=TESTER, now=now)


def _readable(database: Path, key_file: Path, now: datetime) -> dict[str, bool | None]:
    """Of a copy of both files: does each visit's number open? None: the key is gone, False: it is there and does not open."""
    copy = database.with_name(f"{database.name}-opened")
    shutil.copy(database, copy)
    store = open_store(f"sqlite:///{copy}")
    answer: dict[str, bool | None] = {}
    try:
        for name in VISITS:
            with store.write() as conn:
                try:
                    [[stored]] = find(conn, Vault(read_key_file(key_file)), [("production", (f"alias {name}",))], now)
                    answer[name] = True if stored.appointment.phone == PHONE else None
                except Undecipherable:
                    answer[name] = False
    finally:
        store.close()
        copy.unlink()
    return answer


def test_what_a_lost_backup_tells_a_week_later(migrated_file: Path, tmp_path: Path) -> None:
    """Monday's backup of database and key file, one rotation, and a Monday later: each of the four pairs of files."""
    key_file, database = tmp_path / "carebell.key", tmp_path / "carebell.db"
    shutil.copy(migrated_file, database)
    create_key_file(key_file)
    store = open_store(f"sqlite:///{database}")
    service = _service(key_file)
    for name, ahead in VISITS.items():
        put(store, service, [first(appointment(aliases=(f"alias {name}",), start=NOW + ahead))])
    settle_files(store)
    old_key_file, backup = tmp_path / "monday.key", tmp_path / "monday.db"
    shutil.copy(key_file, old_key_file)
    shutil.copy(database, backup)

    _rotate(store, key_file)
    a_week_later = NOW + WEEK
    with store.write() as conn:
        forget_due(conn, a_week_later)
        sweep(conn, service, a_week_later)
    settle_files(store)
    store.close()

    # The lost backup with the key file of today: nothing, from the rotation on.
    assert _readable(backup, key_file, NOW) == {"soon": False, "later": False}
    # The living database with a key file that was lost before the rotation: nothing.
    assert _readable(database, old_key_file, NOW)["later"] is False
    # The living database with its key file: what lies ahead, and nothing of a day that is over.
    assert _readable(database, key_file, NOW) == {"soon": None, "later": True}
    # What no rotation can take back: a backup that was kept together with its own key file.
    assert _readable(backup, old_key_file, NOW) == {"soon": True, "later": True}


def test_a_second_rotation_waits_for_the_first(store: Store, tmp_path: Path) -> None:
    """It would take the key away under which the first one wraps at this moment."""
    key_file = tmp_path / "carebell.key"
    create_key_file(key_file)
    before = key_file.read_bytes()
    with _alone(key_file), pytest.raises(KeyFault) as fault:
        _rotate(store, key_file)
    assert (fault.value.code, key_file.read_bytes()) == ("KEY_FILE_BUSY", before)
    _rotate(store, key_file)


def test_the_file_holds_the_new_key_alone(store: Store, tmp_path: Path) -> None:
    key_file = tmp_path / "ring"
    pepper = create_key_file(key_file).pepper
    for number in (2, 3, 4):
        _rotate(store, key_file)
        ring = read_key_file(key_file)
        assert (ring.current, set(ring.masters), ring.pepper) == (number, {number}, pepper)
        assert key_file.stat().st_mode & 0o777 == 0o400
    with store.read() as conn:
        assert [(entry.action, entry.subject) for entry in entries(conn)] == [
            ("keys.rotate", f"key {number}") for number in (2, 3, 4)
        ]


def test_rotation_keeps_every_value_and_says_how_many_keys_it_moved(store: Store, tmp_path: Path) -> None:
    key_file = tmp_path / "ring"
    create_key_file(key_file)
    visits = [appointment(number, start=NOW + timedelta(days=number)) for number in (1, 2)]
    put(store, _service(key_file), [first(visit) for visit in visits])
    done = rotate(store, _service(key_file), key_file, author=TESTER, now=NOW)
    assert (done.key, done.moved, done.unreadable) == (2, 2, 0)
    with store.write() as conn:
        [[stored]] = find(conn, Vault(read_key_file(key_file)), [("production", visits[0].aliases)], NOW)
    assert stored.appointment == visits[0]


def test_a_running_service_makes_no_key_under_the_master_that_is_gone(store: Store, tmp_path: Path) -> None:
    """It has the ring of before in memory, has opened nothing since, and books a visit on a day that has no key yet."""
    key_file = tmp_path / "ring"
    create_key_file(key_file)
    service = _service(key_file)
    _rotate(store, key_file)
    visit = appointment()
    put(store, service, [first(visit)])
    with store.write() as conn:
        [[stored]] = find(conn, Vault(read_key_file(key_file)), [("production", visit.aliases)], NOW)
    assert (stored.appointment, service.ring.current) == (visit, 2)


def test_a_running_service_opens_what_was_moved(store: Store, tmp_path: Path) -> None:
    key_file = tmp_path / "ring"
    create_key_file(key_file)
    service, visit = _service(key_file), appointment()
    put(store, service, [first(visit)])
    _rotate(store, key_file)
    with store.write() as conn:
        [[stored]] = find(conn, service, [("production", visit.aliases)], NOW)
    assert (stored.appointment, set(service.ring.masters)) == (visit, {2})


def test_a_node_without_the_new_file_makes_no_key(store: Store, tmp_path: Path) -> None:
    """Its message is refused for now and comes again; the key it would make could be opened by nobody."""
    key_file, other_file = tmp_path / "ring", tmp_path / "other"
    create_key_file(key_file)
    shutil.copy(key_file, other_file)
    other_node = _service(other_file)
    _rotate(store, key_file)
    with store.write() as conn, pytest.raises(Undecipherable):
        other_node.keys_for(conn, {day_of(NOW)}, create=True)
    other_file.unlink()
    shutil.copy(key_file, other_file)
    with store.write() as conn:
        assert set(other_node.keys_for(conn, {day_of(NOW)}, create=True)) == {day_of(NOW)}


@pytest.mark.parametrize("rotation_first", [True, False])
def test_a_key_that_is_made_during_a_rotation(rotation_first: bool, store: Store, tmp_path: Path) -> None:
    """Either is in the middle of its transaction when the other begins: the day's key opens with the file that is left."""
    key_file = tmp_path / "ring"
    create_key_file(key_file)
    service, day = _service(key_file), day_of(NOW)

    def book() -> None:
        with store.write() as conn:
            service.keys_for(conn, {day}, create=True)

    with ThreadPoolExecutor(1) as aside:
        if rotation_first:
            operator = Vault(add_master_key(key_file))
            with store.write() as conn:
                operator.rewrap(conn)
                other = aside.submit(book)
        else:
            with store.write() as conn:
                service.keys_for(conn, {day}, create=True)
                other = aside.submit(_rotate, store, key_file)
        other.result()
    _rotate(store, key_file)
    with store.read() as conn:
        assert set(Vault(read_key_file(key_file)).keys_for(conn, {day}, create=False)) == {day}


@pytest.mark.parametrize("ended_after", ["file", "database"])
def test_a_rotation_that_was_cut_off_is_made_good_by_the_next(ended_after: str, store: Store, tmp_path: Path) -> None:
    key_file, visit = tmp_path / "ring", appointment()
    create_key_file(key_file)
    put(store, _service(key_file), [first(visit)])
    ring = add_master_key(key_file)
    if ended_after == "database":
        with store.write() as conn:
            Vault(ring).rewrap(conn)
    _rotate(store, key_file)
    assert set(read_key_file(key_file).masters) == {3}
    with store.write() as conn:
        [[stored]] = find(conn, Vault(read_key_file(key_file)), [("production", visit.aliases)], NOW)
    assert stored.appointment == visit


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
def test_the_file_stays_its_owners(store: Store, tmp_path: Path) -> None:
    """`sudo carebell keys rotate` must not leave a file that the service cannot read."""
    key_file = tmp_path / "ring"
    create_key_file(key_file)
    os.chown(key_file, 4321, 8765)
    _rotate(store, key_file)
    after = key_file.stat()
    assert (after.st_uid, after.st_gid, after.st_mode & 0o777) == (4321, 8765, 0o400)


# A database that is older than the last rotation


def test_a_restored_database_from_before_a_rotation_lives_again(store: Store, tmp_path: Path) -> None:
    """Its day keys open with nothing; given up, the visits stay, wait without a number, and a new message brings one."""
    key_file = tmp_path / "ring"
    create_key_file(key_file)
    lost, kept = appointment(1, start=NOW + timedelta(days=3)), appointment(2, start=NOW + timedelta(days=5))
    stranger = KeyRing(current=1, masters={1: b"x" * 32}, pepper=read_key_file(key_file).pepper)
    put(store, Vault(stranger), [first(lost, reminder())])
    put(store, _service(key_file), [first(kept)])
    done = rotate(store, _service(key_file), key_file, author=TESTER, now=NOW)
    assert (done.moved, done.unreadable) == (1, 1)
    service = _service(key_file)
    with store.write() as conn:
        with pytest.raises(Undecipherable):
            service.keys_for(conn, {day_of(NOW + timedelta(days=3))}, create=True)
        given_up = give_up_unreadable(conn, service)
        assert (given_up.keys, given_up.appointments) == (1, 1)
        assert give_up_unreadable(conn, service) == type(given_up)(keys=0, appointments=0)
    with store.write() as conn:
        [[emptied], [whole]] = find(conn, service, [("production", lost.aliases), ("production", kept.aliases)], NOW)
        assert (emptied.appointment.phone, emptied.appointment.phone_fault, emptied.appointment.purged_at) == (
            None,
            "no_phone",
            None,
        )
        assert (emptied.appointment.start, whole.appointment) == (lost.start, kept)
        assert set(service.keys_for(conn, {day_of(NOW + timedelta(days=3))}, create=True)) == {
            day_of(NOW + timedelta(days=3))
        }


def test_what_opens_is_never_given_up(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment())])
    with store.write() as conn:
        assert give_up_unreadable(conn, vault).keys == 0
        assert len(conn.execute(select(day_keys.c.day)).all()) == 1


@pytest.mark.parametrize("shut", [lambda file: file.chmod(0o444), lambda file: file.unlink()], ids=["open", "missing"])
def test_a_key_file_that_cannot_be_used_changes_nothing(
    shut: Callable[[Path], None], store: Store, tmp_path: Path
) -> None:
    key_file = tmp_path / "ring"
    create_key_file(key_file)
    service = _service(key_file)
    with store.write() as conn:
        conn.execute(insert(day_keys).values(day=1, wrapped=b"as it was"))
    shut(key_file)
    with pytest.raises(KeyFault):
        rotate(store, service, key_file, author=TESTER, now=NOW)
    with store.read() as conn:
        assert conn.execute(select(day_keys.c.wrapped)).scalar_one() == b"as it was"
        assert list(entries(conn)) == []
