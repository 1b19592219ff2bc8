"""Texts: one line for each step."""

import logging
from datetime import datetime
from typing import Literal

from journal.events.base import Event, event
from journal.events.shared import SmsIdentity
from scheduler.sms import Cap, Reason, SmsState

SilenceSource = Literal["message", "configuration", "invalid_number", "given_back", "claim", "gateway"]


@event(logging.INFO, "Nothing to do. `sms_status` says whether it arrived.")
class SmsSent(Event):
    """The gateway accepted a text."""

    identity: SmsIdentity
    to: str
    segments: int | None
    attempt: int
    sid: str
    state: SmsState
    due: datetime | None
    late_seconds: float
    milliseconds: float
    sender: str | None


@event(logging.INFO, "Nothing to do. docs/reference explains each reason.")
class SmsSuppressed(Event):
    """A text will not be sent, for the given reason. `source` says when that was decided: when a message was planned (`message`),
    after a change of the configuration (`configuration`), when the number proved unusable (`invalid_number`), when an unsent text
    was planned again (`given_back`), at its time (`claim`), or by the gateway's answer (`gateway`). If the reason is `cap`, `cap`
    names the one of `sms.caps`."""

    identity: SmsIdentity
    revision: int
    reason: Reason
    due: datetime | None
    source: SilenceSource
    cap: Cap | None


@event(logging.INFO)
class ReminderReplanned(Event):
    """A reminder that was `too_close` to a confirmation is planned again, because that confirmation did not reach the patient."""

    identity: SmsIdentity
    revision: int
    due: datetime | None


@event(
    logging.WARNING,
    "Look `code` up in docs/reference. A wrong number is corrected in the hospital's own system.",
)
class SmsFailed(Event):
    """A text will not reach the patient; it is not tried again."""

    identity: SmsIdentity
    to: str | None
    code: int | None
    state: SmsState
    attempt: int
    sid: str | None


@event(
    logging.CRITICAL,
    "Put the right key file in place (`storage.key_file`): one restored from a backup may lack the newest key. Texts wait for it. "
    "A database from before a rotation: `carebell keys drop-unreadable`.",
)
class NumberUnreadable(Event):
    """The present keys cannot decrypt stored numbers (`count` texts; `appointment` is that of the first). Other texts are sent."""

    environment: str
    appointment: str
    count: int
    next_at: datetime | None


@event(
    logging.INFO,
    "Once: nothing. Often: look at the gateway's status page and at the sender's rate.",
)
class SmsRetry(Event):
    """The gateway could not take a text now; it is tried again at `next_at`."""

    identity: SmsIdentity
    code: int | None
    reason: str | None
    attempt: int
    next_at: datetime | None


@event(
    logging.ERROR,
    "Nothing at first: it is looked up at the gateway. If it stays unknown, look at the gateway's own log.",
)
class SmsUnknown(Event):
    """It is not known whether the gateway took a text; it is not sent again without a lookup."""

    identity: SmsIdentity
    to: str | None = None
    reason: str | None
    attempt: int


@event(logging.INFO)
class SmsResolved(Event):
    """The gateway was asked about an unknown text: the text is in its list (`gateway_list`), or it is not in the list and is sent
    once more (`not_in_gateway_list`)."""

    identity: SmsIdentity
    state: SmsState
    sid: str | None
    source: Literal["gateway_list", "not_in_gateway_list"]
    seconds: float | None


@event(logging.INFO, "Nothing to do; `undelivered` and `failed` have a `code` to look up.")
class SmsStatus(Event):
    """The gateway reported a text's status."""

    identity: SmsIdentity
    sid: str | None
    state: SmsState
    code: int | None
    source: Literal["gateway"]
