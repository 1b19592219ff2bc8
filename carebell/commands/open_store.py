"""The database and its keys, opened for one command, and who is asking."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from carebell.bootstrap.components import load, open_database, open_vault, stop_for
from config.load import Loaded
from journal.events import Event
from journal.logs import setup
from store import simulated_clock
from store.engine import Store
from store.faults import StoreFault, classify
from store.vault import Vault

ALIVE: Final = timedelta(minutes=1)
"""A node that gave a sign of life this recently runs; it gives one every 15 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a command works on. `actor`: for the audit log, `cli:<user>`."""

    loaded: Loaded
    store: Store
    vault: Vault
    actor: str

    def tell(self, event: Event, **fields: object) -> None:
        """Write a line into the service's log, for whoever tails it."""
        file = self.loaded.configuration.log.file
        if file is not None and file.exists():
            with setup(now=self.now, file=file) as journal:
                journal.emit(event, **fields)

    def now(self) -> datetime:
        """The service's time: the machine's, or a rehearsal's."""
        with self.store.read() as conn:
            return simulated_clock.now(conn, datetime.now(UTC))


@contextmanager
def opened(config: Path | None) -> Iterator[Opened]:
    """Open, and close again. A fault of the database becomes one sentence and its exit code."""
    loaded = load(config)
    vault = open_vault(loaded)
    store = open_database(loaded, upgrade=False)
    try:
        yield Opened(loaded=loaded, store=store, vault=vault, actor=f"cli:{_user()}")
    except StoreFault as fault:
        raise stop_for(fault) from None
    except Exception as error:
        store_fault = classify(error)
        if store_fault is None:
            raise
        raise stop_for(store_fault) from None
    finally:
        store.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        return "unknown"
