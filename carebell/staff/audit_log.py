"""What the page Audit asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from carebell.bootstrap.running_service import RunningService
from carebell.inquiries import audit_log
from carebell.staff.people_context import author_of
from carebell.staff.running_source import RunningSource
from journal.events.service import OperatorActed
from portal.pages.audit_page import AuditQuestion, AuditRow, AuditRows, ChainCheck
from portal.people import Browser, Session
from store import audit
from store.audit import AuditAction, AuditEntry, AuditFilter

_LINES: int = 500
"""Of the export at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffAudit:
    """`portal.pages.audit_page.AuditDesk` over the store."""

    running: RunningService

    def rows(self, question: AuditQuestion, limit: int) -> AuditRows:
        only = AuditFilter(
            since=question.since,
            until=question.until,
            who=question.who or None,
            action=question.what or None,
            environment=question.environment or None,
        )
        with self.running.store.read() as conn:
            entries, older = audit.latest(conn, only, before=question.before, limit=limit)
        return AuditRows(rows=[_row(entry) for entry in entries], older=older)

    def actions(self) -> Sequence[str]:
        return sorted(action.value for action in AuditAction)

    def check(self) -> ChainCheck:
        checked = audit_log.checked(RunningSource(running=self.running), (), lambda _file, _why: None)
        verdict = checked.verdict
        return ChainCheck(
            entries=verdict.entries,
            broken_at=verdict.broken_at,
            why="" if checked.is_intact else checked.sentences[0].partition(": ")[2],
            head=f"{verdict.head.seq}:{verdict.head.hash}",
            compared=verdict.anchors,
        )

    def export(self, by: Session, browser: Browser) -> Iterable[bytes]:
        author = author_of(by, browser)
        with self.running.store.write() as conn:
            count = audit.head(conn).seq - audit.start_of(conn).seq
            audit.append(
                conn,
                author,
                AuditAction.AUDIT_EXPORT,
                subject="portal",
                after=f"{count} entries",
                at=self.running.clock.now(),
            )
        self.running.journal.emit(OperatorActed(action="audit export", actor=author.who, source="portal"))
        return self._chunks()

    def _chunks(self) -> Iterator[bytes]:
        with self.running.store.read() as conn, closing(audit_log.chain_rows(conn)) as rows:
            waiting: list[str] = []
            for line in audit_log.csv_lines(rows):
                waiting.append(line)
                if len(waiting) >= _LINES:
                    yield "".join(waiting).encode()
                    waiting.clear()
            yield "".join(waiting).encode()


def _row(entry: AuditEntry) -> AuditRow:
    return AuditRow(
        number=entry.seq,
        at=entry.at,
        who=entry.actor,
        origin=entry.origin,
        what=entry.action,
        environment=entry.environment,
        subject=entry.subject,
        before=entry.before,
        after=entry.after,
    )
