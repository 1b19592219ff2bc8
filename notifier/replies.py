"""A patient's text, reduced to what it asks for; its words are looked at and dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from notifier.intent import Intent
from parser.phone_number import PhoneNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What all replies have.

    Attributes:
        phone: who wrote.
        senders: what the patient wrote to, as `sms.from` may name it. An opt-out holds for all of them.
        message_id: the inbound message at the gateway, or None. A reply acts once for each.
        classified: whether the gateway itself said what it asks for; False: we did, by its words.
    """

    phone: PhoneNumber
    senders: tuple[str, ...]
    message_id: str | None = None
    classified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut(Reply):
    """Text this number no more (STOP).

    Attributes:
        in_words: we found it among other words, and may be wrong.
    """

    in_words: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OptIn(Reply):
    """Text this number again (START)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Help(Reply):
    """Asked who we are; the gateway answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear(Reply):
    """Holds a word of STOP and was not taken for a STOP: a person looks at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Reply):
    """Anything else: counted, not kept."""


Inbound = OptOut | OptIn | Help | Unclear | Other

REPLIES: Final[dict[Intent, Callable[..., Inbound]]] = {
    Intent.STOP: OptOut,
    Intent.STOP_IN_WORDS: partial(OptOut, in_words=True),
    Intent.START: OptIn,
    Intent.HELP: Help,
    Intent.UNCLEAR: Unclear,
    Intent.OTHER: Other,
}
"""Intent -> what makes the reply, from the attributes of `Reply`."""
