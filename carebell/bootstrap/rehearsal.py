"""Run messages through a configuration as the service would, with a clock of its own and a database in memory.

Messages are stored by the service's own unit of work, and texts are claimed by its own send policy with the senders' real rates.
So quiet hours, caps and slow senders show as they would. Nothing is written to a disk, and no gateway is opened: a text that would
be posted counts as taken by the gateway in the same instant. Opt-outs, and what the service knows of earlier days, are not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from carebell.environment_policy import RuntimeConfig
from carebell.ids import RandomIds
from carebell.inbound.process import MessageProcessor
from carebell.outbound.budgets import SenderBudgets
from carebell.outbound.recipient import recipient_of
from carebell.outbound.render import asked_in, previewed_token, text_of
from carebell.outbound.replan import replan_reminders
from carebell.outbound.send_policy import SendPolicy
from notifier.text import Rendered
from parser.event import SchedulingEvent
from parser.phone_number import PhoneNumber
from scheduler.plan import whole_minute
from scheduler.sms import Cap
from store import attempts, outbox, schema
from store.appointment_repository import load
from store.claims import Claimed, claim
from store.engine import Store, Transaction, open_in_memory
from store.keys import new_key_ring
from store.outbox_row import OutboxRow
from store.vault import Vault

_AT_ONCE: Final = 500
"""Texts in one round. The rates decide how many leave."""
_LEASE: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedText:
    """One text, sent or not.

    Attributes:
        row: as the outbox holds it at the end; `claimed_at` is when it left.
        at: its day and hour in the calendar, UTC: when it left, else when it was due, else when it was decided.
        to: the number that it goes to; None: unknown.
        text: what it says; None: it is not sent.
        cap: which cap kept it, if one did.
        start: when the visit begins, as the text says it, UTC.
    """

    row: OutboxRow
    at: datetime
    to: PhoneNumber | None = field(repr=False)
    text: Rendered | None = field(repr=False)
    cap: Cap | None
    start: datetime | None

    @property
    def left(self) -> bool:
        return self.row.claimed_at is not None


class ServiceRehearsal:
    """The service in memory, with its `store` and `vault`.

    Args:
        on_messages: called with how many messages were heard since, for progress.
    """

    def __init__(self, runtime_config: RuntimeConfig, on_messages: Callable[[int], None] = lambda _: None) -> None:
        self._runtime_config = runtime_config
        self._on_messages = on_messages
        self._senders = {name: policy.environment.sms.sender for name, policy in runtime_config.policies.items()}
        self.vault = Vault(ring=new_key_ring())
        self.store: Store = open_in_memory()
        schema.upgrade(self.store)
        self._processor = MessageProcessor(self.vault, lambda: runtime_config.policies, RandomIds())
        self._claimed: dict[str, tuple[Claimed, Rendered | None]] = {}
        self._caps: dict[str, Cap] = {}

    def run(self, events: Sequence[SchedulingEvent], until: datetime) -> list[RehearsedText]:
        """Every text that the events cause, in the order of their time.

        Args:
            events: of any environments, in the order of receipt; later ones than `until` are left out.
            until: the end of the rehearsal, UTC. Texts that are due later stay `due`.
        """
        try:
            self.play(events, until)
            with self.store.read() as conn:
                return sorted(self._texts(conn, until), key=_order)
        finally:
            self.store.close()

    def play(self, events: Sequence[SchedulingEvent], until: datetime) -> None:
        """Bring the database to the state that it has at `until`. The caller closes the store. Arguments as `run`."""
        for group in _groups([event for event in events if event.received_at <= until]):
            self._send_due(group[0].received_at)
            with self.store.write() as conn:
                self._processor.rehearse_group(conn, group)
            self._on_messages(len(group))
        self._send_due(until)

    def _send_due(self, until: datetime) -> None:
        """Send what is due, round by round, up to `until`."""
        while True:
            with self.store.read() as conn:
                due = outbox.next_due(conn)
            if due is None or due > until:
                return
            with self.store.write() as conn:
                self._round(conn, due)

    def _round(self, conn: Transaction, now: datetime) -> None:
        budgets = SenderBudgets(conn, self._runtime_config, set(self._senders.values()), now)
        claimed_round = claim(
            conn,
            self.vault,
            now,
            node="rehearsal",
            limit=_AT_ONCE,
            lease=_LEASE,
            senders=self._senders,
            decide=SendPolicy(self._runtime_config, now, budgets),
            recipient=lambda appointment: recipient_of(appointment, self._runtime_config),
            asking=self._runtime_config.asking,
        )
        budgets.charge()
        taken = [attempts.Acceptance(claim.row.id, claim.row.attempts, claim.row.id) for claim in claimed_round.claimed]
        attempts.accepted(conn, taken, at=now)
        replan_reminders(conn, self.vault, self._runtime_config, claimed_round.suppressed, now, source="claim")
        self._caps |= claimed_round.caps
        for claimed in claimed_round.claimed:
            policy = self._runtime_config.policies[claimed.row.environment]
            row, organization = claimed.row, self._runtime_config.organization
            token = previewed_token(claimed.appointment, policy)
            text = text_of(claimed.appointment, row.kind, policy, organization, token, asking=asked_in(row, policy))
            self._claimed[claimed.row.id] = (claimed, text)

    def _texts(self, conn: Transaction, now: datetime) -> Iterator[RehearsedText]:
        rows = list(outbox.rows(conn))
        stored = load(conn, self.vault, {row.appointment for row in rows}, now, lock=False, unreadable=set())
        for row in rows:
            to: PhoneNumber | None
            if row.id in self._claimed:
                claimed, text = self._claimed[row.id]
                at, to, start = row.claimed_at, claimed.recipient, claimed.appointment.start
            else:
                known = stored.get(row.appointment)
                policy = self._runtime_config.policies[row.environment]
                to = None if known is None else policy.recipient(known.appointment)
                at, text, start = row.due, None, row.start
            yield RehearsedText(
                row=row, at=at or row.created_at, to=to, text=text, cap=self._caps.get(row.id), start=start
            )


def _groups(events: Sequence[SchedulingEvent]) -> Iterator[list[SchedulingEvent]]:
    """Events between two whole minutes, on which texts are due, in one transaction; one of a whole minute has its own."""
    for _, group in groupby(events, key=lambda event: (whole_minute(event.received_at), _on_the_minute(event))):
        yield list(group)


def _on_the_minute(event: SchedulingEvent) -> bool:
    return whole_minute(event.received_at) == event.received_at


def _order(text: RehearsedText) -> tuple[datetime, str, str, str, int]:
    row = text.row
    return text.at, row.reference, row.kind.value, row.rule, row.revision
