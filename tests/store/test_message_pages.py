"""The list of received messages: each once, the newest first, also where environments and instants are shared."""

from __future__ import annotations

from datetime import timedelta

import pytest

from store.appointment_repository import MessageKey
from store.engine import Store
from store.message_pages import ReceivedMessage, received
from store.vault import Vault
from tests.store.samples import NOW, memory, put

ENVIRONMENTS = ("production", "test", "empty")


@pytest.fixture
def filled(store: Store, vault: Vault) -> Store:
    remembered = [
        memory(
            number,
            key=MessageKey("test" if number % 3 == 0 else "production", "EPIC", "LAMNA", f"M{number:02}"),
            received_at=NOW + timedelta(minutes=number // 4),
            forget_after=NOW + timedelta(days=8, minutes=number // 4),
            code="UNSEEN" if number % 5 == 0 else None,
            answer="AE" if number % 5 == 0 else "AA",
        )
        for number in range(24)
    ]
    put(store, vault, [], remembered)
    return store


@pytest.mark.parametrize("limit", [1, 2, 5, 24, 50])
@pytest.mark.parametrize("with_code", [False, True])
def test_pages_hold_every_message_once(filled: Store, limit: int, *, with_code: bool) -> None:
    walked: list[ReceivedMessage] = []
    after = None
    with filled.read() as conn:
        for _ in range(60):
            page = received(conn, ENVIRONMENTS, with_code=with_code, after=after, limit=limit)
            walked += page.messages
            after = page.after
            if after is None:
                break
    wanted = {f"M{number:02}" for number in range(24) if not with_code or number % 5 == 0}
    assert sorted(message.control_id for message in walked) == sorted(wanted)
    instants = [message.received_at for message in walked]
    assert instants == sorted(instants, reverse=True)


def test_only_the_environments_that_are_asked_for(filled: Store) -> None:
    with filled.read() as conn:
        assert received(conn, [], with_code=False, after=None, limit=5).messages == []
        page = received(conn, ["test"], with_code=False, after=None, limit=50)
    assert {message.environment for message in page.messages} == {"test"}
    assert (len(page.messages), page.after) == (8, None)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("with_code", "index"), [(False, "ix_messages_expiry"), (True, "ix_messages_refused")])
def test_each_list_has_its_index(filled: Store, index: str, *, with_code: bool) -> None:
    code = "AND code IS NOT NULL " if with_code else ""
    asked = f"SELECT * FROM messages WHERE environment = 'test' {code}AND forget_after <= 1 ORDER BY forget_after DESC"
    with filled.read() as conn:
        plan = " ".join(row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}"))
    assert index in plan
    assert "TEMP B-TREE" not in plan
