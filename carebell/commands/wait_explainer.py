"""Why a text that is due has not left yet, as far as what is stored tells: for a person who looks at the outbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from config.model import Environment
from scheduler.plan import reminder_due
from scheduler.quiet import is_quiet
from scheduler.sms import HoldScope, SmsKind
from store.holds import Breaker, Hold
from store.outbox_row import OutboxRow

_MINUTE = timedelta(minutes=1)


class Wait(StrEnum):
    """What a text waits for; stable."""

    SWITCHED_OFF = "switched_off"
    TIME = "time"
    QUIET_HOURS = "quiet_hours"
    HOLD = "hold"
    BREAKER = "breaker"
    RETRY = "retry"
    TURN = "turn"
    SERVICE = "service"
    NEXT_ROUND = "next_round"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Attributes:
    text: a phrase for people, with the clinic's time where one is known.
    """

    wait: Wait
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitExplainer:
    """What else is known at `now`.

    Attributes:
        dispatching: whether a node that sends has been seen lately; None: that cannot be told (a rehearsal's clock).
        clock: an instant as the clinic of an environment reads it.
    """

    now: datetime
    holds: Sequence[Hold]
    breakers: Sequence[Breaker]
    dispatching: bool | None
    clock: Callable[[datetime, str], str]

    def why(self, row: OutboxRow, environment: Environment | None) -> Waiting:
        """Why a row in state `due` waits. `environment`: its section of the configuration; None: there is none any more."""
        if environment is None or not environment.enabled:
            return Waiting(wait=Wait.SWITCHED_OFF, text="its environment is switched off")
        if row.due is not None and self.now < row.due:
            if _was_moved(row, row.due, environment):
                return Waiting(wait=Wait.QUIET_HOURS, text="waits for its time, which quiet hours have moved")
            return Waiting(wait=Wait.TIME, text="waits for its time")
        here = {
            (HoldScope.ALL, ""), (HoldScope.ENVIRONMENT, row.environment), (HoldScope.SENDER, environment.sms.sender),
        }  # fmt: skip
        for hold in self.holds:
            if (hold.scope, hold.name) in here:
                since = self.clock(hold.since, row.environment)
                return Waiting(wait=Wait.HOLD, text=f"held since {since}: {hold.reason}; `carebell release` ends it")
        for breaker in self.breakers:
            if (breaker.scope, breaker.name) in here:
                again = self.clock(max(breaker.probe_at, self.now), row.environment)
                return Waiting(
                    wait=Wait.BREAKER, text=f"the gateway refuses, code {breaker.code}; next attempt {again}"
                )
        return self._turn(row)

    def _turn(self, row: OutboxRow) -> Waiting:
        """Its time has come and nothing keeps it back."""
        if self.dispatching is False:
            return Waiting(wait=Wait.SERVICE, text="its time has come, but nothing sends: is the service running?")
        after = row.next_attempt_at
        if after is None or after <= self.now:
            return Waiting(wait=Wait.NEXT_ROUND, text="leaves in a moment")
        again = self.clock(after, row.environment)
        if row.attempts or row.code is not None:
            code = "" if row.code is None else f", code {row.code}"
            return Waiting(wait=Wait.RETRY, text=f"did not get through{code}; next attempt {again}")
        return Waiting(wait=Wait.TURN, text=f"its sender has others to send first; next attempt {again}")


def _was_moved(row: OutboxRow, due: datetime, environment: Environment) -> bool:
    """Whether the time by the rule lies in quiet hours: a reminder's is known; a confirmation's was soon after its message."""
    hours, zone = environment.sms.quiet_hours, ZoneInfo(environment.time_zone)
    if hours is None:
        return False
    if row.kind is not SmsKind.REMINDER:
        opens = is_quiet(due - _MINUTE, hours, zone) and not is_quiet(due, hours, zone)
        return opens and due - row.created_at > environment.sms.debounce + _MINUTE
    rule = next((each for each in environment.sms.reminders if each.rule == row.rule), None)
    if rule is None or row.start is None:
        return False
    own = reminder_due(rule, row.start, zone)
    return own != due and is_quiet(own, hours, zone)
