"""What the service runs on is found when the file on disk is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carebell.bootstrap.active_config import load_in_force, note_in_force
from store import leases, schema
from store.engine import open_store
from tests.story import folder
from tests.story.clinic import opened

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

Break = Callable[[Path], object]


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A configuration that a service ran on."""
    path = folder.make(tmp_path / "clinic")
    loaded = folder.load(path)
    store = open_store(loaded.configuration.storage.url)
    schema.upgrade(store)
    with store.write() as conn:
        note_in_force(conn, loaded, since=NOW, now=NOW + timedelta(hours=1))
    store.close()
    return path


@pytest.mark.parametrize(
    "break_it",
    [
        lambda path: path.write_text(path.read_text().replace("environments:", "enviroments:")),
        lambda path: path.write_text(path.read_text().replace("time_zone", "\ttime_zone")),
        lambda path: path.write_text(path.read_text()[:300]),
        lambda path: path.write_text(""),
        lambda path: path.write_bytes(b"\xff\xfe" + path.read_bytes()),
        lambda path: path.unlink(),
        lambda path: path.write_text(path.read_text().replace("storage:", "storge:")),
    ],
    ids=["unknown key", "tab", "cut off", "empty", "UTF-16", "gone", "storage misspelt"],
)
def test_a_broken_file_takes_nothing_away(served: Path, break_it: Break) -> None:
    before = folder.load(served)
    break_it(served)
    in_force = load_in_force(served, {})
    assert in_force is not None
    assert in_force.loaded.version == before.version
    assert in_force.loaded.configuration.storage == before.configuration.storage
    assert in_force.loaded.configuration.log == before.configuration.log
    assert list(in_force.loaded.configuration.environments) == list(before.configuration.environments)
    assert (in_force.since, in_force.confirmed_at) == (NOW, NOW + timedelta(hours=1))


def test_nothing_is_made_where_no_database_is(tmp_path: Path) -> None:
    path = folder.make(tmp_path / "clinic")
    assert load_in_force(path, {}) is None
    assert not (path.parent / "carebell.db").exists()


def test_a_file_that_no_service_ran_on_has_none(served: Path) -> None:
    other = served.with_name("other.yaml")
    other.write_text(served.read_text())
    assert load_in_force(other, {}) is None


async def test_a_service_writes_down_what_it_runs_on_and_what_a_reload_changes(tmp_path: Path) -> None:
    path = folder.make(tmp_path / "clinic")
    async with opened(path, reloads=True) as clinic:
        first = await asyncio.to_thread(load_in_force, path, {})
        clinic.clock.move_to(folder.CLOCK + timedelta(minutes=1))
        folder.change(path, {"organization": {"name": "Lamna Clinics"}})
        await clinic.until(lambda: load_in_force(path, {}) != first)
        second = await asyncio.to_thread(load_in_force, path, {})
        with clinic.service.store.read() as conn:
            [node] = leases.seen(conn, since=folder.CLOCK)
    assert first is not None
    assert second is not None
    assert first.since == folder.CLOCK
    assert second.since == folder.CLOCK + timedelta(minutes=1)
    assert second.loaded.configuration.organization.name == "Lamna Clinics"
    assert (node.configuration, node.configured_at) == (folder.load(path).version, second.since)
