"""What the page Messages asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from carebell.inquiries.messages import RefusedMessage, advice, refusals
from carebell.inquiries.source import Source
from carebell.staff.cursors import read_mark, write_mark
from carebell.staff.own_environments import own_environments
from carebell.times import Zones
from config.load import Loaded
from portal.pages.messages import ShownMessage, ShownMessages
from store import message_pages
from store.message_pages import ReceivedMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesInquiry:
    """`portal.pages.messages.MessagesDesk`."""

    source: Source

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]:
        return own_environments(self.source.loaded, scope)

    def refused(self, environments: Sequence[str] | None) -> Sequence[ShownMessage]:
        loaded = self.source.loaded
        return [_refused(refusal, loaded) for refusal in refusals(self.source.log_file, environments)]

    def why_no_log(self) -> str | None:
        if self.source.log_file is not None:
            return None
        return "The service writes no log file (log.file is null), so refused messages cannot be shown here."

    def processed(self, environments: Sequence[str], after: str, limit: int, *, with_code: bool) -> ShownMessages:
        with self.source.store.read() as conn:
            page = message_pages.received(conn, environments, with_code=with_code, after=read_mark(after), limit=limit)
        loaded = self.source.loaded
        return ShownMessages(
            rows=[_processed(message, loaded) for message in page.messages], after=write_mark(page.after)
        )


def _refused(refusal: RefusedMessage, loaded: Loaded) -> ShownMessage:
    return ShownMessage(
        at=refusal.at,
        environment=refusal.environment or "",
        control_id=refusal.control_id or "",
        event="",
        appointment="",
        answer=refusal.answer,
        code=refusal.code,
        meaning=refusal.text,
        advice=advice(loaded, refusal.code),
        peer=refusal.peer,
        zone=None if refusal.environment is None else ZoneInfo(Zones(loaded).of(refusal.environment)),
    )


def _processed(message: ReceivedMessage, loaded: Loaded) -> ShownMessage:
    return ShownMessage(
        at=message.received_at,
        environment=message.environment,
        control_id=message.control_id,
        event=message.event or "",
        appointment=message.reference or "",
        answer=message.answer,
        code=message.code or "",
        meaning=message.text,
        advice=advice(loaded, message.code),
        zone=ZoneInfo(Zones(loaded).of(message.environment)),
    )
