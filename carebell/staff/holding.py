"""What the page Holds asks for: the holds, breakers and missing approvals that stop texts, and placing and ending a hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from carebell.bootstrap.running_service import RunningService
from carebell.outbound import manual_holds
from carebell.staff.people_context import author_of
from journal.events.gateway import HoldReleased, HoldStarted
from portal.pages.holds import HoldRow
from portal.people import Browser, Session
from scheduler.sms import HoldScope
from store import holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """`portal.pages.holds.HoldDesk` over the store."""

    running: RunningService

    def holds(self) -> Sequence[HoldRow]:
        """People's holds first, then what the gateway refuses."""
        with self.running.store.read() as conn:
            standing, breakers = holds.held(conn), holds.open_breakers(conn)
        rows = [
            HoldRow(
                kind="approval" if held.scope is HoldScope.APPROVAL else "person",
                environment=held.name if held.scope in (HoldScope.ENVIRONMENT, HoldScope.APPROVAL) else None,
                subject=_subject(held.scope, held.name),
                reason=held.reason,
                since=held.since,
                by=held.actor,
            )
            for held in standing
        ]
        rows += [
            HoldRow(
                kind="gateway",
                environment=breaker.name if breaker.scope is HoldScope.ENVIRONMENT else None,
                subject=_subject(breaker.scope, breaker.name),
                reason=f"code {breaker.code}",
                since=breaker.opened_at,
                by=None,
            )
            for breaker in breakers
        ]
        return rows

    def environments(self) -> Sequence[str]:
        return list(self.running.loaded().configuration.environments)

    def hold(self, by: Session, environment: str | None, reason: str, browser: Browser) -> bool:
        author = author_of(by, browser)
        with self.running.store.write() as conn:
            is_new = manual_holds.place(conn, author, environment, reason, by=author.who, at=self.running.clock.now())
        self.running.journal.emit(
            HoldStarted(environment=environment, reason=reason, source="portal", actor=author.who)
        )
        return is_new

    def release(
        self, by: Session, environment: str | None, browser: Browser
    ) -> Literal["released", "was-not", "still"]:
        author, configured = author_of(by, browser), self.running.loaded().configuration.environments
        with self.running.store.write() as conn:
            released = manual_holds.release(conn, author, environment, configured, at=self.running.clock.now())
        self.running.journal.emit(HoldReleased(environment=environment, source="portal", actor=author.who))
        return released.outcome


def _subject(scope: HoldScope, name: str) -> str:
    if scope is HoldScope.ALL:
        return "everything"
    return f"sender {name}" if scope is HoldScope.SENDER else f"environment {name}"
