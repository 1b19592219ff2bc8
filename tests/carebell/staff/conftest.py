"""A portal's people over a database: `staff` in memory, `filed` in a file, `both` on SQLite and on PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.engine import Store, open_in_memory, open_store
from store.tables import metadata
from tests.carebell.staff.clinic_staff import ClinicStaff
from tests.store.conftest import backend, migrated_file, postgresql, store, url

__all__ = ["backend", "migrated_file", "postgresql", "store", "url"]


@pytest.fixture
def both(store: Store) -> ClinicStaff:
    """On SQLite and on PostgreSQL."""
    return ClinicStaff(store)


@pytest.fixture
def staff() -> Iterator[ClinicStaff]:
    """In memory, which is cheap; one thread at a time."""
    opened = open_in_memory()
    with opened.write() as conn:
        metadata.create_all(conn)
    yield ClinicStaff(opened)
    opened.close()


@pytest.fixture
def filed(migrated_file: Path, tmp_path: Path) -> Iterator[ClinicStaff]:
    """On SQLite, in files that can be looked into."""
    shutil.copy(migrated_file, tmp_path / "carebell.db")
    opened = open_store(f"sqlite:///{tmp_path / 'carebell.db'}")
    yield ClinicStaff(opened)
    opened.close()
