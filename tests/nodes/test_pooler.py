"""Behind a pooler that pools by transaction and forgets every session: nothing of ours may live in one."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from store import leases, schema
from store.engine import open_store
from tests.nodes.bouncer import pooled
from tests.store.postgresql import Server
from tests.story.clinic import opened
from tests.story.ehr import signed
from tests.story.folder import change, texts

VISIT = datetime(2026, 3, 20, 21, 0, tzinfo=UTC)


async def test_the_service_leans_on_no_session(server: Server, database: str, configuration: Path) -> None:
    with pooled(server.socket) as pooler:
        change(configuration, {"storage": {"url": f"postgresql+psycopg://postgres@127.0.0.1:{pooler.port}/{database}"}})
        async with opened(configuration) as clinic:
            await clinic.pass_by(timedelta(hours=2))
            for number in range(20):
                event = "S13" if number % 4 else "S12"
                start = VISIT + timedelta(hours=number % 4)
                own = signed(event, f"{number}", sent=clinic.clock.now(), start=start, reference=f"A{number // 4}")
                assert [ack.code for ack in await clinic.send(own)] == ["AA"]
            await clinic.pass_to(VISIT + timedelta(days=1))
            assert set(clinic.phones()) == {None}
            assert clinic.events("internal_error") == []
            assert clinic.events("database_unavailable") == []
        assert len({text["id"] for text in texts(configuration.parent)}) == len(texts(configuration.parent)) > 5
        assert pooler.transactions > 50
        assert pooler.moved > pooler.transactions // 2


def test_the_pooler_does_forget_sessions(server: Server, database: str) -> None:
    """Else the test above could not fail."""
    with (
        pooled(server.socket) as pooler,
        psycopg.connect(host="127.0.0.1", port=pooler.port, user="postgres", dbname=database, autocommit=True) as conn,
    ):
        conn.execute("SET application_name = 'ours'")
        conn.execute("CREATE TEMPORARY TABLE ours (x int)")
        assert conn.execute("SHOW application_name").fetchone() == ("",)
        with pytest.raises(psycopg.errors.UndefinedTable):
            conn.execute("SELECT * FROM ours")


def test_two_takers_of_a_lease_behind_it_get_it_once(server: Server, database: str, url: str) -> None:
    tables = open_store(url)
    schema.upgrade(tables)
    tables.close()
    now, taken, ready = datetime(2026, 3, 2, 17, tzinfo=UTC), [], threading.Barrier(8)
    with pooled(server.socket) as pooler:
        store = open_store(f"postgresql://postgres@127.0.0.1:{pooler.port}/{database}")

        def take(name: str) -> None:
            ready.wait()
            with store.write() as conn:
                taken.append((name, leases.acquire(conn, "job", name, now=now, lasts=timedelta(minutes=5))))

        threads = [threading.Thread(target=take, args=(f"node {number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.close()
    assert sorted(got for _, got in taken) == [False] * 7 + [True]
