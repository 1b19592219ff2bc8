"""The alarm watch of a running node: what the node itself knows, beside what the database says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from carebell.bootstrap.running_service import RunningService
from carebell.maintenance.alarm_watch import AlarmWatch
from carebell.maintenance.clock_differences import ClockDifferences
from carebell.maintenance.node_alarms import NodeAlarms
from carebell.maintenance.periodic import PeriodicTasks


def alarm_watch(
    running: RunningService,
    *,
    periodic: PeriodicTasks,
    clocks: ClockDifferences,
    tasks_down: Callable[[], dict[str, int]],
    lost_lines: Callable[[], int],
) -> AlarmWatch:
    """Args:
    tasks_down: background tasks that wait to be started again: name -> restarts.
    lost_lines: log lines that could not be written.
    """

    def unreadable_days() -> int:
        with running.store.read() as conn:
            return len(running.vault.unreadable_days(conn))

    own = NodeAlarms(
        loaded=running.loaded,
        node=running.node,
        host=os.uname().nodename,
        down=tasks_down,
        stalled=periodic.stalled,
        signature_failures=running.metrics.signature_failures,
        lost_lines=lost_lines,
        dropped_fields=running.metrics.dropped_fields,
        clock_differences=clocks,
        unreadable_days=unreadable_days,
        unknown_links=running.metrics.unknown_links,
        missing_meetings=running.metrics.missing_meetings,
        seconds=time.monotonic,
    )
    return AlarmWatch(
        store=running.store,
        clock=running.clock,
        loaded=running.loaded,
        node=running.node,
        host=own.host,
        own=own,
        journal=running.journal,
        metrics=running.metrics,
    )
