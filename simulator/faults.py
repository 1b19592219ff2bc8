"""Decide which request to the simulated Twilio fails, and how; without a clock or a socket.

A fault hits create requests (`POST .../Messages.json`) alone unless the plan says `every`: those are the ones that must
never be repeated blindly. It is chosen, in this order, by the recipient's own list, by the request's number, or by a
seeded draw; the same plan and the same requests give the same faults.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class ScriptedFault(enum.Enum):
    """What happens, as a client sees it. Those in `ACCEPTS` create the message nevertheless."""

    RESET_BEFORE = "reset_before"  # connection reset before the request was looked at
    ERROR_500_BEFORE = "error_500_before"  # 500, nothing created
    TOO_MANY_REQUESTS = "too_many_requests"  # 429 with code 20429
    UNAVAILABLE = "unavailable"  # 503 with code 20503
    SLOW = "slow"  # accepted, answered late
    ACCEPT_THEN_TIMEOUT = "accept_then_timeout"  # accepted, never answered
    ACCEPT_THEN_RESET = "accept_then_reset"  # accepted, connection reset instead of an answer
    ERROR_500_AFTER = "error_500_after"  # accepted, 500
    HALF_RESPONSE = "half_response"  # accepted, the answer breaks off in its body


ACCEPTS = frozenset(
    {
        ScriptedFault.SLOW,
        ScriptedFault.ACCEPT_THEN_TIMEOUT,
        ScriptedFault.ACCEPT_THEN_RESET,
        ScriptedFault.ERROR_500_AFTER,
        ScriptedFault.HALF_RESPONSE,
    }
)


@dataclass(slots=True, kw_only=True)
class FaultPlan:
    """The script of faults; consumed as requests come in.

    Attributes:
        by_request: create request number (1 is the first) -> fault.
        by_recipient: E.164 -> faults of that number's next requests, in order; None in the list: this one goes well.
        rates: fault -> share of the remaining requests, 0 to 1, their sum at most 1.
        seed: of the draw.
        every: reads, deletions and number commands fail by `rates` too.
        slow_seconds: delay of SLOW, real time. hold_seconds: how long ACCEPT_THEN_TIMEOUT keeps the connection open.
    """

    by_request: Mapping[int, ScriptedFault] = field(default_factory=dict)
    by_recipient: Mapping[str, Sequence[ScriptedFault | None]] = field(default_factory=dict, repr=False)
    rates: Mapping[ScriptedFault, float] = field(default_factory=dict)
    seed: int = 0
    every: bool = False
    slow_seconds: float = 1.0
    hold_seconds: float = 60.0
    _draw: random.Random = field(init=False, repr=False)
    _queues: dict[str, list[ScriptedFault | None]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if any(share < 0 for share in self.rates.values()) or sum(self.rates.values()) > 1:
            raise ValueError("fault rates must lie between 0 and 1 and add up to at most 1")
        self._draw = random.Random(self.seed)
        self._queues = {number: list(faults) for number, faults in self.by_recipient.items()}

    def next_create(self, number: int, to: str) -> ScriptedFault | None:
        """The fault of create request `number` to recipient `to`, or None."""
        queue = self._queues.get(to)
        if queue:
            return queue.pop(0)
        return self.by_request.get(number) or self._drawn()

    def next_other(self) -> ScriptedFault | None:
        """The fault of any other API request."""
        return self._drawn() if self.every else None

    def _drawn(self) -> ScriptedFault | None:
        if not self.rates:
            return None
        ticket = self._draw.random()
        for fault, share in self.rates.items():
            if ticket < share:
                return fault
            ticket -= share
        return None


def read_plan(given: Mapping[str, object]) -> FaultPlan:
    """A plan from JSON: `{"by_request": {"3": "half_response"}, "by_recipient": {"+1...": ["slow", null]}, "rates":
    {"slow": 0.1}, "seed": 7, "every": false, "slow_seconds": 1, "hold_seconds": 60}`. ValueError says what is wrong."""
    known = {"by_request", "by_recipient", "rates", "seed", "every", "slow_seconds", "hold_seconds"}
    if unknown := set(given) - known:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r}; known: {', '.join(sorted(known))}")
    by_recipient: dict[str, Sequence[ScriptedFault | None]] = {}
    for to, faults in _mapping(given, "by_recipient").items():
        if not isinstance(faults, list):
            raise ValueError("by_recipient needs a list of faults for each number")
        by_recipient[to] = [None if name is None else ScriptedFault(name) for name in faults]
    return FaultPlan(
        by_request={int(number): ScriptedFault(name) for number, name in _mapping(given, "by_request").items()},
        by_recipient=by_recipient,
        rates={ScriptedFault(name): _number(share) for name, share in _mapping(given, "rates").items()},
        seed=int(_number(given.get("seed", 0))),
        every=given.get("every", False) is True,
        slow_seconds=_number(given.get("slow_seconds", 1.0)),
        hold_seconds=_number(given.get("hold_seconds", 60.0)),
    )


def _mapping(given: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = given.get(key, {})
    if not isinstance(value, Mapping):
        raise ValueError(f"{key} must be an object")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number was expected")
    return float(value)
