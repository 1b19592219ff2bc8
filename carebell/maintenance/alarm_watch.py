"""Raise and clear alarms: each has one line when it begins and one when it ends, whatever the number of nodes and of restarts.

The alarms that are raised are stored (`store.alarms`). One node at a time looks after the alarms of the whole service; each node
looks after its own, and after those of its machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, cast

from carebell.maintenance.alarm_conditions import Condition, of_service, watched_feeds
from carebell.maintenance.certificates import measure_certificates
from config.load import Loaded
from journal.alarms import ALARMS, AlarmName
from journal.events.service import AlarmCleared, AlarmRaised
from journal.logs import Journal
from journal.metrics import Metrics
from scheduler.clock import Clock
from store import alarms, leases
from store.alarms import RaisedAlarm
from store.engine import Store

JOB: Final = "alarms"
LEASE: Final = timedelta(minutes=1)
CALM: Final = timedelta(minutes=2)
"""A condition must be gone for this long before its alarm is cleared, so that a value at its limit does not fill the log."""
AGAIN: Final = {"critical": timedelta(hours=1), "warning": timedelta(days=1)}
"""An alarm that lasts is logged again this often."""
NODE_GONE: Final = timedelta(minutes=2)
"""A node whose last heartbeat is older than this is gone, and its own alarms with it."""


class AlarmWatch:
    """The rounds of one node. Blocking: each `round()` runs in a thread.

    Args:
        node, host: this node's name, and that of its machine.
        own: the alarms of this node and its machine.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        loaded: Callable[[], Loaded],
        node: str,
        host: str,
        own: Callable[[], Iterable[Condition]],
        journal: Journal,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._loaded = loaded
        self._node = node
        self._host = host
        self._own = own
        self._journal = journal
        self._metrics = metrics
        self._seen: dict[tuple[str, str, str], datetime] = {}  # when a condition was last met
        self._shown: set[tuple[str, str, str]] = set()
        for name, kind in ALARMS.items():
            metrics.alarms_raised.labels(name)  # shown as 0 from the start
            if not kind.of_text:
                for severity in kind.severities:
                    metrics.alarms.labels(name, severity, "").set(0)

    def round(self) -> None:
        """Look once at everything that this node looks after."""
        now, loaded = self._clock.now(), self._loaded()
        leads = self._leads(loaded, now)
        measure_certificates(loaded, self._metrics, now)
        conditions = {condition.identity: condition for condition in self._own()}
        with self._store.read() as conn:
            if leads:
                conditions |= {condition.identity: condition for condition in of_service(conn, loaded, now)}
            raised = {(alarm.alarm, alarm.node, alarm.subject): alarm for alarm in alarms.raised(conn)}
            alive = {node.name for node in leases.seen(conn, since=now - NODE_GONE)}
        for identity, condition in conditions.items():
            self._seen[identity] = now
            before = raised.get(identity)
            if before is None:
                self._raise(condition, now)
            elif _is_news(before, condition, now):
                self._repeat(before, condition, now)
        looked_after = {self._node, self._host} | ({""} if leads else set())
        for identity, alarm in raised.items():
            # Without the lead an alarm of the whole service is left to the node that has it.
            is_over = (
                self._is_calm(identity, now) if alarm.node in looked_after else leads and not _lives(alarm.node, alive)
            )
            if identity not in conditions and is_over:
                self._clear(alarm, now)
        self._measure()

    def _leads(self, loaded: Loaded, now: datetime) -> bool:
        with self._store.write() as conn:
            leads = leases.acquire(conn, JOB, self._node, now=now, lasts=LEASE)
            if leads:
                alarms.watch_only(conn, watched_feeds(loaded), now)
        return leads

    def _is_calm(self, identity: tuple[str, str, str], now: datetime) -> bool:
        """Whether the condition was not met for `CALM`. After a start that is counted from the first round."""
        last = self._seen.setdefault(identity, now)
        return not last <= now < last + CALM

    def _raise(self, condition: Condition, now: datetime) -> None:
        alarm = RaisedAlarm(
            alarm=condition.alarm,
            node=condition.node,
            subject=condition.subject,
            environment=condition.environment,
            severity=condition.severity,
            since=now,
            said_at=now,
            value=condition.value,
            problem=condition.problem,
        )
        with self._store.write() as conn:
            is_new = alarms.raise_alarm(conn, alarm)
        if is_new:
            self._metrics.alarms_raised.labels(condition.alarm).inc()
            self._journal.emit(_line(condition))

    def _repeat(self, before: RaisedAlarm, condition: Condition, now: datetime) -> None:
        with self._store.write() as conn:
            said = alarms.say_again(
                conn,
                before,
                at=now,
                severity=condition.severity,
                value=condition.value,
                problem=condition.problem,
            )
        if said and (condition.severity == before.severity or condition.severity == "critical"):
            self._journal.emit(_line(condition))

    def _clear(self, alarm: RaisedAlarm, now: datetime) -> None:
        with self._store.write() as conn:
            was_raised = alarms.clear(conn, alarm)
        self._seen.pop((alarm.alarm, alarm.node, alarm.subject), None)
        if was_raised:
            self._journal.emit(
                AlarmCleared(
                    alarm=cast(AlarmName, alarm.alarm),
                    subject=alarm.subject or None,
                    environment=alarm.environment or None,
                    seconds=round((now - alarm.since).total_seconds(), 1),
                )
            )

    def _measure(self) -> None:
        """Set the metric to what is raised now, by all nodes."""
        with self._store.read() as conn:
            raised = alarms.raised(conn)
        counts: dict[tuple[str, str, str], int] = dict.fromkeys(self._shown, 0)
        for alarm in raised:
            labels = (alarm.alarm, alarm.severity, alarm.environment)
            counts[labels] = counts.get(labels, 0) + 1
        for labels, count in counts.items():
            self._metrics.alarms.labels(*labels).set(count)
        self._shown = set(counts)


def _is_news(before: RaisedAlarm, condition: Condition, now: datetime) -> bool:
    """Whether an alarm that is raised is stored once more: its severity changed, or it lasts."""
    if condition.severity != before.severity:
        return True
    return not before.said_at <= now < before.said_at + AGAIN[condition.severity]


def _lives(node: str, alive: Iterable[str]) -> bool:
    """Whether a node is alive, or any node of a host."""
    return any(leases.is_at(name, node) for name in alive)


def _line(condition: Condition) -> AlarmRaised:
    return AlarmRaised(
        alarm=condition.alarm,
        severity=condition.severity,
        subject=condition.subject or None,
        value=condition.value,
        limit=condition.limit,
        environment=condition.environment or None,
        problem=condition.problem,
    )
