"""`report sms`: every text of a time span, sent or not sent, and the tiles with the sums (sms.md)."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from carebell.bootstrap.components import environment_named
from carebell.commands.open_store import opened
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.exits import UsageStop
from carebell.inquiries.csv_cells import Cell, safe
from carebell.times import Zones, iso
from notifier.failures import ReportStatus
from notifier.gateways import failure_of
from scheduler.sms import Reason, SmsKind, SmsState
from store import outbox
from store.audit import AuditAction
from store.outbox_row import OutboxRow

SPAN: Final = timedelta(days=7)
ON_TIME: Final = timedelta(seconds=60)
"""A text is on time if the gateway took it at most this long after its planned minute."""

_TYPES: Final[Mapping[SmsKind, str]] = {
    SmsKind.BOOKED: "Confirmation",
    SmsKind.UPDATED: "Update",
    SmsKind.CANCELED: "Cancellation",
    SmsKind.REMINDER: "Reminder",
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

COLUMNS: Final[tuple[tuple[str, str, Callable[[OutboxRow], Cell]], ...]] = (
    ("sent_time", "Sent time (UTC)", lambda row: iso(row.sent_at)),
    ("sent_from", "Sent from", lambda row: row.sender),
    ("sms_notification_type", "SMS notification type", lambda row: _TYPES[row.kind]),
    ("product_type", "Product type", lambda row: "EHR"),
    ("status", "Status", lambda row: status_of(row)),
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
    """The sums. Shares are percentages with one decimal; None if the total is zero."""

    texts: int = 0
    taken: int = 0
    delivered: int = 0
    on_time: int = 0
    unknown: int = 0
    opted_out: int = 0
    segments: int = 0

    def count(self, row: OutboxRow) -> None:
        self.texts += 1
        self.unknown += row.state is SmsState.UNKNOWN
        self.opted_out += row.reason is Reason.OPTED_OUT or failure_of(row.code or 0).opt_out
        self.delivered += row.state is SmsState.DELIVERED
        if row.sent_at is not None:
            self.taken += 1
            self.segments += row.segments or 0
            self.on_time += row.due is not None and row.sent_at - row.due <= ON_TIME

    def shown(self) -> dict[str, int | float | None]:
        asked_for = self.taken + self.unknown + self.opted_out
        return {
            "texts_and_silences": self.texts,
            "taken_by_the_gateway": self.taken,
            "delivered_percent": _share(self.delivered, self.taken),
            "on_time_percent": _share(self.on_time, self.taken),
            "unknown": self.unknown,
            "opt_out_percent": _share(self.opted_out, asked_for),
            "segments": self.segments,
        }


def report(
    config: Path | None,
    *,
    span_start: str | None,
    span_end: str | None,
    environment: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print the rows planned in `[begins, ends)`. CSV holds only rows; JSON ends with an object for the tiles."""
    if as_csv and as_json:
        raise UsageStop("--csv and --json cannot be used together")
    with opened(config) as session:
        if environment is not None:
            environment_named(session.loaded, environment)
        now = session.now()
        until = now if span_end is None else _instant("--to", span_end, now, last=True)
        since = until - SPAN if span_start is None else _instant("--from", span_start, now)
        if since >= until:
            raise UsageStop("--from must be before --to")
        tiles = Tiles()
        with session.store.read() as conn:
            rows = _counted(outbox.report(conn, since, until, environment=environment), tiles)
            if as_csv:
                _print_csv(rows)
            elif as_json:
                for row in rows:
                    print_json({key: value(row) for key, _, value in COLUMNS})
                print_json({"tiles": tiles.shown(), "from": iso(since), "to": iso(until)})
            else:
                _print_page(list(rows), tiles, since, until, Zones(session.loaded))
        session.shown(
            AuditAction.REPORT_EXPORT,
            subject=f"{iso(since)} to {iso(until)}",
            environment=environment,
            after=f"{tiles.texts} rows",
        )


def status_of(row: OutboxRow) -> str:
    """The Status column."""
    if row.state in (SmsState.UNDELIVERED, SmsState.FAILED):
        return failure_of(row.code or 0).status.value
    return str(_STATUSES[row.state])


def _counted(rows: Iterator[OutboxRow], tiles: Tiles) -> Iterator[OutboxRow]:
    for row in rows:
        tiles.count(row)
        yield row


def _print_csv(rows: Iterator[OutboxRow]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([heading for _, heading, _ in COLUMNS])
    for row in rows:
        writer.writerow([safe(value(row)) for _, _, value in COLUMNS])


def _print_page(rows: list[OutboxRow], tiles: Tiles, since: datetime, until: datetime, zones: Zones) -> None:
    print_sentence(f"Texts planned from {iso(since)} to {iso(until)}, sent or not.")
    sums = tiles.shown()
    for name in sums:
        value = sums[name]
        unit = " %" if name.endswith("_percent") and value is not None else ""
        print(f"  {name.removesuffix('_percent').replace('_', ' '):<22}{'-' if value is None else value}{unit}")
    print()
    if rows:
        print_sentence(zones.sentence({row.environment for row in rows}))
    print_table(
        ["Planned", "Sent", "Environment", "Appointment", "Type", "Event or rule", "Status", "Reason"],
        [
            (zones.clock(row.due, row.environment), zones.clock(row.sent_at, row.environment), row.environment,
             row.reference, _TYPES[row.kind], row.rule, status_of(row), row.reason.value)
            for row in rows
        ],
        empty="nothing was planned in this time span",
        first="Appointment",
    )  # fmt: skip


def _instant(option: str, written: str, now: datetime, *, last: bool = False) -> datetime:
    """An ISO date or time. Without an offset it is UTC. A date as the end includes all of that day."""
    try:
        instant = datetime.fromisoformat(written)
    except ValueError:
        raise UsageStop(f"{option}: {written!r} is not a date such as 2026-03-02, nor an ISO 8601 time") from None
    if last and len(written) == len("2026-03-02"):
        instant += timedelta(days=1)
    return instant.replace(tzinfo=now.tzinfo) if instant.tzinfo is None else instant


def _seconds(later: datetime | None, earlier: datetime | None) -> int | None:
    if later is None or earlier is None:
        return None
    return round((later - earlier).total_seconds())


def _share(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None
