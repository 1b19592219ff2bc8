"""The report of texts: its columns, its statuses and its tiles (sms.md), for `report sms` and the portal's page."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Final

from carebell.inquiries.csv_cells import Cell, safe
from carebell.times import iso
from notifier.failures import ReportStatus
from notifier.gateways import failure_of
from scheduler.sms import Reason, SmsKind, SmsState
from store.outbox_row import OutboxRow
from store.sms_pages import ON_TIME, SmsSum

TYPES: Final[Mapping[SmsKind, str]] = {
    SmsKind.BOOKED: "Confirmation",
    SmsKind.UPDATED: "Update",
    SmsKind.CANCELED: "Cancellation",
    SmsKind.REMINDER: "Reminder",
    SmsKind.ANSWER: "Answer",
}
_STATUSES: Final[Mapping[SmsState, str]] = {
    SmsState.DUE: "Planned",
    SmsState.SENDING: "Sending",
    SmsState.ACCEPTED: ReportStatus.SENT,
    SmsState.SENT: ReportStatus.SENT,
    SmsState.DELIVERED: ReportStatus.DELIVERED,
    SmsState.UNKNOWN: "Unknown",
    SmsState.SUPPRESSED: "Not sent",
}
FAILED: Final = (SmsState.UNDELIVERED, SmsState.FAILED)
"""States whose status is the failure of their code."""
STATUSES: Final[tuple[str, ...]] = tuple(dict.fromkeys(map(str, (*_STATUSES.values(), *ReportStatus))))
"""Every value of the Status column."""

COLUMNS: Final[tuple[tuple[str, str, Callable[[OutboxRow], Cell]], ...]] = (
    ("sent_time", "Sent time (UTC)", lambda row: iso(row.sent_at)),
    ("sent_from", "Sent from", lambda row: row.sender),
    ("sms_notification_type", "SMS notification type", lambda row: TYPES[row.kind]),
    ("product_type", "Product type", lambda row: "EHR"),
    ("status", "Status", lambda row: status_of(row.state, row.code)),
    ("environment", "Environment", lambda row: row.environment),
    ("rule", "Event or rule", lambda row: row.rule),
    ("appointment", "Appointment reference", lambda row: row.reference),
    ("planned_time", "Planned time (UTC)", lambda row: iso(row.due)),
    ("final_time", "Final time (UTC)", lambda row: iso(row.final_at)),
    ("lead_seconds", "Lead (seconds before the visit)", lambda row: _seconds(row.start, row.sent_at)),
    ("seconds_late", "Seconds late", lambda row: _seconds(row.sent_at, row.due)),
    ("segments", "Segments", lambda row: row.segments if row.sent_at is not None else None),
    ("attempts", "Attempts", lambda row: row.attempts),
    ("code", "Code", lambda row: row.code),
    ("reason", "Reason", lambda row: row.reason.value),
    ("config_version", "Configuration version", lambda row: row.config_version),
)
"""JSON key, CSV heading, value: first the five columns of the product, then Carebell's."""


@dataclass(slots=True)
class Tiles:
    """The sums. Shares are percentages with one decimal; None if the total is zero. `failed`, `not_sent`: for the page alone."""

    texts: int = 0
    taken: int = 0
    delivered: int = 0
    failed: int = 0
    not_sent: int = 0
    on_time: int = 0
    unknown: int = 0
    opted_out: int = 0
    segments: int = 0

    def count(self, row: OutboxRow) -> None:
        """Add a text."""
        taken = row.sent_at is not None
        on_time = row.sent_at is not None and row.due is not None and row.sent_at - row.due <= ON_TIME
        self._add(row.state, row.reason, row.code, 1, int(taken), int(on_time), (row.segments or 0) if taken else 0)

    def add(self, counted: SmsSum) -> None:
        """Add texts that were counted by the database."""
        state, reason, code = counted.state, counted.reason, counted.code
        self._add(state, reason, code, counted.texts, counted.taken, counted.on_time, counted.segments)

    def _add(
        self, state: SmsState, reason: Reason, code: int | None, texts: int, taken: int, on_time: int, segments: int
    ) -> None:
        self.texts += texts
        self.taken += taken
        self.on_time += on_time
        self.segments += segments
        self.unknown += texts if state is SmsState.UNKNOWN else 0
        self.delivered += texts if state is SmsState.DELIVERED else 0
        self.failed += texts if state in FAILED else 0
        self.not_sent += texts if state is SmsState.SUPPRESSED else 0
        self.opted_out += texts if reason is Reason.OPTED_OUT or failure_of(code or 0).opt_out else 0

    def shown(self) -> dict[str, int | float | None]:
        """Stable name -> value."""
        asked_for = self.taken + self.unknown + self.opted_out
        return {
            "texts_and_silences": self.texts,
            "taken_by_the_gateway": self.taken,
            "delivered_percent": share(self.delivered, self.taken),
            "on_time_percent": share(self.on_time, self.taken),
            "unknown": self.unknown,
            "opt_out_percent": share(self.opted_out, asked_for),
            "segments": self.segments,
        }


def status_of(state: SmsState, code: int | None) -> str:
    """The Status column."""
    return failure_of(code or 0).status.value if state in FAILED else str(_STATUSES[state])


def csv_lines(rows: Iterable[OutboxRow], keys: Sequence[str] | None = None) -> Iterator[str]:
    """The report as CSV, line by line, safe to open in a spreadsheet.

    Args:
        keys: of the wanted columns; None: all.
    """
    columns = [column for column in COLUMNS if keys is None or column[0] in keys]
    yield _line([heading for _, heading, _ in columns])
    for row in rows:
        yield _line([safe(value(row)) for _, _, value in columns])


def share(part: int, whole: int) -> float | None:
    """A percentage with one decimal; None of nothing."""
    return round(100 * part / whole, 1) if whole else None


def _line(cells: Sequence[Cell]) -> str:
    written = StringIO()
    csv.writer(written, lineterminator="\n").writerow(cells)
    return written.getvalue()


def _seconds(later: datetime | None, earlier: datetime | None) -> int | None:
    if later is None or earlier is None:
        return None
    return round((later - earlier).total_seconds())
