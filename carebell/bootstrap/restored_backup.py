"""Hold every text after an old backup was restored: it does not know what was sent since, so a person must decide (F21)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from carebell import authors
from carebell.bootstrap.running_service import RunningService
from config.load import Loaded
from journal.events.gateway import HoldStarted
from scheduler.sms import HoldScope
from store import audit, holds, restore_detection
from store.audit import RESTORED, AuditAction
from store.holds import Hold

_REASON: Final = (
    "the database looks like an old backup, or like a new database instead of one that this key file has seen"
)


def marker(loaded: Loaded) -> Path:
    """The file outside the database that says how new it is."""
    storage = loaded.configuration.storage
    return storage.marker_file or storage.key_file.with_name(f".{storage.key_file.name}.pulse")


def hold_after_restore(running: RunningService, now: datetime) -> None:
    """Blocking."""
    with running.store.write() as conn:
        finding = restore_detection.assess(conn, marker(running.loaded()), now)
        if finding == "fine":
            return
        held = Hold(scope=HoldScope.ALL, name="", reason=_REASON, actor="service", since=now)
        placed = holds.hold(conn, held)
        # Recorded also where the backup holds texts already: `audit verify` must tell a restore from tampering.
        audit.append(
            conn,
            authors.service(running.node),
            AuditAction.HOLD_PLACE,
            subject="all",
            after=f"{RESTORED}: {finding}",
            at=now,
        )
        if placed:
            running.journal.emit(HoldStarted(environment=None, reason=finding, source="restore", actor=None))
