"""The values of a visit that texts may show: facility, location, provider, join link, visit mode, and the name if a text uses it;
and the id of its group, which no text shows.

Values come from a hospital's free text and are sent to a telephone. Each becomes one short line without control, format or
direction characters. A link is used only if it is https to a host that the configuration allows. `notifier` cleans values
again for its own purposes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from config.fieldmap import folded
from parser.er7 import Field, Message, Place
from parser.escapes import unescape
from parser.event import ParseWarning
from parser.evidence import DELETED, EMPTY, Offer, Trace, choose, everywhere, offered
from parser.parse_warnings import Oddity, warning

_MOST_CHARACTERS: Final = 60
_LONGEST_LINK: Final = 500
_LONGEST_CONFERENCE: Final = 120
"""Characters of a conference's id; a launch names no longer one."""
# The subset of RFC 3986 that every telephone shows as one link: no user, no port, no backslash, ASCII only.
_LINK: Final = re.compile(
    r"https://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)(?:[/?#][!#-;=?-\[\]_a-z~]*)?"
)
_IN_PERSON: Final = "in-person"


def one_line(text: str) -> str:
    """The text as at most 60 characters, with spaces joined and control and format characters removed; a character's marks stay
    with it."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(" " if unicodedata.category(mark)[0] in "CZ" else mark for mark in text)
    line = " ".join(text.split())
    return line if len(line) <= _MOST_CHARACTERS else line[:_MOST_CHARACTERS].rstrip()


def find_text(message: Message, name: str, paths: Sequence[str], trace: Trace | None = None) -> str | None:
    """The first text at one of the paths. Resources with action D do not count."""

    def offers() -> Iterator[Offer[str]]:
        for path in paths:
            yield _first(message, path)

    choice = choose(offers(), trace)
    text = one_line(choice.winner.value) if choice.winner is not None and choice.winner.value else None
    if trace is not None:
        trace.note(name, text or None, choice.winner.field if choice.winner else None, choice.candidates)
    return text or None


def find_person(message: Message, name: str, fields: Sequence[str], trace: Trace | None = None) -> str | None:
    """The first person in one of the fields (XCN): prefix, given and family name."""

    def offers() -> Iterator[Offer[str]]:
        for field in fields:
            offer = _first(message, f"{field}.2")
            label = offer.field.removesuffix(".2")
            if offer.value is not None and offer.why_not is None:
                prefix, given = (message.get(f"{label}.{n}") for n in (6, 3))
                words = (word for word in (prefix, given, offer.value) if isinstance(word, str))
                yield Offer(label, offer.held, " ".join(words))
            else:
                yield offer._replace(field=label)

    choice = choose(offers(), trace)
    text = one_line(choice.winner.value) if choice.winner is not None and choice.winner.value else None
    if trace is not None:
        trace.note(name, text or None, choice.winner.field if choice.winner else None, choice.candidates)
    return text or None


def find_conference(message: Message, paths: Sequence[str], trace: Trace | None = None) -> str | None:
    """The id of the group that the visit belongs to; "": the sender takes it out of its group; None: nothing is said.

    It is compared, so that it is used whole or not at all. A `""` counts only where no place gives an id.
    """
    deleted = False

    def offers() -> Iterator[Offer[str]]:
        nonlocal deleted
        for path in paths:
            offer = _first(message, path)
            deleted |= offer.why_not == DELETED
            if offer.value and (len(offer.value) > _LONGEST_CONFERENCE or not offer.value.isprintable()):
                offer = offer._replace(value=None, why_not="too long, or has control characters")
            yield offer

    choice = choose(offers(), trace)
    conference = choice.winner.value if choice.winner is not None else "" if deleted else None
    if trace is not None:
        note = 'the sender takes the visit out of its group ("")' if conference == "" else None
        trace.note(
            "conference",
            conference or None,
            choice.winner.field if choice.winner else None,
            choice.candidates,
            note=note,
        )
    return conference


def _first(message: Message, path: str) -> Offer[str]:
    deleted: Offer[str] | None = None
    for spot in everywhere(message, path, active_only=True):
        offer = offered(spot.field, spot.value)
        if offer.why_not is None:
            return offer
        if offer.why_not == DELETED:
            deleted = deleted or offer
    return deleted or Offer(path, "", None, EMPTY)


def find_mode(message: Message, path: str, modes: Mapping[str, str], trace: Trace | None = None) -> str | None:
    """`video`, `phone` or `in-person`; None: the field is empty.

    Of several services the first that is not in person counts, because the patient must know how to join it.

    Args:
        modes: folded value to mode; any other value means in person.
    """
    spots = [offered(spot.field, spot.value) for spot in everywhere(message, path, active_only=True)]
    given = [offer for offer in spots if offer.why_not is None and offer.value is not None]
    known = next((offer for offer in given if folded(offer.value or "") in modes), None)
    winner = known or (given[0] if given else None)
    mode = None if winner is None else modes.get(folded(winner.value or ""), _IN_PERSON)
    if trace is not None:
        why = "another service is not in person"
        validated = (
            offer
            if offer is winner or offer.why_not or winner is None or known is None
            else offer._replace(why_not=why)
            for offer in spots or [Offer[str](path, "", None, EMPTY)]
        )
        field = None if winner is None else winner.field
        trace.note("visit_mode", mode, field, choose(validated, trace).candidates)
    return mode


def find_link(
    message: Message, path: str | None, hosts: frozenset[str], trace: Trace | None = None
) -> tuple[str | None, tuple[ParseWarning, ...]]:
    """The join link, if its host is allowed.

    Args:
        path: None: links are not configured. A path without a component means the whole field: a URL's `&` is rarely escaped.
        hosts: in small letters; the link's host must be one of them.
    """
    if path is None:
        return None, ()
    text = _unsplit(message, path).strip()
    offer: Offer[str] = Offer(path, text, text, None if text else EMPTY)
    if text:
        match = _LINK.fullmatch(text) if len(text) <= _LONGEST_LINK else None
        if text == '""':
            offer = Offer(path, text, None, DELETED)
        elif match is None:
            offer = Offer(path, text, None, "no plain https link")
        elif match["host"].lower() not in hosts:
            offer = Offer(path, text, None, "the host is not in join_link.allowed_hosts")
    choice = choose((offer,), trace)
    link = choice.winner.value if choice.winner is not None else None
    refused = link is None and text not in ("", '""')
    if trace is not None:
        trace.note("join_link", link, path if link else None, choice.candidates)
    return link, (warning(Oddity.JOIN_LINK_REFUSED, path),) if refused else ()


def _unsplit(message: Message, path: str) -> str:
    """The text at the place with its subcomponents joined, and also its components if the path names none."""
    place = Place.of(path)
    segments = message.segments(place.segment)
    if len(segments) < place.occurrence:
        return ""
    if "." not in path:
        return Field(segments[place.occurrence - 1].field(place.field), message.delimiters).text
    repetitions = segments[place.occurrence - 1].repetitions(place.field)
    if len(repetitions) < place.repetition:
        return ""
    return unescape(repetitions[place.repetition - 1].raw_component(place.component), message.delimiters)
