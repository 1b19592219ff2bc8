"""Which appointment a message is about: its key and its aliases (hl7.md, Key).

Source: HL7 v2.9 chapter 10, SCH-1 (placer appointment id), SCH-2 (filler appointment id), SCH-3 (occurrence number), SCH-23
and 24 (parents); chapter 3, PV1-19 (visit number). The rules of the file:

- An alias is `{MSH-3.1}|{MSH-4.1}|{kind}|{id}|{authority}`, so ids of two sending systems are always different. A `|` inside a
  part is written `\\F\\`.
- All ids that a message carries are aliases. Two messages are about one appointment if the strongest kind that both carry
  (filler, then placer, then visit) agrees; weaker kinds are then not compared (`scheduler.appointment.same_visit`). So a
  placer id that is the same for many (Epic's published example has SCH-1 = 1) merges nothing where filler ids differ.
- Parents (SCH-23, SCH-24) are not aliases: every child of a series carries them, and siblings must not be merged.
- If the children of a series share SCH-1 and SCH-2, the standard distinguishes them by SCH-3 ("used in conjunction with
  SCH-1 and/or SCH-2 to uniquely identify an individual occurrence"); its number is then added as the last part of their
  filler and placer aliases. A visit number names the patient's visit, not an occurrence, and is not changed.
- Order numbers (SCH-26, SCH-27) identify an order; they are shown as a hint and never used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from config.fieldmap import Identity
from parser.er7 import Message
from parser.evidence import Offer, Trace, choose, offered, showable, texts

_MOST: Final = 199  # as MSH-10; EI.1 has 16 characters up to 2.6, 199 in 2.7
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NO_ID: Final = "longer than an id can be, or has control characters"
_HINT: Final = "an order's number, not the appointment's"


class Ids(NamedTuple):
    """The message's ids of the appointment.

    Attributes:
        reference: the chosen id alone; "": none was given.
        aliases: the first is the key.
        unfit: the field of an unusable id (control characters, or longer than 199 characters).
    """

    reference: str
    aliases: tuple[str, ...]
    unfit: str | None = None


def feed_of(message: Message) -> str:
    """The first two parts of an alias: who sends."""
    return f"{_part(_text(message, 'MSH-3.1'))}|{_part(_text(message, 'MSH-4.1'))}"


def find_ids(
    message: Message,
    feed: str,
    identities: Sequence[Identity],
    occurrence: str | None,
    hints: Sequence[str],
    trace: Trace | None = None,
) -> Ids:
    """The appointment's ids.

    Args:
        feed: see `feed_of`.
    """
    number = "" if occurrence is None else _part(_text(message, occurrence))
    offers = [_offer(message, identity) for identity in identities]
    aliases = [
        _alias(message, feed, identity, offer.value, number)
        for identity, offer in zip(identities, offers, strict=True)
        if offer.value is not None and offer.why_not is None
    ]
    choice = choose(chain(offers, _hints(message, hints)), trace)
    winner = choice.winner
    if winner is None or winner.value is None:
        unfit = next((offer.field for offer in offers if offer.why_not is _NO_ID), None)
        ids = Ids("", (), unfit)
    else:
        ids = Ids(winner.value, tuple(dict.fromkeys(aliases)))
    if trace is not None:
        field = None if winner is None else winner.field
        trace.note("key", ids.reference or None, field, choice.candidates, note=_about(ids))
        trace.note("aliases", ", ".join(ids.aliases) or None, None)
    return ids


def _offer(message: Message, identity: Identity) -> Offer[str]:
    offer = offered(identity.id, message.get(identity.id))
    value = offer.value
    fit = value is None or (len(value) <= _MOST and (value.isprintable() or _UNFIT.search(value) is None))
    return offer if fit else offer._replace(why_not=_NO_ID)


def _hints(message: Message, hints: Sequence[str]) -> Iterator[Offer[str]]:
    for hint in texts(message, hints):
        yield hint if hint.why_not is not None else hint._replace(why_not=_HINT)


def _alias(message: Message, feed: str, identity: Identity, given: str, number: str) -> str:
    authority = "" if identity.authority is None else _text(message, identity.authority)
    alias = f"{feed}|{identity.kind}|{_part(given)}|{_part(authority)}"
    return f"{alias}|{number}" if number and identity.kind != "visit" else alias


def _about(ids: Ids) -> str | None:
    """Kind, authority and occurrence of the key, from its alias."""
    if not ids.aliases:
        return None
    _, _, kind, _, authority, *number = ids.aliases[0].split("|")
    parts = [f"{kind} id", f"authority {showable(authority, 40)}" if authority else ""]
    parts += [f"occurrence {showable(occurrence, 10)} of a series" for occurrence in number]
    return ", ".join(part for part in parts if part)


def _text(message: Message, path: str) -> str:
    value = message.get(path)
    return value.strip() if isinstance(value, str) else ""


def _part(text: str) -> str:
    """A part of an alias: at most 199 characters, without the separator."""
    return text[:_MOST].replace("|", "\\F\\") if "|" in text else text[:_MOST]
