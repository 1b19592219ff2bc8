"""The alarms that only a running node knows: its tasks, its log, the signatures that it refuses, its clock, and its keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from carebell.maintenance.alarm_conditions import Condition, Free, free_bytes, of_host
from config.load import Loaded

SIGNATURE_SPAN: Final = timedelta(minutes=10)
GUESSING_SPAN: Final = timedelta(minutes=1)
MEETING_SPAN: Final = timedelta(minutes=10)
LOST_SPAN: Final = timedelta(hours=1)


@dataclass(slots=True)
class Growth:
    """How much a counter grew within a span of the machine's seconds."""

    span: timedelta
    _readings: deque[tuple[float, float]] = field(default_factory=deque, init=False)

    def measure(self, total: float, seconds: float) -> float:
        """The growth since the last reading that is at least `span` old, or since zero.

        Args:
            total: the counter now. seconds: a monotonic counter now.
        """
        readings = self._readings
        if not readings:
            readings.append((seconds, 0.0))
        readings.append((seconds, total))
        while len(readings) > 1 and readings[1][0] <= seconds - self.span.total_seconds():
            readings.popleft()
        return total - readings[0][1]


@dataclass(slots=True, kw_only=True)
class NodeAlarms:
    """The conditions of one node, and those of its machine's disks. Called once in each round, in a thread.

    Attributes:
        down: background tasks that wait to be started again -> restarts. stalled: periodic tasks without a good run -> seconds.
        signature_failures: environment -> messages refused because of their signature since the start.
        lost_lines: log lines that could not be written since the start. dropped_fields: fields left out.
        clock_differences: compared with -> seconds that this machine's clock is ahead.
        unreadable_days: days whose key is stored and does not open with this node's key file.
        seconds: a monotonic counter.
        unknown_links: join links that were opened since the start and lead to no visit.
        missing_meetings: times since the start that a video visit had no meeting.
    """

    loaded: Callable[[], Loaded]
    node: str
    host: str
    down: Callable[[], Mapping[str, int]]
    stalled: Callable[[], Mapping[str, float]]
    signature_failures: Callable[[], Mapping[str, float]]
    lost_lines: Callable[[], int]
    dropped_fields: Callable[[], int]
    clock_differences: Callable[[], Mapping[str, float]]
    unreadable_days: Callable[[], int]
    seconds: Callable[[], float]
    unknown_links: Callable[[], float] = lambda: 0.0
    missing_meetings: Callable[[], float] = lambda: 0.0
    free: Free = free_bytes
    _guessed: Growth = field(default_factory=lambda: Growth(GUESSING_SPAN), init=False)
    _missed: Growth = field(default_factory=lambda: Growth(MEETING_SPAN), init=False)
    _failed: dict[str, Growth] = field(default_factory=dict, init=False)
    _lost: Growth = field(default_factory=lambda: Growth(LOST_SPAN), init=False)

    def __call__(self) -> Iterator[Condition]:
        """Every alarm of this node that is due now."""
        loaded = self.loaded()
        yield from of_host(loaded, self.host, self.free)
        yield from self._tasks()
        yield from self._signatures(loaded)
        yield from self._guesses(loaded)
        yield from self._meetings(loaded)
        yield from self._log()
        yield from self._clock(loaded)
        yield from self._keys()

    def _tasks(self) -> Iterator[Condition]:
        for name, restarts in self.down().items():
            yield self._task(name, f"the task {name} ended and waits to be started again, after {restarts} restarts")
        for name, seconds in self.stalled().items():
            yield self._task(name, f"the task {name} had no good run for {round(seconds)} seconds", seconds)

    def _task(self, name: str, problem: str, value: float | None = None) -> Condition:
        return Condition(
            alarm="task_down", severity="critical", node=self.node, subject=name, problem=problem, value=value
        )

    def _signatures(self, loaded: Loaded) -> Iterator[Condition]:
        limit, seconds = loaded.configuration.alarms.signature_failures, self.seconds()
        for environment, total in self.signature_failures().items():
            growth = self._failed.setdefault(environment, Growth(SIGNATURE_SPAN))
            count = growth.measure(total, seconds)
            if limit is not None and count >= limit:
                where = environment or "a port of several environments"
                yield Condition(
                    alarm="signature_failures",
                    severity="warning",
                    node=self.node,
                    subject=environment,
                    environment=environment,
                    problem=f"{count:g} messages of {where} were refused within ten minutes because of their signature",
                    value=count,
                    limit=limit,
                )

    def _guesses(self, loaded: Loaded) -> Iterator[Condition]:
        limit = loaded.configuration.alarms.join_guessing
        count = self._guessed.measure(self.unknown_links(), self.seconds())
        if limit is not None and count >= limit:
            yield Condition(
                alarm="join_guessing",
                severity="warning",
                node=self.node,
                problem=f"{count:g} join links that lead to no visit were opened within a minute",
                value=count,
                limit=limit,
            )

    def _meetings(self, loaded: Loaded) -> Iterator[Condition]:
        limit = loaded.configuration.alarms.meetings_unavailable
        count = self._missed.measure(self.missing_meetings(), self.seconds())
        if limit is not None and count >= limit:
            yield Condition(
                alarm="meetings_unavailable",
                severity="critical",
                node=self.node,
                problem=f"{count:g} times within ten minutes a video visit had no meeting to go to",
                value=count,
                limit=limit,
            )

    def _log(self) -> Iterator[Condition]:
        lost = self._lost.measure(self.lost_lines(), self.seconds())
        if lost:
            yield Condition(
                alarm="log_incomplete",
                severity="warning",
                node=self.node,
                subject="lines",
                problem=f"{lost:g} lines of the log were lost in the last hour",
                value=lost,
            )
        dropped = self.dropped_fields()
        if dropped:
            yield Condition(
                alarm="log_incomplete",
                severity="warning",
                node=self.node,
                subject="fields",
                problem=f"{dropped} fields were left out of log lines",
                value=dropped,
            )

    def _clock(self, loaded: Loaded) -> Iterator[Condition]:
        limit = loaded.configuration.alarms.clock_off
        for compared, ahead in self.clock_differences().items():
            if limit is not None and abs(ahead) > limit.total_seconds():
                direction = "ahead of" if ahead > 0 else "behind"
                yield Condition(
                    alarm="clock_off",
                    severity="warning",
                    node=self.node,
                    subject=compared,
                    problem=f"this machine's clock is {abs(ahead):.0f} seconds {direction} that of the {compared}",
                    value=round(ahead, 1),
                    limit=limit.total_seconds(),
                )

    def _keys(self) -> Iterator[Condition]:
        count = self.unreadable_days()
        if count:
            yield Condition(
                alarm="number_unreadable",
                severity="critical",
                node=self.node,
                problem=f"the numbers of {count} days cannot be read with this key file: their texts wait, their messages get AE",
                value=count,
            )
