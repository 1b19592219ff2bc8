"""A database that is opened read-only: nothing can be written by any way, and one look is one snapshot."""

from __future__ import annotations

import re
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from store import outbox
from store.engine import Store, open_in_memory, open_read_only
from store.faults import StoreFault
from store.schema import require_current, upgrade
from store.vault import Vault
from tests.store.samples import NOW


@pytest.mark.parametrize("way", ["read", "write"])
def test_nothing_can_be_written(url: str, way: str) -> None:
    with closing(open_read_only(url)) as store:
        require_current(store)
        with (
            pytest.raises(DBAPIError, match=re.compile(r"read-?only", re.IGNORECASE)),
            getattr(store, way)() as conn,
        ):
            conn.execute(text("DELETE FROM meta"))


def test_one_look_is_one_snapshot(url: str, store: Store) -> None:
    """Pages are read one after the other; what is committed between two of them is not seen by halves."""
    count = text("SELECT count(*) FROM meta")
    with closing(open_read_only(url)) as looking:
        with looking.read() as conn:
            before = conn.execute(count).scalar_one()
            with store.write() as writer:
                writer.execute(text("INSERT INTO meta (name, value) VALUES ('seen', '1')"))
            assert conn.execute(count).scalar_one() == before
        with looking.read() as conn:
            assert conn.execute(count).scalar_one() == before + 1


def test_appointments_are_read_without_a_lock(url: str, store: Store, vault: Vault) -> None:
    """FOR UPDATE is refused where nothing may be written."""
    with closing(open_read_only(url)) as looking, looking.read() as conn:
        assert outbox.to_replan(conn, vault, "production", NOW - timedelta(days=1), lock=False) == []


@pytest.mark.parametrize(
    "address", ["sqlite:///{}/none.db", "mysql://host/db", "postgresql+psycopg://nobody@127.0.0.1:1/x"]
)
def test_what_cannot_be_opened_is_named_and_not_made(address: str, tmp_path: Path) -> None:
    with pytest.raises(StoreFault):
        open_read_only(address.format(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_database_in_memory_is_like_any_other_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(open_in_memory()) as store:
        upgrade(store)
        require_current(store)
        with store.write() as conn:
            conn.execute(text("INSERT INTO meta (name, value) VALUES ('kept', '1')"))
        with suppress(RuntimeError), store.write() as conn:
            conn.execute(text("INSERT INTO meta (name, value) VALUES ('lost', '1')"))
            raise RuntimeError
        with store.read() as conn:
            assert conn.execute(text("SELECT name FROM meta WHERE name IN ('kept', 'lost')")).scalars().all() == [
                "kept"
            ]
    assert not list(tmp_path.iterdir())
