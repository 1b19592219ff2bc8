"""Migrations lead to exactly `tables.metadata`, also when two nodes start at once."""

from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from store import schema
from store.engine import Store, open_store
from store.faults import StoreFault
from store.tables import metadata


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


_NODE = """
import sys
from store import schema
from store.engine import open_store
store = open_store(sys.argv[1])
schema.upgrade(store)
schema.require_current(store)
print(schema.head())
"""


def test_two_nodes_upgrade_at_once(empty_url: str) -> None:
    nodes = [
        subprocess.Popen([sys.executable, "-c", _NODE, empty_url], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = [node.communicate(timeout=120)[0].strip() for node in nodes]
    assert answers == [schema.head()] * 2
