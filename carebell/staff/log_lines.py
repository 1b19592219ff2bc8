"""What the page Log asks for: the service's own log, of this node."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from carebell.bootstrap.running_service import RunningService
from carebell.staff.people_context import author_of
from journal.events import ENTRIES
from journal.read import Line, Wanted, instant_of
from journal.rotated import read_log
from journal.tail import LogCursor, TailPart, newest, since
from portal.pages.log_page import LogPart, LogQuestion, LogRow
from portal.people import Browser, Session
from store import audit
from store.audit import AuditAction

_SAVED: Final = timedelta(hours=1)
_NO_FILE: Final = (
    "The service writes no log file (`log.file` is null): look where its standard error goes, such as the journal."
)
_NOT_READABLE: Final = "The log file cannot be read now."


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLines:
    """`portal.pages.log_page.LogDesk`."""

    running: RunningService

    def newest(self, question: LogQuestion, limit: int) -> LogPart:
        file = self._file()
        return LogPart(rows=(), cursor="") if file is None else _part(newest(file, _wanted(question), limit), question)

    def after(self, cursor: str, question: LogQuestion, limit: int) -> LogPart:
        file, place = self._file(), LogCursor.parse(cursor)
        if file is None:
            return LogPart(rows=(), cursor="")
        if place is None:
            return self.newest(question, limit)
        return _part(since(file, _wanted(question), place, limit), question)

    def why_none(self) -> str | None:
        file = self._file()
        if file is None:
            return _NO_FILE
        try:
            with file.open("rb"):
                return None
        except OSError:
            return _NOT_READABLE

    def last_hour(self, by: Session, browser: Browser, scope: frozenset[str] | None) -> Iterable[bytes]:
        file, now = self._file(), self.running.clock.now()
        with self.running.store.write() as conn:
            author = author_of(by, browser)
            audit.append(conn, author, AuditAction.LOG_EXPORT, subject="last hour", at=now)
        return () if file is None else _saved(file, Wanted(since=now - _SAVED), scope)

    def _file(self) -> Path | None:
        return self.running.loaded().configuration.log.file


def _wanted(question: LogQuestion) -> Wanted:
    return Wanted(
        level=logging.getLevelNamesMapping()[question.level.upper()],
        event=question.event or None,
        appointment=question.appointment or None,
        control_id=question.control_id or None,
        words=frozenset({question.environment} if question.environment else ()),
    )


def _part(part: TailPart, question: LogQuestion) -> LogPart:
    rows = [_row(line) for line in part.lines if _is_visible(line, question.environment, question.scope)]
    return LogPart(rows=rows, cursor="" if part.cursor is None else str(part.cursor), gap=part.has_gap)


def _is_visible(line: Line, environment: str, scope: frozenset[str] | None) -> bool:
    named = line.fields.get("environment")
    return (not environment or named == environment) and (scope is None or named in scope)


def _row(line: Line) -> LogRow:
    return LogRow(
        at=instant_of(line),
        level=line.level,
        event=line.event,
        fields=[(name, _written(value)) for name, value in line.fields.items() if value is not None],
        advice=_advice().get(line.event, ""),
    )


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@cache
def _advice() -> Mapping[str, str]:
    return {entry.name: entry.advice for entry in ENTRIES.values()}


def _saved(file: Path, wanted: Wanted, scope: frozenset[str] | None) -> Iterator[bytes]:
    for line in read_log(file, wanted, lambda _file, _why: None):
        if _is_visible(line, "", scope):
            values = {"time": line.time, "level": line.level, "event": line.event, **line.fields}
            yield json.dumps(values, ensure_ascii=True).encode() + b"\n"
