"""Migrations lead to exactly `tables.metadata`, also when two nodes start at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, inspect, select, text, update

from scheduler.appointment import Appointment
from scheduler.sent_period import SentPeriod
from scheduler.visit_life import VisitWindow
from store import records, schema
from store.appointment_repository import load, resave
from store.engine import Store, Transaction, open_store
from store.faults import StoreFault
from store.instants import to_microseconds
from store.tables import appointments, invitations, metadata, sessions, users, visit_links, visits
from store.vault import Vault
from store.visit_planning import VisitPlan, keep
from tests.store.samples import NOW, appointment, first, put


# SQLAlchemy cannot read an index over an expression back from SQLite; PostgreSQL's is compared
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
def test_the_migrated_schema_is_the_one_of_the_tables(store: Store) -> None:
    with store.read() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_an_empty_database_is_refused_until_it_is_upgraded(empty_url: str) -> None:
    store = open_store(empty_url)
    with pytest.raises(StoreFault) as caught:
        schema.require_current(store)
    assert caught.value.code == "STORE_SCHEMA"
    assert schema.upgrade(store) == (None, schema.head())
    assert schema.upgrade(store) == (schema.head(), schema.head())
    schema.require_current(store)
    store.close()


def test_a_newer_database_is_refused(store: Store) -> None:
    with store.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreFault, match="newer Carebell"):
        schema.require_current(store)


def test_an_appointment_of_version_0_1_is_read_after_the_upgrade(empty_url: str, vault: Vault) -> None:
    store = open_store(empty_url)
    before = appointment(stamps=MappingProxyType({"status": _second(NOW)}), event_until=None)
    _move(store, command.upgrade)
    with store.write() as conn:
        _insert_as_0_1(conn, vault, before)
    assert schema.upgrade(store) == ("0001", schema.head())
    with store.write() as conn:
        after = load(conn, vault, [before.id], NOW, lock=False)[before.id].appointment
        assert after == before
        assert after.sent == _second(before.event_at)
        hour = SentPeriod(earliest=NOW, until=NOW + timedelta(hours=1))
        exact = replace(after, event_until=NOW + timedelta(minutes=1), stamps=MappingProxyType({"start": hour}))
        resave(conn, vault, [exact], NOW)
        assert load(conn, vault, [before.id], NOW, lock=False)[before.id].appointment == exact
    _move(store, command.downgrade)
    with store.read() as conn:
        [stamps] = conn.execute(text("SELECT stamps FROM appointments")).scalars()
    assert json.loads(stamps) == {"start": to_microseconds(NOW)}
    store.close()


def _second(instant: datetime) -> SentPeriod:
    return SentPeriod(earliest=instant, until=instant + timedelta(seconds=1))


def _insert_as_0_1(conn: Transaction, vault: Vault, written: Appointment) -> None:
    """The row as version 0.1 wrote it: without `event_until`, each stamp a number alone."""
    [row] = records.to_rows(conn, vault, [written], NOW)
    values = dict(zip(records.COLUMNS, row, strict=True))
    del values["event_until"], values["conference"]
    values["stamps"] = json.dumps({"life": to_microseconds(NOW)})
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    conn.execute(text(f"INSERT INTO appointments ({names}) VALUES ({marks})"), values)


_NODE = """
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from store import schema
from store.engine import open_store
store = open_store(sys.argv[1])
schema.upgrade(store)
schema.require_current(store)
print(schema.head())
"""


def test_the_versions_are_those_that_alembic_finds() -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(configuration)
    assert list(schema.revisions()) == [script.revision for script in scripts.walk_revisions()][::-1]
    assert schema.head() == scripts.get_current_head()


def test_two_nodes_upgrade_at_once(empty_url: str) -> None:
    nodes = [
        subprocess.Popen([sys.executable, "-c", _NODE, empty_url], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = [node.communicate(timeout=120)[0].strip() for node in nodes]
    assert answers == [schema.head()] * 2


def _move(store: Store, step: Callable[[Config, str], None]) -> None:
    """To the first version, as alembic's commands do it."""
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    configuration.set_main_option("path_separator", "os")
    with store.write() as conn:
        configuration.attributes["connection"] = conn
        step(configuration, "0001")


def test_each_version_goes_up_and_down_and_keeps_the_rows(empty_url: str) -> None:
    store = open_store(empty_url)
    before = {"name": "a", "roles": "listener", "version": "0.1.0", "started_at": 1, "seen_at": 2}
    if store.backend == "postgresql":
        before |= {"started_at": datetime(2026, 3, 2, tzinfo=UTC), "seen_at": datetime(2026, 3, 3, tzinfo=UTC)}
    _move(store, command.upgrade)
    with store.write() as conn:
        conn.execute(text("INSERT INTO nodes VALUES (:name, :roles, :version, :started_at, :seen_at)"), before)
    schema.upgrade(store)
    with store.read() as conn:
        nodes = [dict(row) for row in conn.execute(text("SELECT * FROM nodes")).mappings()]
    _move(store, command.downgrade)
    with store.read() as conn:
        nodes_again = [dict(row) for row in conn.execute(text("SELECT * FROM nodes")).mappings()]
        tables = inspect(conn).get_table_names()
        assert schema.current(conn) == "0001"
    store.close()
    assert nodes == [{**before, "configuration": None, "configured_at": None, "restart_for": None}]
    assert nodes_again == [before]
    assert "configurations" not in tables


def test_an_older_version_forgets_the_portals_people(store: Store) -> None:
    """Their sessions and invitations refer to them, so the tables go in an order."""
    with store.write() as conn:
        person = {"id": "a1", "login": "kim", "name": "Kim", "role": "administrator", "environments": "[]"}
        conn.execute(insert(users).values(**person, created_at=NOW))
        session = {"user_id": "a1", "stage": "open", "address": "192.0.2.1"}
        conn.execute(insert(sessions).values(key="k", **session, created_at=NOW, seen_at=NOW, ends_at=NOW))
        conn.execute(insert(invitations).values(key="k", user_id="a1", author="cli:ann", created_at=NOW, ends_at=NOW))
    assert schema.downgrade(store, "0006") == (schema.head(), "0006")
    with store.read() as conn:
        assert {"users", "sessions", "invitations", "proposals", "approvals", "throttles"}.isdisjoint(
            inspect(conn).get_table_names()
        )
    schema.upgrade(store)
    with store.read() as conn:
        assert conn.execute(select(users)).all() == []


def test_what_late_messages_said_is_emptied_by_the_upgrade(store: Store, vault: Vault) -> None:
    named: dict[str, Any] = {"facility": "Lamna West", "provider": "Dr. Example", "location": "Room 5"}
    over, ahead = appointment(1, start=NOW, reference="over"), appointment(2, reference="ahead", **named)
    put(store, vault, [first(over), first(ahead)])
    with store.write() as conn:
        for one in (over, ahead):
            window = VisitWindow(opens_at=NOW, ends_at=NOW + timedelta(days=3))
            keep(
                conn, vault, [VisitPlan(environment="production", appointment=one.id, window=window, kind="link")], NOW
            )
        conn.execute(update(visit_links).values(sealed=b"token"))
    assert schema.downgrade(store, "0017") == (schema.head(), "0017")
    with store.write() as conn:
        conn.execute(
            text("UPDATE appointments SET facility = 'A', provider = 'B', location = 'C' WHERE id = :id"),
            {"id": over.id},
        )
    schema.upgrade(store)
    columns = [appointments.c[name] for name in named]
    with store.read() as conn:
        rows = {row[0]: row[1:] for row in conn.execute(select(appointments.c.reference, *columns))}
        tokens = select(visits.c.appointment, visit_links.c.sealed).join(
            visit_links, visit_links.c.visit == visits.c.id
        )
        sealed = {row[0]: row[1] for row in conn.execute(tokens)}
    assert rows == {"over": (None, None, None), "ahead": tuple(named.values())}
    assert sealed == {over.id: None, ahead.id: b"token"}


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM alembic_version",
        "DROP TABLE alembic_version",
        "INSERT INTO alembic_version VALUES ('0001')",
    ],
)
def test_tables_without_one_version_are_said_in_a_sentence(store: Store, damage: str) -> None:
    with store.write() as conn:
        conn.execute(text(damage))
    for step in (schema.require_current, schema.upgrade):
        with pytest.raises(StoreFault, match="restored in part") as caught:
            step(store)
        assert caught.value.code == "STORE_SCHEMA"
