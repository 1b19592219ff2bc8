"""store/writebacks.py: written once with its event, claimed by one, in order, and final once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from carebell.ids import ControlIds
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackIntent, WritebackState
from store import writeback_rows, writebacks
from store.engine import Store
from store.tables import day_keys
from store.tables import writebacks as table
from store.vault import Vault
from store.writebacks import ClaimedWriteback
from tests.store.samples import NOW, appointment, first, put

LEASE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def _intent(owner: str, **changes: Any) -> WritebackIntent:
    plain = WritebackIntent(
        environment="production",
        appointment=owner,
        event=WritebackEvent.CONFIRMED,
        event_seq=None,
        channel=WritebackChannel.HL7,
        facts={"by": "patient"},
        expires_at=NOW + 24 * HOUR,
        not_before=NOW,
    )
    return replace(plain, **changes)


def _owners(store: Store, vault: Vault, count: int) -> list[str]:
    visits = [appointment(number) for number in range(count)]
    put(store, vault, [first(one) for one in visits])
    return [one.id for one in visits]


def _add(
    store: Store, *intents: WritebackIntent, now: datetime = NOW, ids: Callable[[], str] | None = None
) -> list[str | None]:
    with store.write() as conn:
        return [writebacks.add(conn, intent, ids=ids or ControlIds(), now=now) for intent in intents]


def _claim(store: Store, vault: Vault, now: datetime = NOW, **changes: Any) -> list[ClaimedWriteback]:
    known: dict[str, Any] = {"environment": "production", "channel": WritebackChannel.HL7, "node": "n", "limit": 10}
    with store.write() as conn:
        return writebacks.claim(conn, vault, now, **(known | {"lease": LEASE} | changes))


def _state(store: Store, own_id: str | None) -> WritebackState:
    assert own_id is not None
    with store.read() as conn:
        row = writeback_rows.by_id(conn, own_id)
    assert row is not None
    return row.state


def test_an_event_is_written_once(store: Store, vault: Vault) -> None:
    [owner] = _owners(store, vault, 1)
    intent = _intent(owner, event_seq=7)
    [own_id] = _add(store, intent)
    assert own_id is not None
    assert len(own_id) == 20
    assert _add(store, intent, replace(intent, facts={"by": "guest"})) == [None, None]
    with store.read() as conn:
        [row] = writeback_rows.rows(conn)
    assert (row.id, row.event_seq, row.facts, row.state) == (own_id, 7, {"by": "patient"}, WritebackState.DUE)


def test_what_was_rolled_back_does_not_go_back(store: Store, vault: Vault) -> None:
    [owner] = _owners(store, vault, 1)

    def fail() -> None:
        with store.write() as conn:
            assert writebacks.add(conn, _intent(owner), ids=ControlIds(), now=NOW) is not None
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    with store.read() as conn:
        assert writeback_rows.rows(conn) == []


def test_ids_rise_within_a_visit_even_if_the_clock_is_set_back(store: Store, vault: Vault) -> None:
    [owner] = _owners(store, vault, 1)
    clock = itertools.count(1_800_000_000_000_000_000, -3_600_000_000_000)
    back = ControlIds(lambda: next(clock))
    added = _add(store, *(_intent(owner) for _ in range(5)), ids=back)
    assert added == sorted(added, key=str)
    assert len(set(added)) == 5
    with store.read() as conn:
        assert [row.event_seq for row in writeback_rows.rows(conn)] == [5, 4, 3, 2, 1]


def test_the_id_after_the_last_digit_carries(store: Store, vault: Vault) -> None:
    [owner] = _owners(store, vault, 1)
    ids = iter(["0" * 18 + "1V", "0" * 20])
    assert _add(store, *(_intent(owner) for _ in range(2)), ids=lambda: next(ids)) == ["0" * 18 + "1V", "0" * 18 + "20"]


def test_one_of_a_visit_at_a_time_and_the_others_go_on(store: Store, vault: Vault) -> None:
    one, other = _owners(store, vault, 2)
    first_id, second_id, third_id = _add(store, _intent(one), _intent(one), _intent(other))
    claimed = _claim(store, vault)
    assert {item.row.id for item in claimed} == {first_id, third_id}
    assert all(item.row.state is WritebackState.SENDING and item.row.attempts == 1 for item in claimed)
    assert _claim(store, vault) == []
    with store.write() as conn:
        assert writebacks.refused(conn, str(first_id), 1, at=NOW, answer="AE", code="AE", err3="204")
    assert [item.row.id for item in _claim(store, vault)] == [second_id]


def test_strict_is_one_after_the_other_and_a_refused_one_blocks_until_its_time_is_over(
    store: Store, vault: Vault
) -> None:
    one, other = _owners(store, vault, 2)
    first_id, second_id = _add(store, _intent(one, expires_at=NOW + HOUR), _intent(other))
    assert [item.row.id for item in _claim(store, vault, strict=True)] == [first_id]
    with store.write() as conn:
        assert writebacks.refused(conn, str(first_id), 1, at=NOW, answer="AE", code="AE")
    assert _claim(store, vault, strict=True) == []
    with store.read() as conn:
        blocked = writeback_rows.head(conn, "production", WritebackChannel.HL7, NOW)
        after = writeback_rows.head(conn, "production", WritebackChannel.HL7, NOW + HOUR)
    assert blocked is not None
    assert after is not None
    assert (blocked.id, after.id) == (first_id, second_id)
    assert [item.row.id for item in _claim(store, vault, NOW + HOUR, strict=True)] == [second_id]


def test_targets_do_not_wait_for_each_other(store: Store, vault: Vault) -> None:
    [owner] = _owners(store, vault, 1)
    _, elsewhere = _add(store, _intent(owner), _intent(owner, channel=WritebackChannel.EPIC_STATUS))
    assert len(_claim(store, vault)) == 1
    [item] = _claim(store, vault, channel=WritebackChannel.EPIC_STATUS)
    assert item.row.id == elsewhere
    assert _claim(store, vault, environment="test") == []


def test_the_bytes_of_the_first_attempt_are_kept_sealed_until_it_is_final(store: Store, vault: Vault) -> None:
    [owner] = _owners(store, vault, 1)
    [own_id] = _add(store, _intent(owner))
    content = b"MSH|^~\\&|CAREBELL\r"
    with store.write() as conn:
        [item] = writebacks.claim(
            conn, vault, NOW, environment="production", channel=WritebackChannel.HL7, node="n", limit=1, lease=LEASE
        )
        assert (item.content, item.unreadable) == (None, False)
        writebacks.keep_content(conn, vault, item.row.id, content, until=NOW + HOUR)
    with store.read() as conn:
        sealed = conn.execute(select(table.c.content)).scalar_one()
    assert b"CAREBELL" not in sealed
    with store.write() as conn:
        assert writebacks.retry(conn, str(own_id), 1, until=NOW + LEASE, code="RESET")
    [again] = _claim(store, vault, NOW + LEASE)
    assert (again.content, again.row.attempts) == (content, 2)
    with store.write() as conn:
        assert not writebacks.acknowledged(conn, str(own_id), 1, at=NOW, answer="AA")
        assert writebacks.acknowledged(conn, str(own_id), 2, at=NOW, answer="AA")
        assert conn.execute(select(table.c.content)).scalar_one() is None
    assert _state(store, own_id) is WritebackState.ACKNOWLEDGED


@pytest.mark.parametrize("harm", ["destroyed", "lost"])
def test_bytes_whose_key_is_gone_are_said_to_be_unreadable(store: Store, vault: Vault, harm: str) -> None:
    [owner] = _owners(store, vault, 1)
    [own_id] = _add(store, _intent(owner))
    with store.write() as conn:
        writebacks.keep_content(conn, vault, str(own_id), b"MSH|", until=NOW + HOUR)
    with store.write() as conn:
        if harm == "destroyed":
            conn.execute(day_keys.delete())
        else:
            conn.execute(day_keys.update().values(wrapped=(1).to_bytes(4, "big") + b"x" * 60))
    [item] = _claim(store, Vault(vault.ring))  # it has not opened the key before
    assert (item.content, item.unreadable) == (None, True)


def test_a_dead_nodes_row_is_due_again_when_its_lease_is_over(store: Store, vault: Vault) -> None:
    [owner] = _owners(store, vault, 1)
    [own_id] = _add(store, _intent(owner))
    _claim(store, vault, node="dead")
    with store.write() as conn:
        assert writebacks.expire_leases(conn, NOW + LEASE - timedelta(seconds=1)) == []
        assert [row.id for row in writebacks.expire_leases(conn, NOW + LEASE)] == [own_id]
    [item] = _claim(store, vault, NOW + LEASE, node="other")
    assert (item.row.attempts, item.row.node) == (2, "other")


def test_a_row_given_back_was_not_tried(store: Store, vault: Vault) -> None:
    [owner] = _owners(store, vault, 1)
    [own_id] = _add(store, _intent(owner))
    _claim(store, vault)
    with store.write() as conn:
        assert writebacks.release(conn, str(own_id), 1, at=NOW)
    [item] = _claim(store, vault)
    assert item.row.attempts == 1


def test_late_ones_are_named_and_can_be_opened_again(store: Store, vault: Vault) -> None:
    one, other = _owners(store, vault, 2)
    added = _add(store, *(_intent(owner, expires_at=NOW + HOUR) for owner in (one, other, one)))
    assert _claim(store, vault, NOW + HOUR) == []
    with store.write() as conn:
        assert writebacks.expire(conn, NOW) == []
        assert sorted(row.id for row in writebacks.expire(conn, NOW + HOUR)) == sorted(map(str, added))
        assert writeback_rows.queue(conn) == []
        assert writebacks.reopen(conn, str(added[0]), now=NOW + HOUR, expires_at=NOW + 2 * HOUR)
        assert not writebacks.reopen(conn, str(added[0]), now=NOW + HOUR, expires_at=NOW + 2 * HOUR)
    [item] = _claim(store, vault, NOW + HOUR)
    with store.write() as conn:
        assert writebacks.acknowledged(conn, item.row.id, 1, at=NOW, answer="AA")
        assert not writebacks.reopen(conn, item.row.id, now=NOW + HOUR, expires_at=NOW + 2 * HOUR)


def test_a_flapping_line_becomes_its_last_state(store: Store, vault: Vault) -> None:
    [owner] = _owners(store, vault, 1)
    second = timedelta(seconds=1)

    def flap(event: WritebackEvent, at: datetime, by: str = "patient") -> str | None:
        return _add(store, _intent(owner, event=event, facts={"by": by}, not_before=at + 5 * second), now=at)[0]

    earlier = [flap(WritebackEvent.CONNECTED, NOW), flap(WritebackEvent.DISCONNECTED, NOW + second)]
    staff = flap(WritebackEvent.CONNECTED, NOW + second, by="provider")
    last = flap(WritebackEvent.CONNECTED, NOW + 2 * second)
    later = flap(WritebackEvent.DISCONNECTED, NOW + 9 * second)
    assert [_state(store, own_id) for own_id in (*earlier, staff, last, later)] == [
        WritebackState.SUPERSEDED, WritebackState.SUPERSEDED, WritebackState.DUE, WritebackState.DUE, WritebackState.DUE,
    ]  # fmt: skip


def test_what_waits_is_counted_by_target(store: Store, vault: Vault) -> None:
    one, other = _owners(store, vault, 2)
    _add(store, _intent(one), now=NOW)
    _add(store, _intent(other), _intent(other, channel=WritebackChannel.FHIR, not_before=NOW + HOUR), now=NOW + LEASE)
    _claim(store, vault, limit=1)
    with store.read() as conn:
        assert [(waits.channel.value, waits.waiting, waits.oldest) for waits in writeback_rows.queue(conn)] == [
            ("fhir", 1, NOW + LEASE),
            ("hl7", 2, NOW),
        ]


def test_pages_are_read_newest_first(store: Store, vault: Vault) -> None:
    one, other = _owners(store, vault, 2)
    added = _add(store, _intent(one), _intent(other), _intent(one, event=WritebackEvent.CANNOT_COME))
    with store.read() as conn:
        newest = writeback_rows.rows(conn, limit=2)
        rest = writeback_rows.rows(conn, before=newest[-1].id)
        assert {row.id for row in (*newest, *rest)} == set(added)
        assert [row.id for row in writeback_rows.rows(conn, of_appointments=[other])] == [added[1]]
        assert [row.id for row in writeback_rows.rows(conn, event=WritebackEvent.CANNOT_COME)] == [added[2]]
        assert writeback_rows.rows(conn, state=WritebackState.REFUSED) == []
        assert writeback_rows.rows(conn, environment="test") == []
        assert writeback_rows.by_id(conn, "?") is None


def test_nodes_that_claim_at_once_share_the_rows(store: Store, vault: Vault) -> None:
    nodes, count = 4, 40
    _add(store, *(_intent(owner) for owner in _owners(store, vault, count)))
    ready = Barrier(nodes)

    def work(node: int) -> list[str]:
        ready.wait()
        mine = []
        while taken := _claim(store, vault, node=f"n{node}", limit=3):
            mine += [item.row.id for item in taken]
        return mine

    with ThreadPoolExecutor(nodes) as threads:
        taken = [own_id for ids in threads.map(work, range(nodes)) for own_id in ids]
    assert len(set(taken)) == len(taken)
    left = _claim(store, vault, limit=count)  # those that a node passed over while another one held them
    assert len(taken) + len(left) == count
