"""Limit the log lines that peers can cause: a few are written, the others are counted, and the count is logged.

The key of a line is (event, reason, source, certificate). A round is the time between two calls of `finish_round`. In a round each
key gets its first line and perhaps a few more; there is also a limit for each source and for all sources together. At the end of
the round a `refusals_repeated` line for each of the most frequent keys, and one line for the rest, say how many were not written.
Metrics count every refusal.

Memory is limited: a round stores a limited number of keys and sources and counts all others in one number.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from journal.events import ENTRIES, Event, name_of
from journal.events.messages import RefusalsRepeated
from journal.logs import Journal

ROUND_SECONDS: Final = 30.0
"""The count of unwritten lines is logged within this time."""
LINES_OF_SOURCE: Final = 20
LINES_OF_ALL: Final = 200
KEYS_OF_SOURCE: Final = 32
KEYS: Final = 2048
SUMMARIES: Final = 20


@dataclass(slots=True)
class _Repeated:
    """The lines of one key in this round.

    Attributes:
        event: that of its first line.
    """

    event: Event
    reason: str
    source: str
    certificate: str | None
    level: int
    written: int = 0
    held_back: int = 0


@dataclass(slots=True)
class RepeatLimiter:
    """Writes events that peers cause. Used only on the event loop's thread.

    Attributes:
        processes: how many processes of the service have a limiter; the limit of lines for all sources is divided by it.
    """

    journal: Journal
    processes: int = 1
    _keys: dict[tuple[type[Event], str, str, str], _Repeated] = field(default_factory=dict, init=False)
    _keys_of_source: Counter[str] = field(default_factory=Counter, init=False)
    _lines_of_source: Counter[str] = field(default_factory=Counter, init=False)
    _lines: int = field(default=0, init=False)
    _others: int = field(default=0, init=False)  # above the limit of keys

    def emit(
        self,
        event: Event,
        *,
        reason: str,
        source: str,
        certificate: str | None = None,
        lines: int = 1,
    ) -> None:
        """Log `event`, or count it.

        Args:
            reason: its stable word.
            source: the source for the limits, see `listener.incidents.Peer.source`; "": none.
            certificate: the thumbprint that came with it, verified or not.
            lines: how many are written for one key in a round.
        """
        key = (type(event), reason, source, certificate or "")
        repeated = self._keys.get(key)
        if repeated is None:
            level = ENTRIES[type(event)].level
            if len(self._keys) >= KEYS or self._keys_of_source[source] >= KEYS_OF_SOURCE:
                self._others += level >= logging.INFO
                return
            repeated = self._keys[key] = _Repeated(event, reason, source, certificate, level)
            self._keys_of_source[source] += 1
        first = not repeated.written
        all_lines = LINES_OF_ALL // self.processes
        room = all_lines if first else all_lines // 2  # repeated lines leave room for new ones
        if (
            first or (repeated.written < lines and self._lines_of_source[source] < LINES_OF_SOURCE)
        ) and self._lines < room:
            repeated.written += 1
            self._lines_of_source[source] += 1
            self._lines += 1
            self.journal.emit(event)
        else:
            repeated.held_back += 1

    def finish_round(self) -> None:
        """Log the counts of unwritten lines, and begin a new round."""
        held = [repeated for repeated in self._keys.values() if repeated.held_back and repeated.level >= logging.INFO]
        held.sort(key=lambda repeated: repeated.held_back, reverse=True)
        others = self._others + sum(repeated.held_back for repeated in held[SUMMARIES:])
        for counter in (self._keys, self._keys_of_source, self._lines_of_source):
            counter.clear()
        self._lines = self._others = 0
        for repeated in held[:SUMMARIES]:
            self.journal.emit(_summary(repeated))
        if others:
            self.journal.emit(RefusalsRepeated(repeats=others))


def _summary(repeated: _Repeated) -> RefusalsRepeated:
    """The summary of a key: the fields of its first line, as far as that event has them."""
    event = repeated.event
    return RefusalsRepeated(
        of=name_of(type(event)),
        peer=getattr(event, "peer", None) or repeated.source or None,
        listener=getattr(event, "listener", None),
        environment=getattr(event, "environment", None),
        reason=repeated.reason,
        code=getattr(event, "code", None),
        thumbprint=repeated.certificate,
        path=getattr(event, "path", None),
        repeats=repeated.held_back,
    )
