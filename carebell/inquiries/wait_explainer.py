"""Why a due text has not been sent yet, as far as the stored data says: for a person who looks at the outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from carebell.outbound.send_policy import cap_reached
from config.model import Caps, Environment
from journal.lines import plain
from notifier.gateways import failure_of
from scheduler.plan import reminder_due, whole_minute
from scheduler.quiet_hours import is_quiet
from scheduler.sms import Cap, SmsKind
from store.claims import DAY, WEEK
from store.holds import Breaker, Hold, scopes_of
from store.outbox_row import OutboxRow

_MINUTE = timedelta(minutes=1)


class Wait(StrEnum):
    """What a text waits for, or why it will not go when its time comes; stable."""

    SWITCHED_OFF = "switched_off"
    OPTED_OUT = "opted_out"
    CAP = "cap"
    EXPIRED = "expired"
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
    text: a phrase for people, with the clinic's time if there is one.
    """

    wait: Wait
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitExplainer:
    """What the database says at `now`, besides the row itself.

    Attributes:
        dispatching: whether a node that sends had a heartbeat lately; None: unknown (a rehearsal's clock).
        clock: writes an instant in the zone of an environment's clinic.
        opted_out: (phone key, sender) -> since when this number wants no texts of this sender, UTC.
        taken: phone key -> when its texts of the last days were claimed, UTC (`store.claims.taken_texts`).
    """

    now: datetime
    holds: Sequence[Hold]
    breakers: Sequence[Breaker]
    dispatching: bool | None
    clock: Callable[[datetime, str], str]
    opted_out: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    taken: Mapping[str, Sequence[datetime]] = field(default_factory=dict)

    def why(self, row: OutboxRow, environment: Environment | None, phone_key: str | None = None) -> Waiting:
        """Why a row in state `due` waits, or will not go.

        Args:
            environment: its section of the configuration; None: there is none any more.
            phone_key: of the number that the text goes to; None: unknown.
        """
        if environment is None or not environment.enabled:
            return Waiting(wait=Wait.SWITCHED_OFF, text="its environment is switched off")
        if row.expires is not None and self.now > row.expires:
            until = self.clock(row.expires, row.environment)
            return Waiting(wait=Wait.EXPIRED, text=f"will not go: it could not be sent in time, until {until}")
        stopped = self._stopped(row, environment, phone_key) or self._held(row, environment)
        if stopped is not None:
            return stopped
        if row.due is not None and self.now < row.due:
            if moved_from(row, environment) is not None:
                return Waiting(wait=Wait.QUIET_HOURS, text="waits for its time, which was moved because of quiet hours")
            return Waiting(wait=Wait.TIME, text="waits for its time")
        scopes = scopes_of(row.environment, environment.sms.sender)
        for breaker in self.breakers:
            if (breaker.scope, breaker.name) in scopes:
                again = self.clock(max(breaker.probe_at, self.now), row.environment)
                return Waiting(
                    wait=Wait.BREAKER, text=f"the gateway refuses, code {numbered(breaker.code)}; next attempt {again}"
                )
        return self._turn(row)

    def _stopped(self, row: OutboxRow, environment: Environment, phone_key: str | None) -> Waiting | None:
        """What will keep a text from leaving when its time comes, by what is known of its number now."""
        if phone_key is None:
            return None
        since = self.opted_out.get((phone_key, environment.sms.sender))
        if since is not None:
            day = self.clock(since, row.environment)
            return Waiting(wait=Wait.OPTED_OUT, text=f"will not go: its number has opted out since {day}")
        cap = self.cap_at(row, environment, phone_key, self.earliest(row))
        return Waiting(wait=Wait.CAP, text=f"will not go: {cap_text(cap, environment.sms.caps)}") if cap else None

    def earliest(self, row: OutboxRow) -> datetime:
        """When a text that is due could go, UTC."""
        return max(row.due or self.now, self.now)

    def cap_at(self, row: OutboxRow, environment: Environment, phone_key: str, at: datetime) -> Cap | None:
        """Which cap the text's number has reached at an instant, by the texts that are known."""
        texts = [taken for taken in self.taken.get(phone_key, ()) if taken <= at]
        day, week = (sum(taken > at - span for taken in texts) for span in (DAY, WEEK))
        return cap_reached(row.kind, environment.sms.caps, day, week)

    def _held(self, row: OutboxRow, environment: Environment) -> Waiting | None:
        scopes = scopes_of(row.environment, environment.sms.sender)
        hold = next((hold for hold in self.holds if (hold.scope, hold.name) in scopes), None)
        if hold is None:
            return None
        since = self.clock(hold.since, row.environment)
        return Waiting(
            wait=Wait.HOLD, text=f"waits: on hold since {since} ({plain(hold.reason)}); `carebell release` ends it"
        )

    def _turn(self, row: OutboxRow) -> Waiting:
        """Why a row waits whose time has come and that nothing holds."""
        if self.dispatching is False:
            return Waiting(wait=Wait.SERVICE, text="its time has come, but nothing sends: is the service running?")
        after = row.next_attempt_at
        if after is None or after <= self.now:
            return Waiting(wait=Wait.NEXT_ROUND, text="will be sent in a moment")
        again = self.clock(after, row.environment)
        if row.attempts or row.code is not None:
            code = "" if row.code is None else f", code {numbered(row.code)}"
            return Waiting(wait=Wait.RETRY, text=f"the last attempt failed{code}; next attempt {again}")
        return Waiting(wait=Wait.TURN, text=f"its sender has others to send first; next attempt {again}")


def numbered(code: int) -> str:
    """A gateway's code with its words: `CODE: the handset cannot be reached: off, or out of coverage`."""
    return f"{code}: {failure_of(code).meaning}"


def cap_text(cap: Cap, caps: Caps) -> str:
    """Why no more may go: `its number has had its 3 texts in 24 hours (sms.caps.per_day)`."""
    limit, span = (caps.per_day, "24 hours") if cap is Cap.PER_DAY else (caps.per_week, "7 days")
    return f"its number has had its {limit} text{'' if limit == 1 else 's'} in {span} (sms.caps.{cap})"


def moved_from(row: OutboxRow, environment: Environment) -> datetime | None:
    """The rule's own time, in quiet hours, from which a text was moved; None: it was not moved for that.

    A reminder's own time is known; a confirmation's was soon after its message.
    """
    hours, zone, due = environment.sms.quiet_hours, ZoneInfo(environment.time_zone), row.due
    if hours is None or due is None:
        return None
    if row.kind is SmsKind.ANSWER:
        return None
    if row.kind is not SmsKind.REMINDER:
        opens = is_quiet(due - _MINUTE, hours, zone) and not is_quiet(due, hours, zone)
        own = whole_minute(row.created_at + environment.sms.debounce)
        return own if opens and due - own > _MINUTE else None
    rule = next((reminder for reminder in environment.sms.reminders if reminder.rule == row.rule), None)
    if rule is None or row.start is None:
        return None
    own = reminder_due(rule, row.start, zone)
    return own if own != due and is_quiet(own, hours, zone) else None
