"""`report visits`: every video visit of a time span in which something happened, and the sums."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from carebell.bootstrap.components import environment_named
from carebell.commands.open_store import opened
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.commands.report import span_of
from carebell.exits import UsageStop
from carebell.inquiries.visit_report import ReportColumns, VisitTiles, reported
from carebell.times import Zones, iso
from store.audit import AuditAction
from store.visit_pages import ReportedVisit, VisitFilter

_SUMS = {
    "visits": "visits",
    "completed": "completed",
    "no_show": "no show",
    "staff_did_not_join": "staff did not join",
    "in_progress": "in progress",
    "average_duration_seconds": "average duration",
    "average_lobby_wait_seconds": "average lobby wait",
}


def report_visits(
    config: Path | None,
    *,
    span_start: str | None,
    span_end: str | None,
    environment: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print the visits that started in `[begins, ends)`, the newest first. CSV holds only rows; JSON ends with an object for the
    sums."""
    if as_csv and as_json:
        raise UsageStop("--csv and --json cannot be used together")
    with opened(config) as session:
        if environment is not None:
            environment_named(session.loaded, environment)
        now = session.now()
        since, until = span_of(span_start, span_end, now)
        known = session.loaded.configuration
        columns = ReportColumns.of(known, known.environments if environment is None else [environment])
        tiles = VisitTiles()
        only = VisitFilter(environments=None if environment is None else [environment])
        rows = _counted(reported(session.store, since, until, only), tiles)
        if as_csv:
            sys.stdout.writelines(columns.csv_lines(rows))
        elif as_json:
            for row in rows:
                print_json(columns.values(row))
            print_json({"tiles": tiles.shown(), "from": iso(since), "to": iso(until)})
        else:
            _print_page(list(rows), columns, tiles, since, until, Zones(session.loaded))
        session.shown(
            AuditAction.REPORT_EXPORT,
            subject=f"visits, {iso(since)} to {iso(until)}",
            environment=environment,
            after=f"{tiles.visits} rows",
        )


def _counted(rows: Iterator[ReportedVisit], tiles: VisitTiles) -> Iterator[ReportedVisit]:
    for row in rows:
        tiles.count(row)
        yield row


def _print_page(
    rows: Sequence[ReportedVisit],
    columns: ReportColumns,
    tiles: VisitTiles,
    since: datetime,
    until: datetime,
    zones: Zones,
) -> None:
    print_sentence(f"Video visits that started from {iso(since)} to {iso(until)}.")
    for name, value in tiles.shown().items():
        unit = " s" if name.endswith("_seconds") and value is not None else ""
        print(f"  {_SUMS[name]:<22}{'-' if value is None else value}{unit}")
    print()
    if rows:
        print_sentence(zones.sentence({row.environment for row in rows}))
    shown = [(row, columns.cells(row)) for row in rows]
    print_table(
        ["Start", "Environment", "Appointment", "Status", "Lobby wait", "Duration", "Attendees", "Times from"],
        [
            (zones.clock(row.times.start, row.environment), row.environment, row.reference, _word(cells["status"]),
             _word(cells["lobby_wait_seconds"]), _word(cells["duration_seconds"]), row.times.attendees,
             _word(cells["source_of_times"]))
            for row, cells in shown
        ],
        empty="no video visit started in this time span",
        first="Appointment",
    )  # fmt: skip


def _word(cell: str | int | None) -> str:
    return "-" if cell is None else str(cell)
