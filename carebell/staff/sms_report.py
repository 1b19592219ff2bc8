"""What the pages SMS notifications and Texts not sent ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from carebell.inquiries.day_sums import DayCounts, DaySums, silences
from carebell.inquiries.remedies import remedy_of
from carebell.inquiries.sms_report import COLUMNS, FAILED, STATUSES, TYPES, Tiles, csv_lines, status_of
from carebell.inquiries.source import Source
from carebell.sms_words import WHY
from carebell.staff.cursors import read_row_key, write_row_key
from carebell.staff.own_environments import own_environments
from portal.pages.report_charts import ReportDay
from portal.pages.sms_report import ReportChoices, ReportQuestion, SilenceRow, SmsReport
from portal.people import Browser, Session
from scheduler.sms import Reason, SmsState
from store import audit, outbox, sms_pages
from store.audit import AuditAction, Author
from store.outbox_row import OutboxRow
from store.sms_pages import RowFilter, SmsSum

_KINDS: Final = {words: kind for kind, words in TYPES.items()}
_SENT_FOR: Final = (Reason.BOOKED, Reason.UPDATED, Reason.REMINDER, Reason.ANSWER)
"""Reasons of texts; `canceled` is one of a silence, too."""
_SLICE: Final = timedelta(hours=1)
_CHUNK_LINES: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsReports:
    """`portal.pages.sms_report.SmsReportDesk`.

    Attributes:
        sums: of the same database.
        author: who asks, for the audit log.
    """

    source: Source
    sums: DaySums[SmsSum]
    author: Callable[[Session, Browser], Author]

    def choices(self, scope: frozenset[str] | None) -> ReportChoices:
        return ReportChoices(
            columns=[(key, heading) for key, heading, _ in COLUMNS],
            environments=own_environments(self.source.loaded, scope),
            kinds=list(_KINDS),
            statuses=STATUSES,
            reasons=[(reason.value, WHY[reason]) for reason in Reason if reason not in _SENT_FOR],
        )

    def report(self, question: ReportQuestion, after: str, limit: int) -> SmsReport:
        counts = self.sums.of(question.first, question.last)
        only = _filter(question, counts)
        begins, ends, now = *_span(question), self.source.now()
        with self.source.store.read() as conn:
            page = sms_pages.planned(conn, begins, ends, only, after=read_row_key(after), limit=limit, now=now)
        tiles = Tiles()
        for group in _groups(counts):
            if _matches(question, group):
                tiles.add(group)
        return SmsReport(
            tiles=_shown(tiles),
            days=[_day(day, question) for day in counts],
            rows=[
                {key: _cell(value(row)) for key, _, value in COLUMNS} for row in page.rows if _matches(question, row)
            ],
            after=write_row_key(page.after),
            counted_at=min(day.counted_at for day in counts),
        )

    def silences(self, question: ReportQuestion) -> tuple[Sequence[SilenceRow], datetime]:
        counts = self.sums.of(question.first, question.last)
        rows = [
            SilenceRow(reason=reason, words=WHY[Reason(reason)], remedy=remedy_of(reason), texts=texts)
            for reason, texts in silences(counts, lambda group: _matches(question, group)).items()
        ]
        return rows, min(day.counted_at for day in counts)

    def export(self, by: Session, question: ReportQuestion, browser: Browser) -> Iterable[bytes]:
        counts = self.sums.of(question.first, question.last)
        rows = sum(group.texts for group in _groups(counts) if _matches(question, group))
        filters = [value for value in (question.kind, question.status, question.reason) if value]
        with self.source.store.write() as conn:
            audit.append(
                conn,
                self.author(by, browser),
                AuditAction.REPORT_EXPORT,
                subject=", ".join([f"{question.first} to {question.last}", *filters]),
                environment=question.environment or None,
                after=f"{rows} rows",
                at=self.source.now(),
            )
        return in_chunks(csv_lines(self._rows(question)))

    def _rows(self, question: ReportQuestion) -> Iterator[OutboxRow]:
        """As `report sms` has them, read in slices: a browser that takes its time keeps no transaction open."""
        begins, ends = _span(question)
        while begins < ends:
            with self.source.store.read() as conn:
                now, environment = self.source.now(), question.environment or None
                rows = list(outbox.report(conn, begins, begins + _SLICE, environment=environment, now=now))
            yield from (row for row in rows if _matches(question, row))
            begins += _SLICE


def _span(question: ReportQuestion) -> tuple[datetime, datetime]:
    begins, last = (datetime.combine(day, time(), UTC) for day in (question.first, question.last))
    return begins, last + timedelta(days=1)


def _groups(counts: Sequence[DayCounts[SmsSum]]) -> Iterator[SmsSum]:
    return (group for day in counts for group in day.sums)


def _matches(question: ReportQuestion, of: SmsSum | OutboxRow) -> bool:
    return (
        (question.scope is None or of.environment in question.scope)
        and question.environment in ("", of.environment)
        and question.kind in ("", TYPES[of.kind])
        and question.reason in ("", of.reason.value)
        and question.status in ("", status_of(of.state, of.code))
    )


def _filter(question: ReportQuestion, counts: Sequence[DayCounts[SmsSum]]) -> RowFilter:
    """The same for the database: a status is one of some states and, for failures, one of the codes that occur."""
    environments = [question.environment] if question.environment else question.scope
    states: set[SmsState] | None = None
    codes: set[int | None] | None = None
    if question.status:
        groups = [group for group in _groups(counts) if status_of(group.state, group.code) == question.status]
        states = {group.state for group in groups}
        if states and states <= set(FAILED):
            codes = {group.code for group in groups}
    return RowFilter(
        environments=environments,
        kind=_KINDS[question.kind] if question.kind else None,
        states=states,
        reason=Reason(question.reason) if question.reason else None,
        codes=codes,
    )


def _day(day: DayCounts[SmsSum], question: ReportQuestion) -> ReportDay:
    counted = {"delivered": 0, "failed": 0, "not_sent": 0, "open": 0}
    for group in day.sums:
        if _matches(question, group):
            counted[_outcome(group.state)] += group.texts
    return ReportDay(day=day.day, **counted)


def _outcome(state: SmsState) -> str:
    match state:
        case SmsState.DELIVERED:
            return "delivered"
        case SmsState.FAILED | SmsState.UNDELIVERED:
            return "failed"
        case SmsState.SUPPRESSED:
            return "not_sent"
        case _:
            return "open"


def _shown(tiles: Tiles) -> list[tuple[str, str]]:
    """(name, value). A share stands beside what it is a share of the texts for."""
    sums = tiles.shown()
    return [
        ("Texts and silences", f"{tiles.texts:,}"),
        ("Taken by the gateway", f"{tiles.taken:,}"),
        ("Delivered", _with_share(tiles.delivered, sums["delivered_percent"])),
        ("Failed", f"{tiles.failed:,}"),
        ("Not sent", f"{tiles.not_sent:,}"),
        ("On time", _with_share(tiles.on_time, sums["on_time_percent"])),
        ("Of unknown fate", f"{tiles.unknown:,}"),
        ("Opted out", _with_share(tiles.opted_out, sums["opt_out_percent"])),
        ("Segments", f"{tiles.segments:,}"),
    ]


def _with_share(count: int, percent: float | None) -> str:
    return f"{count:,}" if percent is None else f"{count:,} ({percent} %)"


def _cell(value: str | int | None) -> str:
    return "" if value is None else str(value)


def in_chunks(lines: Iterator[str]) -> Iterator[bytes]:
    """A file in parts of some hundred lines."""
    chunk: list[str] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) >= _CHUNK_LINES:
            yield "".join(chunk).encode()
            chunk.clear()
    yield "".join(chunk).encode()
