"""Roles spread over processes, and the same roles on two of them: every text leaves once, whoever sends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from carebell.maintenance.retention import LEASE
from tests.faults.node import PATIENCE, Node, write_configuration
from tests.faults.rows import texts_sent
from tests.faults.senders import Hospital, send_all
from tests.story.clinic import Clinic, opened
from tests.story.ehr import signed
from tests.story.folder import make

MESSAGES = 40
VISIT = datetime(2026, 3, 20, 21, 0, tzinfo=UTC)


def test_one_node_listens_and_another_sends(url: str, tmp_path: Path) -> None:
    hospital = Hospital()
    configuration = write_configuration(tmp_path / "both", [hospital.identity.certificate], url=url)
    listener = Node(configuration, roles="listener")
    _send(hospital, listener.port, MESSAGES)
    assert texts_sent(configuration.parent / "sent.jsonl").total() == 0  # nobody has the role
    sender = Node(configuration, roles="dispatcher,housekeeping")
    _until(lambda: _states(url) == {"delivered": MESSAGES})
    sent = texts_sent(configuration.parent / "sent.jsonl")
    roles: dict[str, str] = dict(_ask(url, "SELECT name, roles FROM nodes"))  # a node that stops leaves the table
    assert [node.stop() for node in (listener, sender)] == [0, 0]
    assert (len(sent), set(sent.values())) == (MESSAGES, {1})
    assert sorted(roles.values()) == ["dispatcher,housekeeping", "listener"]
    [(by,)] = _ask(url, "SELECT DISTINCT node FROM outbox WHERE state = 'delivered'")
    assert roles[by] == "dispatcher,housekeeping"


def test_two_nodes_with_every_role_share_the_work(url: str, tmp_path: Path) -> None:
    hospital = Hospital()
    configuration = write_configuration(tmp_path / "both", [hospital.identity.certificate], url=url)
    nodes = [Node(configuration, roles="listener,dispatcher,housekeeping") for _ in range(2)]
    for part in range(4):  # now to one, now to the other
        _send(hospital, nodes[part % 2].port, MESSAGES // 4)
    _until(lambda: _states(url) == {"delivered": MESSAGES})
    names = {name for (name,) in _ask(url, "SELECT name FROM nodes")}
    assert [node.stop() for node in nodes] == [0, 0]
    sent = texts_sent(configuration.parent / "sent.jsonl")
    assert (len(sent), set(sent.values())) == (MESSAGES, {1})
    senders = {name for (name,) in _ask(url, "SELECT DISTINCT node FROM outbox WHERE node IS NOT NULL")}
    assert (len(names), senders <= names) == (2, True)
    assert _ask(url, "SELECT reference FROM appointments GROUP BY reference HAVING count(*) > 1") == []


async def test_a_message_to_both_nodes_at_once_has_one_effect(configuration: Path, url: str, tmp_path: Path) -> None:
    async with (
        opened(configuration, alone=False) as one,
        opened(_beside(configuration, tmp_path, url), alone=False) as two,
    ):
        now = one.clock.now()
        for number in range(15):
            same = signed("S12", f"{number}", sent=now, start=VISIT, reference=f"A{number}")
            [[first], [second]] = await asyncio.gather(one.send(same), two.send(same))
            assert (first.code, second.code) == ("AA", "AA")
        assert one.counts()["appointments"] == one.counts()["messages"] == 15
        effects = [*_effects(one), *_effects(two)]
        assert sorted(effects) == sorted(["message_accepted"] * 15 + ["message_repeated"] * 15)


async def test_two_messages_of_one_visit_on_two_nodes_are_both_there(
    configuration: Path, url: str, tmp_path: Path
) -> None:
    async with (
        opened(configuration, alone=False) as one,
        opened(_beside(configuration, tmp_path, url), alone=False) as two,
    ):
        now, later = one.clock.now() - timedelta(minutes=2), one.clock.now() - timedelta(minutes=1)
        for number in range(10):
            about = {"reference": f"A{number}"}
            booked = signed("S12", f"b{number}", sent=now, start=VISIT, **about)
            moved = signed("S13", f"m{number}", sent=later, start=VISIT + timedelta(days=1), **about)
            acks = await asyncio.gather(one.send(booked), two.send(moved))
            assert [ack.code for [ack] in acks] == ["AA", "AA"]
        assert one.counts()["appointments"] == 10
        with one.service.store.read() as conn:
            starts = set(conn.exec_driver_sql("SELECT DISTINCT start FROM appointments").scalars())
        assert {start.astimezone(UTC) for start in starts} == {VISIT + timedelta(days=1)}  # the newer one, in any order


async def test_one_node_keeps_house_until_its_lease_is_over(configuration: Path, url: str, tmp_path: Path) -> None:
    async with (
        opened(configuration, alone=False) as one,
        opened(_beside(configuration, tmp_path, url), alone=False) as two,
    ):
        for number in range(3):
            await one.send(signed("S12", f"{number}", sent=one.clock.now(), start=VISIT, reference=f"A{number}"))
        for clinic in (one, two):
            clinic.clock.move_to(VISIT + timedelta(seconds=1))
        await asyncio.to_thread(two.service.retention.round)  # the first to ask has the job
        await asyncio.to_thread(one.service.retention.round)
        assert (_forgotten(one), _forgotten(two)) == (0, 3)
        await one.send(signed("S12", "9", sent=one.clock.now(), start=VISIT + timedelta(minutes=3), reference="A9"))
        for clinic in (one, two):  # two is gone from here on
            clinic.clock.move_to(VISIT + LEASE - timedelta(seconds=1))
        await asyncio.to_thread(one.service.retention.round)
        assert _forgotten(one) == 0
        one.clock.move_to(VISIT + LEASE + timedelta(seconds=2))
        await asyncio.to_thread(one.service.retention.round)
        assert (_forgotten(one), _forgotten(two)) == (1, 3)


def _beside(configuration: Path, folder: Path, url: str) -> Path:
    """Another node's folder: the same database, the same keys."""
    (folder / "two").mkdir()
    (folder / "two" / "carebell.key").write_bytes((configuration.parent / "carebell.key").read_bytes())
    (folder / "two" / "carebell.key").chmod(0o400)
    return make(folder / "two", {"storage": {"url": url}})


def _effects(clinic: Clinic) -> list[str]:
    return [line["event"] for line in clinic.events() if line["event"] in ("message_accepted", "message_repeated")]


def _forgotten(clinic: Clinic) -> int:
    return len(clinic.events("phone_forgotten"))


def _send(hospital: Hospital, port: int, count: int) -> None:
    ids = [hospital.write(len(hospital.ledger.sent)) for _ in range(count)]
    asyncio.run(send_all(port, hospital, ids))
    assert hospital.ledger.refused == {}


def _states(url: str) -> dict[str, int]:
    """Of the confirmations."""
    rows: list[Any] = _ask(url, "SELECT state, count(*) FROM outbox WHERE kind <> 'reminder' GROUP BY state")
    return dict(rows)


def _ask(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("+psycopg", "")) as conn:
        return list(conn.execute(query.encode()))


def _until(happened: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < PATIENCE, "it never happened"
        time.sleep(0.1)
