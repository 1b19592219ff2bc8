"""Opt-outs, leases, rates, holds, and the marker that notices an old backup."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from scheduler.sms import HoldScope
from store import holds, leases, optouts, restore_detection
from store.engine import Store
from store.optouts import Optout
from store.rates import Rate, allowance, charge
from store.tables import meta
from store.vault import Vault
from tests.store.samples import NOW, appointment, first, put, reminder

SECOND = timedelta(seconds=1)


def test_an_optout_is_per_sender_and_start_takes_it_back(store: Store) -> None:
    one = Optout(phone_key="k1", sender="s1", source="webhook", since=NOW)
    with store.write() as conn:
        assert optouts.add(conn, one)
        assert not optouts.add(conn, Optout(phone_key="k1", sender="s1", source="21610", since=NOW + SECOND))
        assert optouts.opted_out(conn, {("k1", "s1"), ("k1", "s2"), ("k2", "s1")}) == {("k1", "s1")}
        assert (optouts.listed(conn), optouts.listed(conn, sender="s2")) == ([one], [])
        assert not optouts.remove(conn, "k1", "s1", at=NOW - SECOND)
        assert optouts.remove(conn, "k1", "s1", at=NOW)
        assert optouts.listed(conn) == []


def test_a_job_has_one_holder_until_its_lease_runs_out(store: Store) -> None:
    with store.write() as conn:
        assert leases.acquire(conn, "sweep", "n1", now=NOW, lasts=SECOND)
        assert leases.acquire(conn, "sweep", "n1", now=NOW, lasts=2 * SECOND)
        assert not leases.acquire(conn, "sweep", "n2", now=NOW + SECOND, lasts=SECOND)
        assert leases.acquire(conn, "sweep", "n2", now=NOW + 2 * SECOND, lasts=SECOND)
        assert not leases.release(conn, "sweep", "n1")
        assert leases.release(conn, "sweep", "n2")


def test_a_node_that_has_ended_leaves_its_jobs_to_the_next_at_once(store: Store) -> None:
    with store.write() as conn:
        assert leases.acquire(conn, "sweep", "n1", now=NOW, lasts=SECOND)
        assert leases.acquire(conn, "alarms", "n2", now=NOW, lasts=SECOND)
        leases.leave(conn, "n1")
        assert leases.acquire(conn, "sweep", "n3", now=NOW, lasts=SECOND)
        assert not leases.acquire(conn, "alarms", "n3", now=NOW, lasts=SECOND)


def test_nodes_that_beat_are_seen(store: Store) -> None:
    node = leases.Node(name="n1", roles="listener", version="1", started_at=NOW, seen_at=NOW)
    with store.write() as conn:
        leases.beat(conn, node)
        leases.beat(conn, node)
        assert leases.seen(conn, since=NOW) == [node]
        assert leases.seen(conn, since=NOW + SECOND) == []
    with store.write() as conn:
        leases.leave(conn, "another")
        assert leases.seen(conn, since=NOW) == [node]
        leases.leave(conn, node.name)
        assert leases.seen(conn, since=NOW) == []


def test_a_sender_s_bucket_is_charged_in_segments(store: Store) -> None:
    rate = Rate(per_second=2, burst=3)
    with store.write() as conn:
        assert allowance(conn, "s", rate, now=NOW).segments == 3
        charge(conn, "s", 4)
        dry = allowance(conn, "s", rate, now=NOW)
        assert (dry.segments, dry.ready_at) == (0, NOW + SECOND)
        assert allowance(conn, "s", rate, now=NOW + SECOND).segments == 1
        assert allowance(conn, "s", rate, now=NOW - SECOND).segments == 1
        assert allowance(conn, "s", rate, now=NOW + 99 * SECOND).segments == 3


def test_holds_cover_what_they_name(store: Store) -> None:
    with store.write() as conn:
        sender = holds.Hold(scope=HoldScope.SENDER, name="s1", reason="spam", actor="cli", since=NOW)
        assert holds.hold(conn, sender)
        assert not holds.hold(conn, sender)
        blocks = holds.read_blocks(conn, NOW)
        assert (blocks.reason("production", "s1"), blocks.reason("production", "s2")) == ("hold: spam", None)
        holds.hold(conn, holds.Hold(scope=HoldScope.ALL, name="", reason="restored", actor="start", since=NOW))
        assert holds.read_blocks(conn, NOW).reason("production", "s2") == "hold: restored"
        assert (holds.release(conn, HoldScope.ALL), holds.release(conn, HoldScope.ALL)) == (True, False)


def _beat(store: Store, file: Path, at: timedelta = timedelta()) -> None:
    with store.write() as conn:
        pulse = restore_detection.beat(conn, NOW + at)
    restore_detection.remember(file, pulse)


def test_an_old_backup_is_noticed_and_an_outage_is_not(store: Store, vault: Vault, tmp_path: Path) -> None:
    file = tmp_path / "marker"
    with store.read() as conn:
        assert restore_detection.assess(conn, file, NOW) == "fine"
    put(store, vault, [first(appointment(), reminder())])
    _beat(store, file)
    with store.read() as conn:
        backup = conn.execute(meta.select()).all()
        assert restore_detection.assess(conn, file, NOW + timedelta(days=3)) == "fine"
    _beat(store, file)
    with store.write() as conn:
        conn.execute(meta.delete())
        conn.execute(meta.insert(), [{"name": name, "value": value} for name, value in backup])
    with store.read() as conn:
        assert restore_detection.assess(conn, file, NOW) == "restored"


def test_without_a_marker_overdue_texts_wait_unless_others_are_at_work(
    store: Store, vault: Vault, tmp_path: Path
) -> None:
    missing = tmp_path / "none"
    _beat(store, tmp_path / "elsewhere")
    with store.read() as conn:
        assert restore_detection.assess(conn, missing, NOW + timedelta(days=1)) == "fine"
    put(store, vault, [first(appointment(), reminder())])
    with store.read() as conn:
        assert restore_detection.assess(conn, missing, NOW + timedelta(minutes=1)) == "fine"
        assert restore_detection.assess(conn, missing, NOW + timedelta(days=1)) == "unsure"
        (tmp_path / "damaged").write_text("{")
        assert restore_detection.assess(conn, tmp_path / "damaged", NOW + timedelta(days=1)) == "unsure"


def _another_database(conn: Connection) -> None:
    conn.execute(meta.delete())
    restore_detection.beat(conn, NOW)


@pytest.mark.parametrize("damage", [None, b"", b"{", b"\xff", b"[]", b'{"database": 1}'])
def test_an_empty_database_beside_a_key_that_has_seen_one_is_noticed(
    store: Store, tmp_path: Path, damage: bytes | None
) -> None:
    file = tmp_path / "marker"
    _beat(store, file)
    if damage is not None:
        file.write_bytes(damage)
    with store.write() as conn:
        conn.execute(meta.delete())
        assert restore_detection.assess(conn, file, NOW) == "restored"


def test_a_marker_that_is_no_file_is_as_a_damaged_one(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "marker")
    with store.read() as conn:
        assert restore_detection.assess(conn, tmp_path / "marker", NOW) == "restored"


def test_another_database_is_noticed_unless_other_nodes_are_at_work_on_it(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "marker"
    _beat(store, file)
    with store.write() as conn:
        _another_database(conn)
        assert restore_detection.assess(conn, file, NOW + timedelta(minutes=5)) == "fine"
        assert restore_detection.assess(conn, file, NOW + timedelta(days=1)) == "restored"


def test_a_database_that_is_new_beside_a_new_key_is_no_restore(store: Store, tmp_path: Path) -> None:
    with store.read() as conn:
        assert restore_detection.assess(conn, tmp_path / "none", NOW) == "fine"
