"""A reply acts once: on one node, on two at the same moment, and not at all where its transaction failed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from parser.phone_number import PhoneNumber
from store import replies
from store.engine import Store
from store.forgetting import sweep
from store.vault import Vault
from tests.store.samples import NOW

SID = "SM" + "1" * 32


def test_a_reply_is_new_once(store: Store) -> None:
    with store.write() as conn:
        assert replies.first_time(conn, "one", NOW)
    with store.write() as conn:
        assert not replies.first_time(conn, "one", NOW)
        assert replies.first_time(conn, "other", NOW)


def test_what_was_rolled_back_was_not_heard(store: Store) -> None:
    def fail() -> None:
        with store.write() as conn:
            assert replies.first_time(conn, "one", NOW)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    with store.write() as conn:
        assert replies.first_time(conn, "one", NOW)


def test_nodes_that_hear_it_at_once_agree_on_one(store: Store) -> None:
    nodes = 4
    ready = Barrier(nodes)

    def hear(key: str) -> bool:
        ready.wait()
        with store.write() as conn:
            return replies.first_time(conn, key, NOW)

    with ThreadPoolExecutor(nodes) as threads:
        for key in map(str, range(5)):
            assert sum(threads.map(hear, [key] * nodes)) == 1


def test_it_is_remembered_longer_than_a_token_lives_and_not_for_ever(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        replies.first_time(conn, "one", NOW)
        assert sweep(conn, vault, NOW + timedelta(days=366)).replies == 0
        assert not replies.first_time(conn, "one", NOW + timedelta(days=366))
        assert sweep(conn, vault, NOW + replies.REMEMBERED).replies == 1
        assert replies.first_time(conn, "one", NOW + replies.REMEMBERED)


def test_the_key_tells_neither_the_sid_nor_a_number(vault: Vault) -> None:
    key = vault.ring.reply_key(SID)
    assert key == vault.ring.reply_key(SID)
    assert SID not in key
    assert key != vault.ring.reply_key(SID[:-1] + "2")
    number = PhoneNumber("+12025550143")
    assert vault.ring.reply_key(number.e164()) != vault.ring.phone_key(number)
