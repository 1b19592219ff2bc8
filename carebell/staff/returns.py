"""What the page Sent back asks for: what went back to the EHR, and sending it again by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from carebell.inquiries.source import Source
from carebell.inquiries.writebacks import ExplainedWriteback, explained
from carebell.staff.own_environments import own_environments
from carebell.times import Zones
from carebell.writeback.manual_retry import retry
from portal.pages.returns import ReturnRow, ReturnsPage, ReturnState
from portal.people import Browser, Session
from scheduler.writeback import FINAL, WritebackEvent, WritebackState
from store import writeback_rows
from store.audit import Author

_ID: Final = re.compile(r"[0-9A-Z]{1,20}")
_EVENTS: Final = {
    WritebackEvent.CONFIRMED: "the visit was confirmed",
    WritebackEvent.CANNOT_COME: "the patient cannot come",
    WritebackEvent.CALL_ME: "the patient asks for a call",
    WritebackEvent.TEXT_DELIVERED: "a text was delivered",
    WritebackEvent.TEXT_FAILED: "a text failed",
    WritebackEvent.OPTED_OUT: "the number opted out",
    WritebackEvent.WAITING: "somebody waits for the video visit",
    WritebackEvent.CONNECTED: "somebody is in the video visit",
    WritebackEvent.DISCONNECTED: "somebody left the video visit",
    WritebackEvent.DEVICE_TEST: "a device was tested",
    WritebackEvent.VISIT_ENDED: "the video visit ended",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffReturns:
    """`portal.pages.returns.ReturnsDesk` over the store.

    Attributes: author: whom the audit log names.
    """

    source: Source
    author: Callable[[Session, Browser], Author]

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]:
        return own_environments(self.source.loaded, scope)

    def rows(self, state: ReturnState, environments: Sequence[str] | None, after: str, limit: int) -> ReturnsPage:
        loaded = self.source.loaded
        with self.source.store.read() as conn:
            newest = explained(
                conn,
                loaded,
                environments=environments,
                state=WritebackState(state) if state else None,
                before=after if _ID.fullmatch(after) else None,
                limit=limit + 1,
            )
        zones, shown = Zones(loaded), newest[:limit]
        return ReturnsPage(
            rows=[_row(writeback, ZoneInfo(zones.of(writeback.row.environment))) for writeback in shown],
            after=shown[-1].row.id if len(newest) > limit else "",
        )

    def environment_of(self, row_id: str) -> str | None:
        if not _ID.fullmatch(row_id):
            return None
        with self.source.store.read() as conn:
            row = writeback_rows.by_id(conn, row_id)
        return None if row is None else row.environment

    def send_again(self, by: Session, row_id: str, browser: Browser) -> bool:
        with self.source.store.write() as conn:
            row = writeback_rows.by_id(conn, row_id)
            return row is not None and retry(
                conn, self.source.loaded, self.author(by, browser), row, at=self.source.now()
            )


def _row(writeback: ExplainedWriteback, zone: ZoneInfo) -> ReturnRow:
    row = writeback.row
    answer = row.answer or row.code
    return ReturnRow(
        id=row.id,
        environment=row.environment,
        appointment=writeback.reference,
        event=_EVENTS[row.event],
        state=writeback.state,
        why=writeback.why,
        remedy=writeback.remedy,
        code=" ".join(part for part in (answer, row.err3) if part),
        attempts=row.attempts,
        recorded=row.created_at,
        tried=row.sent_at,
        zone=zone,
        may_go_again=row.state in FINAL and row.state is not WritebackState.ACKNOWLEDGED,
    )
