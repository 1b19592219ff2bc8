"""What an inquiry reads from: an installation's database, configuration, log and, where numbers matter, keys.

A command opens them for its own run; the portal has those of the running service.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

from config.load import Loaded
from store.engine import Store
from store.vault import Vault


class Source(Protocol):
    """The database with the configuration."""

    @property
    def store(self) -> Store: ...

    @property
    def loaded(self) -> Loaded: ...

    @property
    def log_file(self) -> Path | None:
        """The service's log; None: it writes none."""

    def now(self) -> datetime:
        """The service's time: the machine's, or a rehearsal's."""


class KeyedSource(Source, Protocol):
    """The same with the keys that open telephone numbers."""

    @property
    def vault(self) -> Vault: ...
