"""The schema's version: brought up to date by `upgrade`, checked at start by `require_current`.

The migrations are alembic's, run from the package: nobody needs an alembic.ini. Two nodes that start at once are harmless:
on SQLite the second waits for the lock; on PostgreSQL it waits for the version row, or, where the first migration has not
committed yet, meets its catalogue entries, rolls back and looks again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from store.engine import Store
from store.faults import StoreFault
from store.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_TRIES: Final = 10
_ONE_AT_A_TIME: Final = threading.Lock()
"""alembic keeps the running migration in a module variable: two threads of a process would mix their connections."""

_VERSIONS: Final = "alembic_version"
_NO_VERSION: Final = (
    "The database has tables of Carebell's and does not say of which version: it was restored in part;"
    " restore all of it from a backup."
)


def head() -> str:
    """The newest version this program knows."""
    return revisions()[-1]


@cache
def revisions() -> tuple[str, ...]:
    """Every version this program knows, oldest first: `versions/v0001_first.py` makes 0001. alembic is not asked, because importing
    it takes longer than most commands do."""
    return tuple(sorted(path.name[1:5] for path in (_MIGRATIONS / "versions").glob("v[0-9]*.py")))


def current(conn: Connection) -> str | None:
    """The database's version; None: empty.

    StoreFault STORE_SCHEMA where it has our tables and no version, or several: it was restored in part.
    """
    tables = set(inspect(conn).get_table_names())  # looked at first: another node may make them all this moment
    versions = list(conn.scalars(text(f"SELECT version_num FROM {_VERSIONS}"))) if _VERSIONS in tables else []  # noqa: S608 (a constant)
    if len(versions) == 1:
        return str(versions[0])
    if versions or tables & set(metadata.tables):
        raise StoreFault("STORE_SCHEMA", _NO_VERSION)
    return None


def upgrade(store: Store, *, wait: Callable[[float], None] = time.sleep) -> tuple[str | None, str]:
    """Run what is missing in one transaction; (version before, version now)."""
    from alembic import command

    for attempt in range(_TRIES):
        try:
            with _ONE_AT_A_TIME, store.write() as conn:
                before = _locked_version(conn)
                _known(before)
                configuration = _configuration()
                configuration.attributes["connection"] = conn
                command.upgrade(configuration, "head")
                return before, head()
        except (ProgrammingError, IntegrityError):
            # Somebody else creates the same tables right now; if not, it is our mistake and shows on the last try.
            if store.backend == "sqlite" or attempt == _TRIES - 1:
                raise
            wait(0.1 * (attempt + 1))
    raise AssertionError("the loop returns or raises")


def downgrade(store: Store, version: str, *, note: Callable[[Connection], None] = lambda _: None) -> tuple[str, str]:
    """Undo every migration after `version` in one transaction; (version before, version now).

    Args:
        note: called in the transaction while the tables are still this program's.

    StoreFault STORE_SCHEMA where there is no such version below the database's.
    """
    from alembic import command

    require_current(store)
    with _ONE_AT_A_TIME, store.write() as conn:
        before = _locked_version(conn)
        older = revisions()[-2::-1]
        if before != head() or version not in older:
            raise StoreFault(
                "STORE_SCHEMA", f"There is no version {version} to go back to; there are {', '.join(older)}."
            )
        note(conn)
        configuration = _configuration()
        configuration.attributes["connection"] = conn
        command.downgrade(configuration, version)
        return head(), version


def require_current(store: Store) -> None:
    """StoreFault STORE_SCHEMA unless the database has exactly this program's version."""
    with store.read() as conn:
        version = current(conn)
    _known(version)
    if version != head():
        raise StoreFault("STORE_SCHEMA", "The database is of an older version; run `carebell db upgrade`.")


def _known(version: str | None) -> None:
    if version is not None and version not in revisions():
        raise StoreFault("STORE_SCHEMA", "The database was upgraded by a newer Carebell; install that version.")


def _locked_version(conn: Connection) -> str | None:
    if conn.dialect.name == "postgresql" and inspect(conn).has_table(_VERSIONS):
        conn.execute(text(f"SELECT version_num FROM {_VERSIONS} FOR UPDATE"))  # noqa: S608 (a constant)
    return current(conn)


def _configuration() -> Config:
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    return configuration
