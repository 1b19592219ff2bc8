"""The service's log as it is written. Each answer carries a cursor, and the next one goes on from there; nothing is held open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol
from urllib.parse import urlencode

from portal.forms import Form
from portal.page_request import Answer, Download, PageRequest, Shown
from portal.people import Browser, Session
from portal.roles import Permission
from portal.route_table import Page

MOST_LINES: Final = 500
POLL_SECONDS: Final = 2
FOLLOWED_FOR: Final = timedelta(minutes=15)
LEVELS: Final = (("debug", "All"), ("info", "Info and above"), ("warning", "Warnings and errors"), ("error", "Errors"))
_FILTERS: Final = ("level", "event", "environment", "appointment", "control_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One line. `fields`: in their order, as `name=value` is read. `advice`: what to do, from the reference of events."""

    at: datetime
    level: str
    event: str
    fields: Sequence[tuple[str, str]]
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuestion:
    """Which lines. "": all. `scope`: environments that may be seen; None: all, and lines of no environment too."""

    level: str = "info"
    event: str = ""
    environment: str = ""
    appointment: str = ""
    control_id: str = ""
    scope: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Lines, oldest first. `cursor`: where the next part begins. `gap`: lines between were left out, being too many."""

    rows: Sequence[LogRow]
    cursor: str
    gap: bool = False


class LogDesk(Protocol):
    """What this page asks for."""

    def newest(self, question: LogQuestion, limit: int) -> LogPart: ...

    def after(self, cursor: str, question: LogQuestion, limit: int) -> LogPart:
        """The lines since; a cursor that is no longer there, or none of ours, begins with the newest."""
        ...

    def why_none(self) -> str | None:
        """Why there is no log to read here; None: there is one."""
        ...

    def last_hour(self, by: Session, browser: Browser, scope: frozenset[str] | None) -> Iterable[bytes]:
        """The lines of the last hour, as they stand in the file."""
        ...


def pages(desk: LogDesk) -> tuple[Page, ...]:
    see = Permission.SEE
    return (
        Page(name="Log", path="/logs", permission=see, menu=True, handler=partial(show, desk)),
        Page(name="Log, newer lines", path="/logs/newer", permission=see, passive=True, handler=partial(newer, desk)),
        Page(
            name="Log of the last hour",
            path="/logs/download",
            method="POST",
            permission=see,
            handler=partial(save, desk),
        ),
    )


def show(desk: LogDesk, request: PageRequest) -> Answer:
    none = desk.why_none()
    question = _question(request)
    part = LogPart(rows=(), cursor="") if none else desk.newest(question, MOST_LINES)
    return _page(request, part, ends_at=request.now + FOLLOWED_FOR, why_none=none)


def newer(desk: LogDesk, request: PageRequest) -> Answer:
    """What the page asks for by itself every two seconds, for a quarter of an hour."""
    question = _question(request)
    part = desk.after(request.query.get("cursor", "")[:200], question, MOST_LINES)
    return _page(request, part, ends_at=_end(request), why_none=None)


def save(desk: LogDesk, request: PageRequest) -> Answer:
    chunks = desk.last_hour(request.own_session, request.browser, request.scope)
    return Download(name=f"carebell-{request.now:%Y-%m-%d-%H%M}.log", media_type="application/x-ndjson", chunks=chunks)


def _question(request: PageRequest) -> LogQuestion:
    typed = {name: request.query.get(name, "").strip()[:200] for name in _FILTERS}
    if typed["level"] not in dict(LEVELS):
        typed["level"] = "info"
    return LogQuestion(**typed, scope=request.scope)


def _end(request: PageRequest) -> datetime:
    """When following ends; never later than a quarter of an hour from now."""
    latest = request.now + FOLLOWED_FOR
    try:
        return min(datetime.fromtimestamp(int(request.query.get("until", "")), latest.tzinfo), latest)
    except (ValueError, OverflowError, OSError):
        return request.now


def _page(request: PageRequest, part: LogPart, *, ends_at: datetime, why_none: str | None) -> Shown:
    filters = {name: request.query[name] for name in _FILTERS if request.query.get(name)}
    is_paused = "paused" in request.query
    follows = ends_at > request.now and not is_paused and why_none is None
    next_query = urlencode({**filters, "cursor": part.cursor, "until": int(ends_at.timestamp())})
    return Shown(
        template="log.html",
        title="Log",
        view={
            "part": part,
            "levels": LEVELS,
            "why_none": why_none,
            "follows": follows,
            "is_paused": is_paused,
            "newer": f"/logs/newer?{next_query}",
            "toggle": f"/logs?{urlencode(filters if is_paused else {**filters, 'paused': '1'})}",
            "poll_seconds": POLL_SECONDS,
        },
        form=Form().filled({"level": "info", **filters}),
    )
