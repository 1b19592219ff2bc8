"""What the page Outbox asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from carebell.inquiries.outbox import ExplainedRow, explained
from carebell.inquiries.source import KeyedSource
from carebell.inquiries.wait_explainer import numbered
from carebell.sms_words import WHY, title_of
from carebell.staff.cursors import read_row_key, write_row_key
from carebell.staff.own_environments import own_environments
from carebell.times import Zones
from portal.pages.outbox import OutboxPage, OutboxState, OutboxText
from scheduler.sms import SmsState
from store import holds, sms_pages
from store.sms_pages import RowFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxInquiry:
    """`portal.pages.outbox.OutboxDesk`."""

    source: KeyedSource

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]:
        return own_environments(self.source.loaded, scope)

    def texts(self, state: OutboxState, environments: Sequence[str] | None, after: str, limit: int) -> OutboxPage:
        only, key, now = RowFilter(environments=environments), read_row_key(after), self.source.now()
        with self.source.store.read() as conn:
            if state == "due":
                page = sms_pages.waiting(conn, only, after=key, limit=limit)
            else:
                page = sms_pages.under_way(conn, SmsState(state), only, after=key, limit=limit)
            rows = explained(conn, self.source, page.rows, now)
            held = holds.held(conn)
        senders = {name: section.sms.sender for name, section in self.source.loaded.configuration.environments.items()}
        stopped = {(hold.scope, hold.name) for hold in held}
        zones = Zones(self.source.loaded)
        return OutboxPage(
            texts=[_text(row, ZoneInfo(zones.of(row.row.environment))) for row in rows],
            after=write_row_key(page.after),
            held=[
                name
                for name, sender in senders.items()
                if (environments is None or name in environments)
                and not stopped.isdisjoint(holds.scopes_of(name, sender))
            ],
        )


def _text(explained_row: ExplainedRow, zone: ZoneInfo) -> OutboxText:
    row = explained_row.row
    why = explained_row.why if explained_row.waiting is not None else WHY[row.reason]
    if explained_row.waiting is None and row.code is not None:
        why = f"{why}; the gateway's code {numbered(row.code)}"
    return OutboxText(
        due=row.due,
        environment=row.environment,
        appointment=row.reference,
        title=title_of(row.kind.value, row.rule),
        state=row.state.value,
        why=why,
        will_not_go=explained_row.will_not_go,
        attempts=row.attempts,
        to=explained_row.to,
        zone=zone,
    )
