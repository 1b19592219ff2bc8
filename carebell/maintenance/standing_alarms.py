"""The alarms that stand now, for people who ask: `carebell status`, its monitor, `carebell doctor`. Nothing is written.

What the database and this machine's disks show is judged afresh, so the answer is right while no service runs. What only a running
node knows (its tasks, its clock) is as that node stored it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from carebell.maintenance.alarm_conditions import Free, free_bytes, of_host, of_service
from config.load import Loaded
from journal.alarms import ALARMS, SEVERITIES, AlarmName, Severity
from store import alarms, leases
from store.engine import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingAlarm:
    """Attributes:
    node: the node or host that it is about; empty: the whole service.
    subject, environment: what it is about; empty: nothing in particular.
    since: when a service raised it; None: none has yet.
    problem: one sentence.
    """

    alarm: AlarmName
    severity: Severity
    node: str
    subject: str
    environment: str
    since: datetime | None
    problem: str


def standing_alarms(
    conn: Transaction, loaded: Loaded, now: datetime, *, host: str, alive: datetime, free: Free = free_bytes
) -> list[StandingAlarm]:
    """All of them, critical ones first.

    Args:
        host: this machine's name. alive: nodes with a heartbeat since then are running.
    """
    raised = {(alarm.alarm, alarm.node, alarm.subject): alarm for alarm in alarms.raised(conn)}
    standing = []
    for condition in [*of_service(conn, loaded, now), *of_host(loaded, host, free)]:
        known = raised.get(condition.identity)
        standing.append(
            StandingAlarm(
                alarm=condition.alarm,
                severity=condition.severity,
                node=condition.node,
                subject=condition.subject,
                environment=condition.environment,
                since=None if known is None else known.since,
                problem=condition.problem,
            )
        )
    running = {node.name for node in leases.seen(conn, since=alive)}
    for alarm in raised.values():
        elsewhere = alarm.node not in ("", host) and any(leases.is_at(name, alarm.node) for name in running)
        if elsewhere and alarm.alarm in ALARMS:
            standing.append(
                StandingAlarm(
                    alarm=cast(AlarmName, alarm.alarm),
                    severity=cast(Severity, alarm.severity),
                    node=alarm.node,
                    subject=alarm.subject,
                    environment=alarm.environment,
                    since=alarm.since,
                    problem=alarm.problem,
                )
            )
    return sorted(standing, key=lambda alarm: -SEVERITIES.index(alarm.severity))
