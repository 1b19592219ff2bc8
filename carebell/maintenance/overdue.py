"""Check that texts are sent in time: a gateway that does not answer is a warning. Texts that are late for long are the alarm
`overdue` (`carebell.maintenance.alarm_conditions`).

Every round also sets the metrics of the outbox, whether or not `/health` is requested.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from config.model import Configuration
from journal.events.gateway import GatewayReachable, GatewayUnreachable
from journal.logs import Journal
from journal.metrics import Metrics
from scheduler.clock import Clock
from store import gateway_contact, holds, outbox
from store.engine import Store, Transaction
from store.gateway_contact import GatewayContact
from store.holds import Breaker, Hold, scopes_of
from store.outbox import OverdueTexts, Queue

ROUND_SECONDS: Final = 15.0
REPEATED_EVERY: Final = timedelta(hours=1)
"""A warning that lasts is logged again this often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxState:
    """The database's state of the texts that should be sent.

    Attributes:
        breakers: the open ones. held: the holds.
    """

    queue: Queue
    breakers: tuple[Breaker, ...] = ()
    held: tuple[Hold, ...] = ()
    contact: GatewayContact

    @property
    def stopped(self) -> tuple[str, ...]:
        """The breakers and holds that stop texts, in words."""
        breakers = [f"{breaker.scope} {breaker.name}: {breaker.code}" for breaker in self.breakers]
        return (*breakers, *(f"hold: {hold.reason}" for hold in self.held))

    def free(self, senders: Mapping[str, str]) -> OverdueTexts:
        """The texts that are overdue though no breaker or hold stops them: not those of one environment for another's sake.

        Args:
            senders: environment -> its sender (`senders_of`).
        """
        stops = {(hold.scope, hold.name) for hold in self.held}
        stops |= {(breaker.scope, breaker.name) for breaker in self.breakers}
        late = [
            texts
            for environment, texts in self.queue.by_environment.items()
            if stops.isdisjoint(scopes_of(environment, senders.get(environment, "")))
        ]
        return OverdueTexts(
            count=sum(texts.count for texts in late), lag=max((texts.lag for texts in late), default=timedelta())
        )

    def is_late(self, limit: timedelta, senders: Mapping[str, str]) -> bool:
        """Whether a text is late for longer than that, and no breaker or hold stops it."""
        return self.free(senders).lag >= limit


def senders_of(configuration: Configuration) -> dict[str, str]:
    """Environment -> the sender of its texts."""
    return {name: environment.sms.sender for name, environment in configuration.environments.items()}


def read_outbox_state(conn: Transaction, now: datetime) -> OutboxState:
    """The state, from the database alone."""
    return OutboxState(
        queue=outbox.queue(conn, now),
        breakers=tuple(holds.open_breakers(conn)),
        held=tuple(holds.held(conn)),
        contact=gateway_contact.contact(conn),
    )


def outbox_state(store: Store, metrics: Metrics, now: datetime) -> OutboxState:
    """Read the state, and set the metrics. Blocking."""
    with store.read() as conn:
        state = read_outbox_state(conn, now)
    queue, contact = state.queue, state.contact
    metrics.lag_seconds.set(queue.lag.total_seconds())
    for state_name, count in queue.by_state.items():
        metrics.outbox_texts.labels(state_name.value).set(count)
    metrics.outbox_texts.labels("due").set(queue.waiting)
    metrics.overdue_texts.set(queue.overdue)
    metrics.retrying_texts.set(queue.retrying)
    metrics.gateway_failures.set(contact.failures)
    metrics.breaker_open.clear()
    for breaker in state.breakers:
        metrics.breaker_open.labels(breaker.scope, breaker.name).set(1)
    if contact.answered_at is not None:
        metrics.gateway_answered_timestamp_seconds.set(contact.answered_at.timestamp())
    return state


class OverdueWatch:
    """The rounds of one node. Blocking: each `round()` runs in a thread."""

    def __init__(self, *, store: Store, clock: Clock, journal: Journal, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._metrics = metrics
        self._unreachable_at: datetime | None = None  # when it was last logged
        self._failing_since: datetime | None = None

    def round(self) -> None:
        """Check once, and log new and lasting problems."""
        now = self._clock.now()
        state = outbox_state(self._store, self._metrics, now)
        self._judge_contact(state, now)

    def _judge_contact(self, state: OutboxState, now: datetime) -> None:
        contact, queue = state.contact, state.queue
        if contact.failing_since is None:
            if self._failing_since is not None:
                seconds = round((now - self._failing_since).total_seconds(), 1)
                self._journal.emit(GatewayReachable(seconds=seconds, overdue=queue.overdue))
            self._failing_since = self._unreachable_at = None
            return
        self._failing_since = contact.failing_since
        if _due_again(self._unreachable_at, now):
            self._unreachable_at = now
            self._journal.emit(
                GatewayUnreachable(
                    reason=contact.reason,
                    failures=contact.failures,
                    overdue=queue.overdue,
                    retrying=queue.retrying,
                    late_seconds=round(queue.lag.total_seconds(), 1),
                    answered_at=contact.answered_at,
                )
            )


def _due_again(last: datetime | None, now: datetime) -> bool:
    return last is None or not last <= now < last + REPEATED_EVERY
