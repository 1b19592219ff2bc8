"""How far this machine's clock is from other clocks that it sees anyway: no time server is asked.

- `gateway`: the Date header of each of its answers (RFC 9110, section 6.6.1), to the second.
- `database server`: PostgreSQL's clock; SQLite has none.
- `senders`: a message cannot arrive before it was sent. If the messages of every sender of the last minutes were sent after they
  arrived (MSH-7), this clock is behind, or all of theirs are ahead. The other direction says nothing: messages may have waited.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

SPAN: Final = 600.0
"""Seconds for which messages are compared together; a reading is used for up to twice as long."""
FEWEST: Final = 3
"""Messages of a sender in that time, before it counts."""
_ROUNDED: Final = timedelta(seconds=0.5)
"""A Date header is cut to its second: on average it is half a second early."""


@dataclass(slots=True)
class _Delays:
    """The least delay between sending and arrival, and of how many messages."""

    count: int = 0
    least: timedelta = timedelta.max


@dataclass(slots=True, kw_only=True)
class ClockDifferences:
    """The differences of one node. Safe to use from any thread.

    Attributes:
        now: this machine's clock. seconds: its monotonic counter.
        database_time: the database server's clock; None: it has none.
        is_real: False: a rehearsal's clock, which is compared with nothing.
    """

    now: Callable[[], datetime]
    seconds: Callable[[], float]
    database_time: Callable[[], datetime | None]
    is_real: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _gateway: tuple[float, float] | None = field(default=None, init=False)  # the counter, and seconds ahead
    _senders: dict[str, _Delays] = field(default_factory=dict, init=False)
    _before: dict[str, _Delays] = field(default_factory=dict, init=False)
    _since: float | None = field(default=None, init=False)

    def gateway_answered(self, date: str | None) -> None:
        """An answer of the gateway came now, with this Date header; one that is not a date is ignored."""
        try:
            written = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if written.tzinfo is None:
            written = written.replace(tzinfo=UTC)
        ahead = (self.now() - written - _ROUNDED).total_seconds()
        with self._lock:
            self._gateway = (self.seconds(), ahead)

    def message_arrived(self, environment: str, delay: timedelta) -> None:
        """A message of this sender arrived so long after it was sent; negative: before."""
        sender = self._senders.get(environment)
        if sender is None:
            sender = self._senders[environment] = _Delays()
        sender.count += 1
        if delay < sender.least:
            sender.least = delay

    def messages_arrived(self, environment: str, count: int, least: timedelta) -> None:
        """As many messages of this sender arrived at another process, the fastest so long after it was sent."""
        sender = self._senders.setdefault(environment, _Delays())
        sender.count += count
        sender.least = min(sender.least, least)

    def __call__(self) -> dict[str, float]:
        """Compared with -> seconds that this machine's clock is ahead; negative: behind. Blocking: may ask the database."""
        if not self.is_real:
            return {}
        differences = {}
        counted = self.seconds()
        with self._lock:
            gateway = self._gateway
        if gateway is not None and counted - gateway[0] <= 2 * SPAN:
            differences["gateway"] = gateway[1]
        before = self.now()
        server = self.database_time()
        if server is not None:
            asked = before + (self.now() - before) / 2
            differences["database server"] = (asked - server).total_seconds()
        senders = self._compare_senders(counted)
        if senders is not None:
            differences["senders"] = senders
        return differences

    def _compare_senders(self, counted: float) -> float | None:
        if self._since is None:
            self._since = counted
        elif counted - self._since >= SPAN:
            self._before, self._senders, self._since = self._senders, {}, counted
        leasts = []
        for environment in {*self._before, *self._senders}:
            readings = [senders[environment] for senders in (self._before, self._senders) if environment in senders]
            if sum(reading.count for reading in readings) >= FEWEST:
                leasts.append(min(reading.least for reading in readings))
        if not leasts or max(leasts) >= timedelta():
            return None
        return max(leasts).total_seconds()
