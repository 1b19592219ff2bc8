"""The audit log: its entries, whether the chain is unbroken, and the whole of it as a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol
from urllib.parse import urlencode

from portal.forms import FieldError, Form
from portal.page_request import Answer, Download, PageRequest, Shown
from portal.people import Browser, Session
from portal.roles import Permission
from portal.route_table import Page

PAGE_ROWS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One entry. `number`: its place in the chain."""

    number: int
    at: datetime
    who: str
    origin: str | None
    what: str
    environment: str | None
    subject: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRows:
    """The newest first. `older`: the number before which the next part begins; None: this is the last one."""

    rows: Sequence[AuditRow]
    older: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuestion:
    """Which entries, the newest first. None and "": all.

    Attributes:
        before: entries with a smaller number alone.
        since, until: instants; `until` is not part.
        what: an action, or the first part of several: `optout`.
    """

    before: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    who: str = ""
    what: str = ""
    environment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainCheck:
    """Attributes:
    entries: how many were checked. broken_at: the first that does not fit; None: the chain is unbroken.
    why: a sentence about `broken_at`. head: the newest entry's hash.
    compared: heads in the service's log that fit.
    """

    entries: int
    broken_at: int | None
    why: str
    head: str
    compared: int


class AuditDesk(Protocol):
    """What these pages ask for."""

    def rows(self, question: AuditQuestion, limit: int) -> AuditRows: ...

    def actions(self) -> Sequence[str]:
        """Every action that there is, for the choice."""
        ...

    def check(self) -> ChainCheck: ...

    def export(self, by: Session, browser: Browser) -> Iterable[bytes]:
        """The whole chain as CSV, as `carebell audit export --csv` writes it. That is an entry itself."""
        ...


def pages(desk: AuditDesk) -> tuple[Page, ...]:
    see = Permission.SEE_AUDIT
    return (
        Page(name="Audit", path="/audit", permission=see, menu=True, handler=partial(show, desk)),
        Page(name="Check the chain", path="/audit/check", method="POST", permission=see, handler=partial(check, desk)),
        Page(name="Export", path="/audit/export", method="POST", permission=see, handler=partial(export, desk)),
    )


def show(desk: AuditDesk, request: PageRequest) -> Answer:
    return _page(desk, request, None)


def check(desk: AuditDesk, request: PageRequest) -> Answer:
    return _page(desk, request, desk.check())


def export(desk: AuditDesk, request: PageRequest) -> Answer:
    chunks = desk.export(request.own_session, request.browser)
    return Download(
        name=f"carebell-audit-{request.now:%Y-%m-%d}.csv", media_type="text/csv; charset=utf-8", chunks=chunks
    )


def _page(desk: AuditDesk, request: PageRequest, checked: ChainCheck | None) -> Shown:
    query = request.query
    form = Form().filled({name: query.get(name, "") for name in ("who", "what", "environment", "since", "until")})
    question, errors = _question(form, query.get("before", ""))
    part = AuditRows(rows=(), older=None) if errors else desk.rows(question, PAGE_ROWS)
    more = ""
    if part.older is not None:
        kept = {name: query[name] for name in ("who", "what", "environment", "since", "until") if query.get(name)}
        more = f"/audit?{urlencode({**kept, 'before': part.older})}"
    return Shown(
        template="audit.html",
        title="Audit",
        view={"rows": part.rows, "more": more, "actions": desk.actions(), "checked": checked},
        form=form.with_errors(*errors),
        status=422 if errors else 200,
    )


def _question(form: Form, before: str) -> tuple[AuditQuestion, list[FieldError]]:
    errors = []
    days: dict[str, datetime | None] = {}
    for name in ("since", "until"):
        days[name] = None
        if form.text(name):
            try:
                days[name] = datetime.fromisoformat(f"{form.text(name)[:10]}T00:00:00+00:00")
            except ValueError:
                errors.append(FieldError(field=name, sentence="Type a date such as 2026-03-02."))
    return AuditQuestion(
        before=int(before) if before.isascii() and before.isdecimal() and len(before) < 16 else None,
        since=days["since"],
        until=days["until"],
        who=form.text("who"),
        what=form.text("what"),
        environment=form.text("environment"),
    ), errors
