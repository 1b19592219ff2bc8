"""Seals open in one place with one key, and with none once the day is over."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select, update

from parser.phone_number import PhoneNumber
from store.appointment_repository import find
from store.crypto import CellLocation, Undecipherable, day_of, seal, unseal
from store.engine import Store
from store.keys import KeyFault, KeyRing, create_key_file, read_key_file
from store.tables import appointments, day_keys
from store.vault import Vault
from tests.store.samples import NOW, PHONE, appointment, first, put

_KEY = AESGCM(b"d" * 32)
_HERE = CellLocation("production", "a" * 32)


@pytest.mark.parametrize(
    ("place", "column"),
    [(CellLocation("test", "a" * 32), "phone"), (CellLocation("production", "b" * 32), "phone"), (_HERE, "join_link")],
    ids=["environment", "appointment", "column"],
)
def test_a_moved_value_does_not_open(place: CellLocation, column: str) -> None:
    sealed = seal(_KEY, 7, _HERE, "phone", b"plain")
    assert unseal(_KEY, _HERE, "phone", sealed) == b"plain"
    with pytest.raises(Undecipherable):
        unseal(_KEY, place, column, sealed)


def test_a_changed_bit_or_another_key_does_not_open() -> None:
    sealed = seal(_KEY, 7, _HERE, "phone", b"plain")
    for key, value in ((_KEY, sealed[:-1] + bytes([sealed[-1] ^ 1])), (AESGCM(b"e" * 32), sealed)):
        with pytest.raises(Undecipherable):
            unseal(key, _HERE, "phone", value)


def test_ciphertexts_swapped_between_two_rows_are_refused(store: Store, vault: Vault) -> None:
    one, two = appointment(1), appointment(2)
    put(store, vault, [first(one), first(two)])
    with store.write() as conn:
        stolen = conn.execute(select(appointments.c.phone).where(appointments.c.id == one.id)).scalar_one()
        conn.execute(update(appointments).where(appointments.c.id == two.id).values(phone=stolen))
    with store.write() as conn, pytest.raises(Undecipherable):
        find(conn, vault, [("production", two.aliases)], NOW)


def test_a_destroyed_day_key_leaves_noise(store: Store, vault: Vault) -> None:
    one = appointment()
    put(store, vault, [first(one)])
    assert one.start is not None
    with store.write() as conn:
        assert vault.destroy_before(conn, one.start) == 0
        assert vault.destroy_before(conn, one.start + timedelta(days=1)) == 1
    with store.write() as conn:  # even if somebody set the clock back
        read = find(conn, vault, [("production", one.aliases)], NOW)[0][0].appointment
    assert (read.phone, read.phone_fault) == (None, "purged")


def test_a_process_that_does_not_forget_itself_keeps_no_key_of_a_day_that_is_over(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        vault.keys_for(conn, {day_of(NOW) - 1, day_of(NOW)}, create=True)
    vault.close_before(NOW)
    assert list(vault._opened) == [day_of(NOW)]


def test_a_key_made_in_a_transaction_that_rolled_back_is_not_used(store: Store, vault: Vault) -> None:
    def fail() -> None:
        with store.write() as conn:
            vault.keys_for(conn, {5}, create=True)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.write() as conn:
        assert vault.keys_for(conn, {5}, create=False) == {}


def test_another_ring_cannot_open_the_day_keys(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment())])
    other = Vault(KeyRing(current=1, masters={1: b"x" * 32}, pepper=b"p" * 32))
    with store.read() as conn, pytest.raises(Undecipherable):
        other.keys_for(conn, {day_of(NOW + timedelta(days=2))}, create=False)
    with store.read() as conn:
        assert conn.execute(select(day_keys.c.day)).scalars().all() == [day_of(NOW + timedelta(days=2))]


@pytest.mark.parametrize("claimed", [True, False])
def test_another_installation_s_key_file_is_known(claimed: bool, store: Store, vault: Vault) -> None:
    """What it sealed would be lost with the right file back, and its pepper would text who opted out."""
    put(store, vault, [first(appointment())])
    other = Vault(KeyRing(current=1, masters={1: b"x" * 32}, pepper=b"q" * 32))
    with store.write() as conn:
        assert not claimed or vault.claim(conn)
        assert not other.claim(conn)
        assert vault.claim(conn)
        with pytest.raises(Undecipherable):
            other.keys_for(conn, {day_of(NOW + timedelta(days=40))}, create=True)
    with store.write() as conn:
        assert conn.execute(select(day_keys.c.day)).scalars().all() == [day_of(NOW + timedelta(days=2))]
        other.own(conn)
        assert other.claim(conn)
        assert not vault.claim(conn)


def test_the_right_key_file_put_back_is_read_again(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment())])
    other = Vault(KeyRing(current=1, masters={1: b"x" * 32}, pepper=b"q" * 32), reread=lambda: vault.ring)
    with store.read() as conn:
        assert other.keys_for(conn, {day_of(NOW + timedelta(days=2))}, create=False)
    assert other.ring == vault.ring


def test_a_rotated_key_file_stays_the_database_s_own(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        assert vault.claim(conn)
        assert Vault(KeyRing(current=2, masters={2: b"y" * 32}, pepper=vault.ring.pepper)).claim(conn)


def test_the_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "ring"
    made = create_key_file(file)
    assert (file.stat().st_mode & 0o777, read_key_file(file)) == (0o400, made)
    assert "masters" not in repr(made)
    with pytest.raises(KeyFault) as caught:
        create_key_file(file)
    assert caught.value.code == "KEY_FILE_EXISTS"


def test_bad_key_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("{}")
    os.chmod(tmp_path / "open", 0o440)
    (tmp_path / "damaged").write_text('{"version": 1}')
    os.chmod(tmp_path / "damaged", 0o400)
    for name, code in (("none", "MISSING"), ("open", "OPEN_TO_OTHERS"), ("damaged", "DAMAGED")):
        with pytest.raises(KeyFault) as caught:
            read_key_file(tmp_path / name)
        assert caught.value.code == f"KEY_FILE_{code}"


def test_a_phone_key_tells_numbers_apart_and_peppers_too(vault: Vault) -> None:
    other = KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"q" * 32)
    keys = {vault.ring.phone_key(PHONE), vault.ring.phone_key(PhoneNumber("+12025550144")), other.phone_key(PHONE)}
    assert (len(keys), {len(key) for key in keys}) == (3, {64})
    assert vault.ring.phone_key(PHONE) == vault.ring.phone_key(PhoneNumber(PHONE.e164(), "landline"))
