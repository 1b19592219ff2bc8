"""`purge --verify`'s other half: which visits keep a number, whichever state they are in, and where its hash stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from parser.phone_number import PhoneNumber
from scheduler.appointment import AppointmentStatus
from store import optouts, phone_holders
from store.engine import Store
from store.optouts import Optout
from store.phone_holders import PhoneSearch
from store.vault import Vault
from tests.store.samples import NOW, PHONE, appointment, first, put, reminder

OTHER = PhoneNumber("+12025550144", "mobile")


def _search(store: Store, vault: Vault) -> PhoneSearch:
    return PhoneSearch(store, vault, PHONE, NOW)


def test_every_visit_with_the_number_is_named(store: Store, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several pages, whatever its kind of line, in any state; another number's and an emptied visit are not."""
    monkeypatch.setattr(phone_holders, "_PAGE", 2)
    landline = PhoneNumber(PHONE.e164(), "landline")
    visits = [
        appointment(1),
        appointment(2, phone=OTHER),
        appointment(3, status=AppointmentStatus.CANCELED, window_revision=1, window_text=True, phone=landline),
        appointment(4, phone=None),
        appointment(5, start=NOW + timedelta(days=9), environment="test"),
        appointment(6, start=NOW - timedelta(days=1)),
    ]
    put(store, vault, [first(visit, *([reminder()] if visit.reference == "R1" else [])) for visit in visits])
    search = _search(store, vault)
    holders = {holder.reference: holder for holder in search.holders()}
    assert set(holders) == {"R1", "R3", "R5"}
    assert (holders["R1"].status, holders["R1"].settles, holders["R1"].waiting) == ("active", False, 1)
    assert (holders["R3"].status, holders["R3"].settles, holders["R3"].waiting) == ("canceled", True, 0)
    assert (holders["R5"].environment, holders["R5"].until) == ("test", NOW + timedelta(days=9))
    assert search.unreadable == 0


def test_what_does_not_open_is_counted(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment())])
    search = _search(store, Vault(replace(vault.ring, masters={1: b"x" * 32})))
    assert (list(search.holders()), search.unreadable) == ([], 1)


def test_the_hash_is_told(store: Store, vault: Vault) -> None:
    nothing = _search(store, vault).hashes()
    assert (nothing.texts, nothing.until, nothing.opted_out) == (0, None, ())
    with store.write() as conn:
        for number, sender in ((PHONE, "*"), (OTHER, "+14255550100")):
            key = vault.ring.phone_key(number)
            optouts.add(conn, Optout(phone_key=key, sender=sender, source="cli", since=NOW))
    assert _search(store, vault).hashes().opted_out == ("*",)
