"""`report sms`: every text of a time span, sent or not sent, and the tiles with the sums (sms.md)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from carebell.bootstrap.components import environment_named
from carebell.commands.open_store import opened
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.exits import UsageStop
from carebell.inquiries.sms_report import COLUMNS, TYPES, Tiles, csv_lines, status_of
from carebell.times import Zones, iso
from store import outbox
from store.audit import AuditAction
from store.outbox_row import OutboxRow

SPAN: Final = timedelta(days=7)


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
        since, until = span_of(span_start, span_end, now)
        tiles = Tiles()
        with session.store.read() as conn:
            rows = _counted(outbox.report(conn, since, until, environment=environment), tiles)
            if as_csv:
                sys.stdout.writelines(csv_lines(rows))
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


def _counted(rows: Iterator[OutboxRow], tiles: Tiles) -> Iterator[OutboxRow]:
    for row in rows:
        tiles.count(row)
        yield row


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
             row.reference, TYPES[row.kind], row.rule, status_of(row.state, row.code), row.reason.value)
            for row in rows
        ],
        empty="nothing was planned in this time span",
        first="Appointment",
    )  # fmt: skip


def span_of(begins: str | None, ends: str | None, now: datetime) -> tuple[datetime, datetime]:
    """What `--from` and `--to` ask for; without them the last `SPAN`. UsageStop: there is no time between them."""
    until = now if ends is None else instant("--to", ends, now, last=True)
    since = until - SPAN if begins is None else instant("--from", begins, now)
    if since >= until:
        raise UsageStop("--from must be before --to")
    return since, until


def instant(option: str, written: str, now: datetime, *, last: bool = False) -> datetime:
    """An ISO date or time. Without an offset it is UTC. A date as the end includes all of that day."""
    try:
        instant = datetime.fromisoformat(written)
    except ValueError:
        raise UsageStop(f"{option}: {written!r} is not a date such as 2026-03-02, nor an ISO 8601 time") from None
    if last and len(written) == len("2026-03-02"):
        instant += timedelta(days=1)
    return instant.replace(tzinfo=now.tzinfo) if instant.tzinfo is None else instant
