"""A node's sign of life in the database, and on which configuration it runs; with it the configuration's history is written."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Final

from carebell import authors
from carebell.bootstrap import config_record
from carebell.bootstrap.active_config import note_in_force, waits_for_restart
from carebell.bootstrap.config_sync import is_edit
from carebell.bootstrap.running_service import RunningService
from carebell.outbound import approval_holds
from config.load import Loaded
from journal.events.gateway import HoldReleased, HoldStarted
from journal.events.service import AuditHead
from store import audit, leases
from store.audit import Head
from store.holds import NOT_APPROVED
from store.leases import Node

_NOTE_EVERY: Final = timedelta(days=1)


class Heartbeat:
    """Blocking: each call is one transaction. Where the database is away, the next beat makes up for it.

    Attributes:
        configured_at: when the configuration in force took effect.
    """

    def __init__(self, running: RunningService, started_at: datetime) -> None:
        self.configured_at = started_at
        self._running = running
        self._started_at = started_at
        self._started_with = running.loaded()
        self._noted: tuple[Loaded, datetime] | None = None  # the configuration last stored as in force, and when
        self._audit_head: Head | None = None  # of the audit log, as last written to the log

    def beat(self) -> None:
        running = self._running
        now, loaded, since = running.clock.now(), running.loaded(), self.configured_at
        running.vault.close_before(now)  # of a node that does not forget itself
        node = Node(
            name=running.node,
            roles=",".join(sorted(running.roles)),
            version=version("carebell"),
            started_at=self._started_at,
            seen_at=now,
            configuration=loaded.version,
            configured_at=since,
            restart_for=",".join(waits_for_restart(self._started_with, loaded)) or None,
        )
        noted = self._noted
        due = noted is None or noted[0] is not loaded or not noted[1] <= now < noted[1] + _NOTE_EVERY
        facts = config_record.facts_of(loaded, running.vault.ring, now) if due else None
        with running.store.write() as conn:
            leases.beat(conn, node)
            sealed = None if facts is None else config_record.sealed_text(conn, running.vault, facts, now)
            settled = approval_holds.settle(conn, running.runtime_config(), authors.service(running.node), at=now)
            if facts is not None:
                changed_here = is_edit(conn, running.store.backend, facts, loaded)
                note_in_force(conn, loaded, since=since, now=now)
                if changed_here:
                    author = authors.editor(loaded.path, running.node)
                    config_record.record(conn, facts, author, at=now, sealed=sealed)
            head = audit.head(conn)
        if due:
            self._noted = (loaded, now)
        for name in settled.placed:
            running.journal.emit(HoldStarted(environment=name, reason=NOT_APPROVED, source="approval", actor=None))
        for name in settled.ended:
            running.journal.emit(
                HoldReleased(environment=name, source="approval", actor=authors.service(running.node).who)
            )
        if head != self._audit_head:
            self._audit_head = head
            running.journal.emit(AuditHead(seq=head.seq, hash=head.hash))

    def leave(self) -> None:
        """This node no longer runs: `status` and `doctor` need not wait until its heartbeat is old."""
        with self._running.store.write() as conn:
            leases.leave(conn, self._running.node)
