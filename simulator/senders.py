"""Opt-outs and sending rates of the simulated Twilio; both without a clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

STOP = frozenset(["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"])
START = frozenset(["START", "YES", "UNSTOP"])
HELP = frozenset(["HELP", "INFO"])
_TOLL_FREE = ("+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888")
LONGEST_QUEUE = timedelta(hours=4)
"""What a sender may hold back before Twilio refuses more (21611): four hours of its rate."""


class OptOutList:
    """Who has texted STOP to which sender or Messaging Service. Keywords are Twilio's default English ones, whole message."""

    def __init__(self) -> None:
        self._out: set[tuple[str, str]] = set()

    def hear(self, patient: str, scopes: tuple[str, ...], body: str) -> str | None:
        """Take an inbound text in. Returns OptOutType: STOP, START, HELP, or None for anything else."""
        word = body.strip().upper()
        if word in STOP:
            self._out |= {(scope, patient) for scope in scopes}
            return "STOP"
        if word in START:
            self._out -= {(scope, patient) for scope in scopes}
            return "START"
        return "HELP" if word in HELP else None

    def blocks(self, scope: str, patient: str) -> bool:
        return (scope, patient) in self._out


class SenderRates:
    """Each sender's queue, drained at its rate in segments a second: long code 1, toll-free 3, short code 100.

    `create_limit` bounds create requests of one sender in any one second (20429); None: no bound.
    """

    def __init__(self, segments_per_second: Mapping[str, float], create_limit: int | None) -> None:
        self._rates = segments_per_second
        self._limit = create_limit
        self._free_at: dict[str, datetime] = {}
        self._creates: dict[str, list[datetime]] = {}

    def too_fast(self, sender: str, now: datetime) -> bool:
        """Count one create request; True: it is over the limit, and not counted."""
        if self._limit is None:
            return False
        recent = [t for t in self._creates.get(sender, []) if now - t < timedelta(seconds=1)]
        refused = len(recent) >= self._limit
        self._creates[sender] = recent if refused else [*recent, now]
        return refused

    def wait(self, sender: str, now: datetime) -> timedelta:
        """How long a text accepted now waits for those before it."""
        return max(timedelta(0), self._free_at.get(sender, now) - now)

    def occupy(self, sender: str, segments: int, now: datetime) -> None:
        begins = now + self.wait(sender, now)
        self._free_at[sender] = begins + timedelta(seconds=segments / self._rate(sender))

    def _rate(self, sender: str) -> float:
        if sender in self._rates:
            return self._rates[sender]
        if not sender.startswith("+"):
            return 100.0
        return 3.0 if sender.startswith(_TOLL_FREE) else 1.0
