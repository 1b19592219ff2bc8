"""The primary is lost under load and its synchronous standby promoted: nothing acknowledged is lost, no text leaves twice.

The service is told both hosts once, in libpq's own way, and finds the one that takes writes. PostgreSQL answers a COMMIT when the
standby has it on its disk; that, and an ACK that leaves after the COMMIT's answer, is all of the promise.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.faults.launch import LEASE
from tests.faults.node import LAUNCH, PATIENCE, Node, write_configuration
from tests.faults.rows import Rows, read_server_rows, texts_sent
from tests.faults.senders import Hospital, send_all
from tests.store.postgresql import NoServer, Server

MESSAGES = 240
KILLED_AFTER = 80
_UNDER_WAY = ("due", "sending")


@dataclass(frozen=True, slots=True)
class Pair:
    """A primary and the standby that each of its commits waits for."""

    primary: Server
    standby: Server

    @property
    def url(self) -> str:
        """As it stands in carebell.yaml."""
        hosts = ",".join(quote(str(server.socket), safe="") for server in (self.primary, self.standby))
        return f"postgresql+psycopg://postgres@{hosts}/postgres?target_session_attrs=read-write"


@pytest.fixture
def pair() -> Iterator[Pair]:
    try:
        primary = Server()
    except (NoServer, OSError) as reason:
        pytest.skip(f"no PostgreSQL here: {reason}")
    servers = [primary]
    try:
        if not primary.has("pg_basebackup"):
            pytest.skip("no standby here: the wheel has no pg_basebackup")
        servers.append(standby := Server(standby_of=primary, name="second"))
        _make_synchronous(primary)
        yield Pair(primary, standby)
    finally:
        for server in servers:
            server.stop()


def _make_synchronous(primary: Server) -> None:
    primary.run("ALTER SYSTEM SET synchronous_standby_names = 'second'")
    primary.run("SELECT pg_reload_conf()")
    _until(lambda: _ask(primary, "SELECT sync_state FROM pg_stat_replication") == [("sync",)])


def test_nothing_acknowledged_is_lost_and_nothing_is_sent_twice(pair: Pair, tmp_path: Path) -> None:
    hospital = Hospital()
    configuration = write_configuration(tmp_path / "node", [hospital.identity.certificate], url=pair.url)
    node = Node(configuration, roles="listener,dispatcher", program=LAUNCH, environment={**os.environ, LEASE: "2"})
    asyncio.run(_lose_the_primary(pair, node, hospital))
    assert node.running
    rows = _settled(pair.standby)
    assert node.stop() == 0
    ledger, sent = hospital.ledger, texts_sent(configuration.parent / "sent.jsonl")
    assert ledger.refused == {}
    assert ledger.acknowledged == ledger.sent.keys() == rows.complete
    assert set(rows.revisions.values()) == {1}, "a message that was sent again had a second effect"
    assert [own for own, times in sent.items() if times > 1] == []
    # What was under way in that moment may be of unknown fate; everything else was handed over, and the tables say so.
    assert rows.confirmations.total() == MESSAGES
    assert rows.confirmations.keys() <= {"delivered", "unknown"}
    assert rows.confirmations["delivered"] <= len(sent) <= MESSAGES


async def _lose_the_primary(pair: Pair, node: Node, hospital: Hospital) -> None:
    ids = [hospital.write(number) for number in range(MESSAGES)]

    async def fail_over() -> None:
        while len(hospital.ledger.acknowledged) < KILLED_AFTER:  # noqa: ASYNC110  # a ledger rings no event
            await asyncio.sleep(0.005)
        before = set(hospital.ledger.acknowledged)
        await asyncio.to_thread(pair.primary.kill)
        await asyncio.to_thread(pair.standby.run, "SELECT pg_promote(true)")
        rows = await asyncio.to_thread(read_server_rows, pair.standby.url("postgres").replace("+psycopg", ""))
        assert before - rows.complete == set()  # before anybody sends anything again
        assert len(before) < MESSAGES, "the primary was lost after the load, not under it"

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send_all(node.port, hospital, ids))
        tasks.create_task(fail_over())


def _settled(server: Server) -> Rows:
    url = server.url("postgres").replace("+psycopg", "")
    _until(lambda: not any(read_server_rows(url).confirmations[state] for state in _UNDER_WAY))
    return read_server_rows(url)


def _ask(server: Server, query: str) -> list[tuple[str, ...]]:
    with psycopg.connect(server.url("postgres").replace("+psycopg", "")) as conn:
        return list(conn.execute(query.encode()))


def _until(happened: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < PATIENCE, "it never happened"
        time.sleep(0.1)
