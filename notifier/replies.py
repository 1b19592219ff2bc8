"""A patient's reply, reduced to what it asks for. Its words are read and discarded, at the latest when they are understood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from notifier.intent import Intent
from parser.phone_number import PhoneNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The attributes of all replies.

    Attributes:
        phone: who wrote.
        senders: the senders that the patient wrote to, as `sms.from` may name them. An opt-out applies to all of them.
        message_id: the gateway's id of the inbound message, or None. A reply takes effect once for each id.
        classified: whether the gateway said what the reply asks for; False: Carebell decided by its words.
        written: its words, if they may answer a question (`notifier.reply_meaning`), else ""; in memory until they are understood.
    """

    phone: PhoneNumber
    senders: tuple[str, ...]
    message_id: str | None = None
    classified: bool = False
    written: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut(Reply):
    """Do not text this number any more (STOP).

    Attributes:
        in_words: the STOP was found among other words and may be wrong.
    """

    in_words: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OptIn(Reply):
    """Text this number again (START)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Help(Reply):
    """The patient asked for help; the gateway answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear(Reply):
    """Holds a STOP word and is not taken for a STOP: a person must look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Reply):
    """Anything else: it may answer what a text asked. Its words are not stored."""


Inbound = OptOut | OptIn | Help | Unclear | Other


def reply_of(
    intended: Intent,
    body: str,
    *,
    phone: PhoneNumber,
    senders: tuple[str, ...],
    message_id: str | None,
    classified: bool,
) -> Inbound:
    """The reply. Its words go with it only as far as they may answer a question: STOP, and what a gateway classified, do not."""
    is_open = intended in (Intent.OTHER, Intent.START) and not classified and len(body) <= LONGEST_ANSWER
    return REPLIES[intended](
        phone=phone,
        senders=senders,
        message_id=message_id,
        classified=classified,
        written=body if is_open else "",
    )


LONGEST_ANSWER: Final = 60
"""Characters of a message that can be a word."""
REPLIES: Final[dict[Intent, Callable[..., Inbound]]] = {
    Intent.STOP: OptOut,
    Intent.STOP_IN_WORDS: partial(OptOut, in_words=True),
    Intent.START: OptIn,
    Intent.HELP: Help,
    Intent.UNCLEAR: Unclear,
    Intent.OTHER: Other,
}
"""Intent -> the class of the reply, made from the attributes of `Reply`."""
