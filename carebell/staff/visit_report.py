"""What the page Visit report asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from carebell.inquiries.day_sums import DayCounts, DaySums
from carebell.inquiries.source import Source
from carebell.inquiries.visit_report import SIDES, STATUSES, ReportColumns, VisitTiles, reported
from carebell.staff.cursors import read_row_key, write_row_key
from carebell.staff.own_environments import own_environments
from carebell.staff.sms_report import in_chunks
from portal.pages.report_charts import VisitDay
from portal.pages.visit_report import VisitChoices, VisitQuestion, VisitReport
from portal.people import Browser, Session
from scheduler.visit_times import VisitOutcome
from store import audit, visit_pages
from store.audit import AuditAction, Author
from store.visit_pages import VisitFilter, VisitSum

_TILES: Final = {
    "visits": "Visits",
    "completed": "Completed",
    "no_show": "No show",
    "staff_did_not_join": "Staff did not join",
    "in_progress": "In progress",
    "average_duration_seconds": "Average duration",
    "average_lobby_wait_seconds": "Average lobby wait time",
}
_OUTCOMES: Final = {words: outcome for outcome, words in STATUSES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitReports:
    """`portal.pages.visit_report.VisitReportDesk`.

    Attributes:
        sums: of the same database.
        author: who asks, for the audit log.
    """

    source: Source
    sums: DaySums[VisitSum]
    author: Callable[[Session, Browser], Author]

    def choices(self, scope: frozenset[str] | None) -> VisitChoices:
        return VisitChoices(
            columns=[(key, heading) for key, heading, _ in self._columns(scope).columns],
            environments=own_environments(self.source.loaded, scope),
            statuses=list(STATUSES.values()),
            joined=list(SIDES),
        )

    def report(self, question: VisitQuestion, after: str, limit: int) -> VisitReport:
        counts, columns = self.sums.of(question.first, question.last), self._columns(question.scope)
        begins, ends = _span(question)
        with self.source.store.read() as conn:
            page = visit_pages.reported(conn, begins, ends, _filter(question), after=read_row_key(after), limit=limit)
        tiles = VisitTiles()
        for group in _groups(counts, question):
            tiles.add(group)
        environments = own_environments(self.source.loaded, question.scope)
        return VisitReport(
            tiles=[(_TILES[name], _tile(name, value)) for name, value in tiles.shown().items()],
            days=[_day(day, question, environments) for day in counts],
            rows=[
                {key: "" if cell is None else str(cell) for key, cell in columns.cells(visit).items()}
                for visit in page.visits
            ],
            after=write_row_key(page.after),
            counted_at=min(day.counted_at for day in counts),
        )

    def export(self, by: Session, question: VisitQuestion, browser: Browser) -> Iterable[bytes]:
        counts = self.sums.of(question.first, question.last)
        rows = sum(group.visits for group in _groups(counts, question))
        filters = [value for value in (question.status, question.joined) if value]
        with self.source.store.write() as conn:
            audit.append(
                conn,
                self.author(by, browser),
                AuditAction.REPORT_EXPORT,
                subject=", ".join([f"visits, {question.first} to {question.last}", *filters]),
                environment=question.environment or None,
                after=f"{rows} rows",
                at=self.source.now(),
            )
        visits = reported(self.source.store, *_span(question), _filter(question))
        environments = frozenset({question.environment}) if question.environment else question.scope
        return in_chunks(self._columns(environments).csv_lines(visits))

    def _columns(self, scope: frozenset[str] | None) -> ReportColumns:
        return ReportColumns.of(self.source.loaded.configuration, own_environments(self.source.loaded, scope))


def _span(question: VisitQuestion) -> tuple[datetime, datetime]:
    begins, last = (datetime.combine(day, time(), UTC) for day in (question.first, question.last))
    return begins, last + timedelta(days=1)


def _outcomes(question: VisitQuestion) -> frozenset[VisitOutcome] | None:
    """What the status and who joined leave; None: all."""
    if not question.status and not question.joined:
        return None
    of_status = frozenset({_OUTCOMES[question.status]}) if question.status else frozenset(VisitOutcome)
    return of_status & (SIDES[question.joined] if question.joined else of_status)


def _filter(question: VisitQuestion) -> VisitFilter:
    environments = [question.environment] if question.environment else question.scope
    return VisitFilter(environments=environments, outcomes=_outcomes(question))


def _groups(counts: Sequence[DayCounts[VisitSum]], question: VisitQuestion) -> Iterator[VisitSum]:
    return (group for day in counts for group in day.sums if _matches(question, group))


def _matches(question: VisitQuestion, group: VisitSum) -> bool:
    outcomes = _outcomes(question)
    return (
        (question.scope is None or group.environment in question.scope)
        and question.environment in ("", group.environment)
        and (outcomes is None or group.outcome in outcomes)
    )


def _day(day: DayCounts[VisitSum], question: VisitQuestion, environments: Sequence[str]) -> VisitDay:
    groups = list(_groups([day], question))
    tiles = VisitTiles()
    for group in groups:
        tiles.add(group)
    return VisitDay(
        day=day.day,
        by_status=[
            (words, sum(group.visits for group in groups if group.outcome is outcome))
            for outcome, words in STATUSES.items()
        ],
        by_environment=[
            (name, sum(group.visits for group in groups if group.environment == name)) for name in environments
        ],
        lasted=round(tiles.lasted.total_seconds()),
        timed=tiles.timed,
        waited=round(tiles.lobby_wait.total_seconds()),
        waits=tiles.waited,
    )


def _tile(name: str, value: int | None) -> str:
    if value is None:
        return "–"
    return str(timedelta(seconds=value)) if name.endswith("_seconds") else f"{value:,}"
