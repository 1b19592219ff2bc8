"""What the audit log says of the service itself: that its tables were upgraded, that it started, and that it ended. Blocking."""

from __future__ import annotations

from importlib.metadata import version

from carebell import authors
from carebell.bootstrap.running_service import RunningService
from store import audit
from store.audit import AuditAction


def upgraded(running: RunningService, tables: str) -> None:
    """`tables`: their version."""
    _append(running, AuditAction.DB_UPGRADE, running.store.backend, tables)


def started(running: RunningService) -> None:
    roles = ",".join(sorted(running.roles))
    after = f"version {version('carebell')}, roles {roles}, configuration {running.loaded().version}"
    _append(running, AuditAction.SERVICE_START, running.node, after)


def stopped(running: RunningService, reason: str) -> None:
    _append(running, AuditAction.SERVICE_STOP, running.node, reason)


def _append(running: RunningService, action: AuditAction, subject: str, after: str) -> None:
    with running.store.write() as conn:
        audit.append(conn, authors.service(running.node), action, subject=subject, after=after, at=running.clock.now())
