"""What the page Replies asks for: patients who need a person, and noting that somebody saw to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from carebell.inquiries.source import KeyedSource
from carebell.inquiries.waiting_replies import waiting_replies
from carebell.outbound import manual_replies
from carebell.staff.own_environments import own_environments
from carebell.times import Zones
from portal.pages.replies import ReplyAsks, ReplyRow
from portal.people import Browser, Session
from scheduler.reply import ReplyKind
from store import patient_replies
from store.audit import Author

_ID: Final = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffReplies:
    """`portal.pages.replies.ReplyDesk` over the store.

    Attributes: author: whom the audit log names.
    """

    source: KeyedSource
    author: Callable[[Session, Browser], Author]

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]:
        return own_environments(self.source.loaded, scope)

    def rows(self, environments: Sequence[str] | None) -> tuple[Sequence[ReplyRow], bool]:
        with self.source.store.read() as conn:
            waiting_now, more = waiting_replies(conn, self.source.vault, self.source.now(), environments=environments)
        zones = Zones(self.source.loaded)
        rows = [
            ReplyRow(
                id=waiting.newest.id,
                environment=waiting.newest.environment,
                appointment=waiting.reference,
                number="unknown" if waiting.phone is None else waiting.phone.masked,
                asks=_asks(waiting.newest.kind),
                since=waiting.since,
                count=waiting.count,
                start=waiting.start,
                moved=waiting.moved,
                zone=ZoneInfo(zones.of(waiting.newest.environment)),
            )
            for waiting in waiting_now
        ]
        return rows, more

    def environment_of(self, reply_id: str) -> str | None:
        if not _ID.fullmatch(reply_id):
            return None
        with self.source.store.read() as conn:
            reply = patient_replies.by_id(conn, reply_id)
        return None if reply is None else reply.environment

    def done(self, by: Session, reply_id: str, browser: Browser) -> bool:
        with self.source.store.write() as conn:
            return manual_replies.done(conn, self.author(by, browser), reply_id, at=self.source.now())


def _asks(kind: ReplyKind) -> ReplyAsks:
    match kind:
        case ReplyKind.CALL_ME:
            return "call_me"
        case ReplyKind.CANNOT_COME:
            return "cannot_come"
        case ReplyKind.UNKNOWN:
            return "unknown"
        case ReplyKind.CONFIRM:
            raise AssertionError("a confirmation waits for nobody")
        case _:
            assert_never(kind)
