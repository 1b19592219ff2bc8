"""Holds and breakers, patients' replies, and the HTTP port."""

import logging
from datetime import datetime
from typing import Literal

from journal.events.base import Event, event
from journal.events.shared import OptOutSource
from scheduler.reply import ReplyKind
from scheduler.sms import BreakerScope


@event(
    logging.CRITICAL,
    "Resolve what `code` names at the gateway (token, account, number). Sending resumes by itself.",
)
class BreakerOpened(Event):
    """An account or sender problem stopped sending; texts wait."""

    scope: BreakerScope
    environment: str
    sender: str | None
    code: int | None


@event(logging.INFO)
class BreakerClosed(Event):
    """Sending resumed."""

    scope: BreakerScope
    environment: str
    sender: str | None
    seconds: float


@event(
    logging.WARNING,
    "Look for the cause: network, DNS, firewall, proxy, the gateway's status page. Texts are tried again automatically as long as "
    "they are useful; `carebell status` shows how many wait.",
)
class GatewayUnreachable(Event):
    """The gateway does not answer: `failures` texts in a row since its last answer. It is logged again each hour."""

    reason: str | None
    failures: int
    overdue: int
    retrying: int
    late_seconds: float
    answered_at: datetime | None


@event(logging.INFO)
class GatewayReachable(Event):
    """The gateway answers again, after `seconds`; overdue texts are sent now."""

    seconds: float
    overdue: int


@event(logging.WARNING, "Look at `carebell outbox`, then run `carebell release` or let the texts expire.")
class HoldStarted(Event):
    """Texts wait for a person: the texts of `environment`, or of all environments if there is none."""

    environment: str | None
    reason: str
    source: Literal["command", "portal", "approval", "restore"]
    actor: str | None


@event(logging.INFO)
class HoldReleased(Event):
    """Texts are sent again: the texts of `environment`, or of all environments if there is none."""

    environment: str | None
    source: Literal["command", "portal", "approval"]
    actor: str


@event(logging.INFO)
class OptOutRecorded(Event):
    """A number asked for no more texts from this sender."""

    environment: str | None = None
    sender: str
    to: str | None
    source: OptOutSource


@event(logging.INFO)
class OptOutRestored(Event):
    """A number asked for texts from this sender again."""

    sender: str
    to: str | None
    source: OptOutSource


@event(
    logging.WARNING,
    "Once, soon after the first: the gateway repeated it. Later: somebody replays a captured call; change the token.",
)
class ReplyRepeated(Event):
    """A patient's reply that was handled before came again, the same message; it changed nothing."""

    sender: str
    to: str
    source: Literal["webhook"]


@event(
    logging.WARNING,
    "Read it at the gateway by its `sid`. If the patient wants no more texts, record it with `carebell optout add`.",
)
class ReplyUnclear(Event):
    """A patient's reply holds a STOP word among others and was not taken for a STOP; the reply itself is not stored."""

    sender: str
    to: str
    sid: str | None
    source: Literal["webhook"]


@event(logging.INFO)
class PatientReplied(Event):
    """A patient answered a text that asked, and it was recorded; the words themselves are not stored."""

    environment: str
    appointment: str
    reply: ReplyKind
    sms: str | None
    to: str
    source: Literal["webhook"]


@event(logging.INFO)
class ReplyNotUnderstood(Event):
    """A patient's text changed nothing: it is no word that was asked for (`no_word`), nothing is open that it could answer
    (`no_question`), it does not say which of several visits it means (`which_visit`), the visit has another time by now (`moved`),
    or the gateway gave it no id (`no_id`). The text itself is not stored."""

    environment: str | None
    appointment: str | None
    reply: ReplyKind
    reason: str
    sender: str
    to: str
    source: Literal["webhook"]


@event(
    logging.WARNING,
    "After a change of token or address check the gateway's `public_url` and its file of tokens; otherwise a stranger called.",
)
class WebhookRefused(Event):
    """A callback was not from the gateway, or could not be proven to be; nothing was changed."""

    path: str
    reason: str
    peer: str | None


@event(
    logging.WARNING,
    "Once: nothing. Often: let only the reverse proxy reach the port, and find out what `peer` is.",
)
class HttpClosed(Event):
    """A connection to the HTTP port was closed without an answer: TLS on the plain port (`tls`), no HTTP (`not_http`), a
    request that did not end (`too_slow`) or whose end could be read in two ways (`ambiguous`), an answer that was not read
    (`unread`), or one of too many connections (`crowded_out`, `too_many`)."""

    peer: str | None
    reason: str
