"""The report of video visits: its columns, its statuses and its sums, for `report visits` and the portal's page."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO
from typing import Final

from carebell.inquiries.csv_cells import Cell, safe
from carebell.times import iso
from config.model import Configuration
from scheduler.reply import ReplyKind
from scheduler.visit_life import VisitEventSource
from scheduler.visit_times import VisitOutcome
from store import visit_pages
from store.engine import Store
from store.sms_pages import RowKey
from store.visit_pages import ReportedVisit, VisitFilter, VisitSum

IN_PROGRESS: Final = "in progress"
NO_LIMIT: Final = "no limit"
"""Carebell limits no number of visits."""
STATUSES: Final[Mapping[VisitOutcome, str]] = {
    VisitOutcome.COMPLETED: "Completed",
    VisitOutcome.NO_SHOW: "No show",
    VisitOutcome.STAFF_NO_SHOW: "Staff did not join",
    VisitOutcome.IN_PROGRESS: "In progress",
    VisitOutcome.CANCELED: "Canceled",
    VisitOutcome.UNKNOWN: "Unknown",
}
"""The first two are the product's."""
SIDES: Final[Mapping[str, frozenset[VisitOutcome]]] = {
    "Both sides": frozenset({VisitOutcome.COMPLETED}),
    "One side": frozenset({VisitOutcome.NO_SHOW, VisitOutcome.STAFF_NO_SHOW}),
}
"""Who joined a visit that is over."""
_SOURCES: Final[Mapping[VisitEventSource, str]] = {
    VisitEventSource.REPORT: "Meeting's report",
    VisitEventSource.MEETING: "Meeting's events",
    VisitEventSource.PAGE: "Waiting room",
}
_WENT_BY_PAGE: Final = "Waiting room; care team: meeting"
"""Of a group whose meeting does not tell the patients apart."""
_REPLIES: Final[Mapping[ReplyKind, str]] = {ReplyKind.CONFIRM: "Yes", ReplyKind.CANNOT_COME: "No"}
_PRIMARY: Final = "primary"
_BATCH: Final = 500

Column = tuple[str, str, Callable[[ReportedVisit], Cell]]
COLUMNS: Final[tuple[Column, ...]] = (
    ("start_time", "Start time (UTC)", lambda visit: iso(visit.times.start)),
    ("meeting_id", "Meeting ID", lambda visit: visit.code),
    ("lobby_wait_seconds", "Lobby wait time", lambda visit: _seconds(visit.times.lobby_wait)),
    ("duration_seconds", "Duration", lambda visit: _seconds(visit.times.duration)),
    ("status", "Status", lambda visit: STATUSES[visit.times.outcome]),
    ("product_type", "Product type", lambda visit: "EHR"),
    ("attendees", "Attendees", lambda visit: visit.times.attendees),
    ("department", "Department", lambda visit: visit.department),
    ("sms_sent", "SMS sent", lambda visit: visit.texts),
    ("appointment", "Appointment ID", lambda visit: visit.reference),
    ("confirmed", "Confirmed", lambda visit: None if visit.reply is None else _REPLIES[visit.reply.kind]),
    ("device_test", "Device test", lambda visit: "No" if visit.device_test is None else "Yes"),
    (
        "device_test_result",
        "Device test result",
        lambda visit: None if visit.device_test is None else visit.device_test.words,
    ),
    ("patient_left_lobby", "Patient left lobby", lambda visit: _yes_or_no(visit.times.left_lobby)),
    ("source_of_times", "Source of times", lambda visit: _source(visit)),
    ("environment", "Environment", lambda visit: visit.environment),
    ("within_limit", "Within limit", lambda visit: NO_LIMIT),
    (_PRIMARY, "Primary", lambda visit: visit.provider),
)
"""JSON key, heading, value: first the columns of the product's report, then Carebell's. The last one is only there for those who
have `visits.show_provider`."""
_TIMES: Final = ("lobby_wait_seconds", "duration_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportColumns:
    """The columns that a configuration has, and their cells.

    Attributes:
        naming: environments whose visits name who they are with; the column is there if there are any.
    """

    naming: frozenset[str]

    @classmethod
    def of(cls, configuration: Configuration, environments: Iterable[str]) -> ReportColumns:
        known = configuration.environments
        return cls(naming=frozenset(name for name in environments if known[name].visits.show_provider))

    @property
    def columns(self) -> tuple[Column, ...]:
        return COLUMNS if self.naming else tuple(column for column in COLUMNS if column[0] != _PRIMARY)

    def values(self, visit: ReportedVisit) -> dict[str, Cell]:
        """For programs: times in seconds."""
        return {key: self._value(key, value, visit) for key, _, value in self.columns}

    def cells(self, visit: ReportedVisit) -> dict[str, Cell]:
        """For people: times as `0:20:05`; of a visit that still runs, that it is in progress."""
        shown = self.values(visit)
        for key in _TIMES:
            seconds = shown[key]
            shown[key] = None if seconds is None else str(timedelta(seconds=int(seconds)))
        if visit.times.outcome is VisitOutcome.IN_PROGRESS:
            shown["duration_seconds"] = IN_PROGRESS
        return shown

    def csv_lines(self, visits: Iterable[ReportedVisit]) -> Iterator[str]:
        """The report as CSV, line by line, safe to open in a spreadsheet."""
        yield _line([heading for _, heading, _ in self.columns])
        for visit in visits:
            yield _line([safe(cell) for cell in self.cells(visit).values()])

    def _value(self, key: str, value: Callable[[ReportedVisit], Cell], visit: ReportedVisit) -> Cell:
        return None if key == _PRIMARY and visit.environment not in self.naming else value(visit)


@dataclass(slots=True)
class VisitTiles:
    """The sums of a report."""

    visits: int = 0
    completed: int = 0
    no_show: int = 0
    staff_no_show: int = 0
    in_progress: int = 0
    timed: int = 0
    lasted: timedelta = timedelta()
    waited: int = 0
    lobby_wait: timedelta = timedelta()

    def count(self, visit: ReportedVisit) -> None:
        """Add a visit."""
        times = visit.times
        self.add(
            VisitSum(
                environment=visit.environment,
                outcome=times.outcome,
                visits=1,
                timed=int(times.duration is not None),
                lasted=times.duration or timedelta(),
                waited=int(times.lobby_wait is not None),
                lobby_wait=times.lobby_wait or timedelta(),
            )
        )

    def add(self, counted: VisitSum) -> None:
        """Add visits that were counted by the database. Those in which a side never came count for no average duration."""
        self.visits += counted.visits
        self.completed += counted.visits if counted.outcome is VisitOutcome.COMPLETED else 0
        self.no_show += counted.visits if counted.outcome is VisitOutcome.NO_SHOW else 0
        self.staff_no_show += counted.visits if counted.outcome is VisitOutcome.STAFF_NO_SHOW else 0
        self.in_progress += counted.visits if counted.outcome is VisitOutcome.IN_PROGRESS else 0
        if counted.outcome is VisitOutcome.COMPLETED:
            self.timed += counted.timed
            self.lasted += counted.lasted
        self.waited += counted.waited
        self.lobby_wait += counted.lobby_wait

    def shown(self) -> dict[str, int | None]:
        """Stable name -> value; None: the average of nothing."""
        return {
            "visits": self.visits,
            "completed": self.completed,
            "no_show": self.no_show,
            "staff_did_not_join": self.staff_no_show,
            "in_progress": self.in_progress,
            "average_duration_seconds": average(self.lasted, self.timed),
            "average_lobby_wait_seconds": average(self.lobby_wait, self.waited),
        }


def reported(
    store: Store, begins: datetime, ends: datetime, only: VisitFilter, *, batch: int = _BATCH
) -> Iterator[ReportedVisit]:
    """Every visit whose start is in `[begins, ends)`, the newest first, read in parts: who takes their time keeps no transaction
    open."""
    after: RowKey | None = None
    while True:
        with store.read() as conn:
            page = visit_pages.reported(conn, begins, ends, only, after=after, limit=batch)
        yield from page.visits
        if page.after is None:
            return
        after = page.after


def average(total: timedelta, count: int) -> int | None:
    """Whole seconds; None of nothing."""
    return round(total.total_seconds() / count) if count else None


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else round(span.total_seconds())


def _source(visit: ReportedVisit) -> str | None:
    times = visit.times
    if times.source is None:
        return None
    return _WENT_BY_PAGE if times.went_by_page else _SOURCES[times.source]


def _yes_or_no(known: bool | None) -> str | None:
    return None if known is None else "Yes" if known else "No"


def _line(cells: Sequence[Cell]) -> str:
    written = StringIO()
    csv.writer(written, lineterminator="\n").writerow(cells)
    return written.getvalue()
