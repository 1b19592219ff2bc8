"""The periodic tasks that a node runs, by its roles."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from carebell.bootstrap.meeting_rooms import MeetingRooms
from carebell.bootstrap.outgoing import Outgoing
from carebell.bootstrap.running_service import RunningService
from carebell.bootstrap.service_manager import ServiceManager
from carebell.bootstrap.visit_recorder import meeting_recorder_of, recorder_of
from carebell.maintenance.meeting_upkeep import MeetingUpkeep
from carebell.maintenance.overdue import OverdueWatch
from carebell.maintenance.periodic import ClockComparison, Pace, PeriodicTask, PeriodicTasks, in_thread
from carebell.maintenance.retention import Retention
from carebell.maintenance.signs_of_life import SignsOfLife
from carebell.maintenance.visit_upkeep import VisitUpkeep
from carebell.writeback.sender import WritebackSender
from journal.repeats import ROUND_SECONDS


def periodic_tasks(
    running: RunningService,
    *,
    pace: Pace,
    periodic: PeriodicTasks,
    beat: Callable[[], None],
    alarm_round: Callable[[], None],
    outgoing: Outgoing,
    writebacks: WritebackSender,
    retention: Retention,
    manager: ServiceManager,
    committing: Callable[[], float],
) -> Iterator[PeriodicTask]:
    """Args:
    periodic: what runs them, for a task that looks at the others.
    committing: seconds since the group that is being committed was taken.
    """

    async def tell_repeats() -> None:
        running.repeats.finish_round()

    async def dispatch() -> None:
        await outgoing.dispatcher.tick()

    clocks = ClockComparison(running.clock, running.journal, time.monotonic, periodic.run_now)
    yield PeriodicTask(name="clock", seconds=pace.clock, run=clocks.look)
    yield PeriodicTask(name="beat", seconds=pace.beat, run=in_thread(beat))
    yield PeriodicTask(name="repeats", seconds=ROUND_SECONDS, run=tell_repeats)
    yield PeriodicTask(name="alarms", seconds=pace.alarms, run=in_thread(alarm_round))
    if "dispatcher" in running.roles:
        overdue = OverdueWatch(
            store=running.store,
            clock=running.clock,
            journal=running.journal,
            metrics=running.metrics,
        )
        yield PeriodicTask(name="dispatch", seconds=pace.dispatch, run=dispatch)
        yield PeriodicTask(name="overdue", seconds=pace.overdue, run=in_thread(overdue.round))
        yield PeriodicTask(name="writeback", seconds=pace.dispatch, run=writebacks.tick)
        reconcile = in_thread(outgoing.reconciliation.round)
        yield PeriodicTask(name="reconciliation", seconds=pace.reconciliation, run=reconcile)
    if "housekeeping" in running.roles:
        upkeep = VisitUpkeep(store=running.store, clock=running.clock, recorder=recorder_of(running))
        yield PeriodicTask(name="visits", seconds=pace.visits, run=in_thread(upkeep.round))
        meetings = MeetingUpkeep(
            clock=running.clock,
            meetings=meeting_recorder_of(running),
            runtime_config=running.runtime_config,
            service_of=MeetingRooms(running).service,
            missed=running.metrics.meetings_unavailable.inc,
        )
        yield PeriodicTask(name="meetings", seconds=pace.visits, run=in_thread(meetings.round))
        yield PeriodicTask(name="housekeeping", seconds=pace.purge, run=in_thread(retention.round))
    if manager.ping_every is not None:
        signs = SignsOfLife(
            supervisor=running.supervisor,
            periodic=periodic,
            committing=committing,
            send=manager.alive,
            journal=running.journal,
        )
        yield PeriodicTask(name="watchdog", seconds=manager.ping_every, run=signs.look)
