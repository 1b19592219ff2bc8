"""The outcome of a text, by its recipient: the script of the simulated carriers, and the resulting timeline; pure.

When a message is accepted, its whole timeline is known: a list of `StatusStep`s with their times. Its status at any time, and
the times of its webhooks, follow from that list, so any clock may be used: real, accelerated or set by hand.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

FINAL = frozenset({"delivered", "undelivered", "failed", "canceled", "received", "read"})


class CallbackMode(enum.Enum):
    """How a message's status callbacks reach us."""

    ON_TIME = "on_time"
    LATE = "late"  # all of them `late` after their time
    DOUBLED = "doubled"
    REORDERED = "reordered"  # the last first
    DROPPED = "dropped"
    BEFORE_RESPONSE = "before_response"  # all of them before the create request is answered


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedOutcome:
    """The outcome of the texts to one number.

    Attributes:
        refuse: Twilio error code with which the create request is refused; None: accepted.
        final: delivered, undelivered, failed, or sent for a text that is never heard of again.
        error_code: of undelivered and failed.
        sent_after: from acceptance to `sent`, waiting for the sender's rate aside. final_after: from there to the end.
        callbacks, late: see `CallbackMode`; None takes the simulator's own.
    """

    refuse: int | None = None
    final: str = "delivered"
    error_code: int | None = None
    sent_after: timedelta = timedelta(seconds=0.2)
    final_after: timedelta = timedelta(seconds=1)
    callbacks: CallbackMode | None = None
    late: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusStep:
    """From `at` on the message has this status."""

    at: datetime
    status: str
    error_code: int | None = None


def timeline(
    outcome: SimulatedOutcome, *, accepted: datetime, wait: timedelta, valid_for: timedelta, service: bool
) -> tuple[StatusStep, ...]:
    """The timeline of a message's statuses. `wait`: for its sender's rate; past `valid_for` the text fails with 30036, unsent."""
    steps = [StatusStep(at=accepted, status="accepted" if service else "queued")]
    queued = accepted
    if service:
        queued = accepted + outcome.sent_after / 4
        steps.append(StatusStep(at=queued, status="queued"))
    if wait > valid_for:
        return (*steps, StatusStep(at=accepted + valid_for, status="failed", error_code=30036))
    leaves = accepted + wait + outcome.sent_after
    if outcome.final == "failed":
        return (*steps, StatusStep(at=leaves, status="failed", error_code=outcome.error_code))
    steps.append(StatusStep(at=max(queued, leaves - outcome.sent_after / 4), status="sending"))
    steps.append(StatusStep(at=leaves, status="sent"))
    if outcome.final != "sent":
        steps.append(StatusStep(at=leaves + outcome.final_after, status=outcome.final, error_code=outcome.error_code))
    return tuple(steps)


def at_once(steps: Sequence[StatusStep]) -> tuple[StatusStep, ...]:
    """The same timeline without waiting: the first step's instant, each next one a microsecond later."""
    begins = steps[0].at
    return tuple(
        StatusStep(at=begins + timedelta(microseconds=i), status=step.status, error_code=step.error_code)
        for i, step in enumerate(steps)
    )


def callbacks(steps: Sequence[StatusStep], mode: CallbackMode, late: timedelta) -> tuple[StatusStep, ...]:
    """Which status is told when. The initial status is never told, nor is `sending`: the create answer says the one, and
    Twilio does not announce the other."""
    announced = [step for step in steps[1:] if step.status != "sending"]
    match mode:
        case CallbackMode.DROPPED:
            return ()
        case CallbackMode.LATE:
            return tuple(StatusStep(at=s.at + late, status=s.status, error_code=s.error_code) for s in announced)
        case CallbackMode.DOUBLED:
            return tuple(step for step in announced for _ in range(2))
        case CallbackMode.REORDERED:
            end = max((step.at for step in announced), default=steps[0].at)
            return tuple(StatusStep(at=end, status=s.status, error_code=s.error_code) for s in reversed(announced))
        case CallbackMode.ON_TIME | CallbackMode.BEFORE_RESPONSE:
            return tuple(announced)


def read_outcome(given: Mapping[str, object]) -> SimulatedOutcome:
    """An outcome from JSON: `{"refuse", "final", "error_code", "sent_after", "final_after", "callbacks", "late"}`, durations
    in seconds. ValueError says what is wrong."""
    plain = SimulatedOutcome()
    known = {"refuse", "final", "error_code", "sent_after", "final_after", "callbacks", "late"}
    if unknown := set(given) - known:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r}; known: {', '.join(sorted(known))}")
    final = given.get("final", plain.final)
    if final not in ("delivered", "undelivered", "failed", "sent"):
        raise ValueError("final must be delivered, undelivered, failed or sent")
    mode = given.get("callbacks")
    return SimulatedOutcome(
        refuse=_code(given.get("refuse")),
        final=str(final),
        error_code=_code(given.get("error_code")),
        sent_after=_seconds(given.get("sent_after"), plain.sent_after),
        final_after=_seconds(given.get("final_after"), plain.final_after),
        callbacks=None if mode is None else CallbackMode(mode),
        late=_seconds(given.get("late"), plain.late),
    )


def _code(value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError("an error code is a whole number")


def _seconds(value: object, otherwise: timedelta) -> timedelta:
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError("a duration is a number of seconds, 0 or more")
    return timedelta(seconds=value)
