"""A running service as the inquiries read it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from carebell.bootstrap.running_service import RunningService
from config.load import Loaded
from store.engine import Store
from store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSource:
    """`carebell.inquiries.source.KeyedSource`: the configuration in force now, the service's own database and keys."""

    running: RunningService

    @property
    def store(self) -> Store:
        return self.running.store

    @property
    def vault(self) -> Vault:
        return self.running.vault

    @property
    def loaded(self) -> Loaded:
        return self.running.loaded()

    @property
    def log_file(self) -> Path | None:
        return self.running.loaded().configuration.log.file

    def now(self) -> datetime:
        return self.running.clock.now()
