"""From the first released tables to this version's and back, with a service's own data, on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import inspect, text

from store import leases, schema
from store.engine import Store, open_store
from store.leases import Node
from tests.carebell.conftest import Carebell
from tests.story.clinic import opened
from tests.story.ehr import signed
from tests.story.folder import CLOCK, load, make, texts

FIRST: Final = "0001"
VISIT: Final = datetime(2026, 3, 20, 21, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "sqlite":
        return make(tmp_path / "one")
    return Path(request.getfixturevalue("configuration"))


@contextmanager
def _store(path: Path) -> Iterator[Store]:
    store = open_store(load(path).configuration.storage.url)
    try:
        yield store
    finally:
        store.close()


def _rows(path: Path, columns: dict[str, Sequence[str]] | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """Each table's rows, of these columns alone if any are named."""
    with _store(path) as store, store.read() as conn:
        named = columns or _columns(path)
        return {
            table: sorted(
                (tuple(row) for row in conn.execute(text(f"SELECT {', '.join(names)} FROM {table}")).all()), key=repr
            )
            for table, names in named.items()
        }


def _columns(path: Path) -> dict[str, Sequence[str]]:
    with _store(path) as store, store.read() as conn:
        found = inspect(conn)
        return {
            table: sorted(f'"{column["name"]}"' for column in found.get_columns(table))
            for table in found.get_table_names()
            if table != "alembic_version"
        }


async def _booked(path: Path) -> None:
    """A day of a service: a visit whose confirmation has left and whose reminders wait, and one that was cancelled."""
    async with opened(path, alone=False) as clinic:
        await clinic.pass_by(timedelta(hours=2))
        now = clinic.clock.now()
        await clinic.send(signed("S12", "1", sent=now, start=VISIT, reference="kept"))
        await clinic.send(signed("S12", "2", sent=now, start=VISIT, reference="canceled"))
        await clinic.pass_by(timedelta(hours=1))
        await clinic.send(
            signed("S15", "3", sent=clinic.clock.now(), start=VISIT, reference="canceled", status="Cancelled")
        )
        await clinic.pass_by(timedelta(hours=1))


async def test_what_the_first_version_stored_is_carried_on(path: Path, carebell: Carebell) -> None:
    """The first version's database, with a service's data, is upgraded, and the reminders that waited in it leave."""
    await _booked(path)
    ended = carebell("-c", path, "db", "downgrade", FIRST, "--json")
    assert ended.code == 0, ended.err
    assert ended.rows == [{"version": FIRST, "was": schema.head(), "changed": True}]
    old_columns, old_rows = _columns(path), _rows(path)
    assert len(old_rows["appointments"]) == 2
    assert any(len(rows) >= 4 for table, rows in old_rows.items() if table == "outbox")
    refused = carebell("-c", path, "outbox")
    assert (refused.code, "run `carebell db upgrade`" in refused.sentence) == (78, True)

    upgraded = carebell("-c", path, "db", "upgrade", "--json")
    assert upgraded.rows == [{"version": schema.head(), "was": FIRST, "changed": True}]
    kept = {
        table: names for table, names in old_columns.items() if table not in ("audit", "meta")
    }  # an entry, and its hash
    assert _rows(path, kept) == {table: old_rows[table] for table in kept}
    assert carebell("-c", path, "audit", "verify").code == 0

    before = len(texts(path.parent))
    async with opened(path, at=CLOCK + timedelta(hours=5), alone=False) as clinic:
        await clinic.pass_to(VISIT + timedelta(hours=1))
        assert [(row[1], row[2]) for row in clinic.outbox("kept")] == [
            ("scheduled", "delivered"),
            ("7d@10:00", "delivered"),
            ("24h", "delivered"),
        ]
        assert clinic.phones() == [None, None]
    assert [row["appointment"] for row in texts(path.parent)[before:]] == ["kept", "kept"]


async def test_going_back_is_refused_while_a_node_runs_and_to_what_there_is_not(path: Path, carebell: Carebell) -> None:
    assert carebell("-c", path, "db", "upgrade").code == 0
    for version in (schema.head(), "9999", "head"):
        ended = carebell("-c", path, "db", "downgrade", version)
        assert (ended.code, f"There is no version {version} to go back to" in ended.sentence) == (78, True)
    now = datetime.now(UTC)
    with _store(path) as store, store.write() as conn:
        leases.beat(conn, Node(name="busy", roles="listener", version="1", started_at=now, seen_at=now))
    ended = carebell("-c", path, "db", "downgrade", FIRST)
    assert (ended.code, ended.sentence) == (
        1, "a node runs, busy: stop every node, then go back (nothing was changed)"
    )  # fmt: skip
    with _store(path) as store:
        schema.require_current(store)
