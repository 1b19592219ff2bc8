"""Choose a value by precedence, and optionally record why: used by `read` and by `explain`.

A module that decides a value yields `Offer`s lazily, in order of precedence. `choose` takes the first usable offer. Without a
trace it stops there, so nothing else is read. With a trace it reads all offers and records what each held and why it was
not used. `explain` has no second implementation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, Generic, NamedTuple, TypeVar

from parser.er7 import DELETE, MAX_REPETITIONS, Message, Place, Value
from parser.event import Candidate, Evidence

Meaning = TypeVar("Meaning")

EMPTY: Final = "empty"
DELETED: Final = 'deleted by the sender ("")'
_RESOURCES: Final = frozenset({"AIS", "AIG", "AIL", "AIP"})
_SHOWN: Final = 80
_UNPRINTABLE: Final = re.compile(r"[^ -~\u00a1-\u00ac\u00ae-\u024f\u0370-\u1fff\u3040-\ud7ff]")


class Offer(NamedTuple, Generic[Meaning]):
    """One place that could give a value: its content, its meaning, and why it cannot be used (None: it can)."""

    field: str
    held: str
    value: Meaning | None
    why_not: str | None = None


class Trace:
    """The decisions, in order. Its values are safe for a screen: short, printable, telephones masked."""

    __slots__ = ("evidence",)

    def __init__(self) -> None:
        self.evidence: list[Evidence] = []

    def note(
        self,
        name: str,
        value: str | None,
        field: str | None,
        candidates: Iterable[Candidate] = (),
        *,
        zone: str | None = None,
        note: str | None = None,
    ) -> None:
        """Record one decision."""
        shown = None if value is None else showable(value, 400)
        self.evidence.append(
            Evidence(name=name, value=shown, field=field, candidates=tuple(candidates), zone=zone, note=note)
        )


class Choice(NamedTuple, Generic[Meaning]):
    """The chosen offer, and every candidate if there is a trace."""

    winner: Offer[Meaning] | None
    candidates: tuple[Candidate, ...] = ()


def choose(
    offers: Iterable[Offer[Meaning]], trace: Trace | None, mask: Callable[[str], str] | None = None
) -> Choice[Meaning]:
    """The first usable offer.

    Args:
        trace: None: stop at the first usable offer and record nothing.
        mask: gives the part of an offer's content that may be shown; None: all of it, shortened.
    """
    if trace is None:
        for offer in offers:
            if offer.why_not is None:
                return Choice(offer)
        return Choice(None)
    winner: Offer[Meaning] | None = None
    candidates: list[Candidate] = []
    for offer in offers:
        why_not = offer.why_not
        if why_not is None:
            if winner is None:
                winner = offer
            else:
                why_not = f"{winner.field} comes first"
        held = mask(offer.held) if mask is not None else showable(offer.held)
        candidates.append(Candidate(field=offer.field, value=held, why_not=why_not))
    return Choice(winner, tuple(candidates))


def showable(text: str, limit: int = _SHOWN) -> str:
    """`text` as one short line that cannot move a terminal's cursor."""
    return (
        _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text[: limit + 1])
        if len(text) <= limit
        else (_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text[:limit]) + "...")
    )


def texts(message: Message, paths: Iterable[str]) -> Iterator[Offer[str]]:
    """An offer for each path, in order. The offer's value is the stripped text."""
    for path in paths:
        yield offered(path, message.get(path))


def offered(field: str, value: Value) -> Offer[str]:
    """One value as an offer. An empty or deleted value is not usable."""
    if value is None:
        return Offer(field, "", None, EMPTY)
    if value is DELETE:
        return Offer(field, '""', None, DELETED)
    text = value.strip()
    return Offer(field, value, text, None if text else EMPTY)


def sole_value(message: Message, path: str) -> str | None:
    """The value at a path if its segment and its field occur once; "": they say nothing; None: look `everywhere`."""
    place = Place.of(path)
    segments = message.segments(place.segment)
    if not segments:
        return ""
    if len(segments) != 1 or place.occurrence != 1 or place.repetition != 1:
        return None
    raw = segments[0].field(place.field)
    if not raw:
        return ""
    if message.delimiters.repetition in raw:
        return None
    value = segments[0].value(place.field, place.component, place.subcomponent)
    if value is None:
        return ""
    return value if isinstance(value, str) and value and not value.isspace() else None


class Spot(NamedTuple):
    """One value among the repeats of its segment and field."""

    field: str
    value: Value


def everywhere(message: Message, path: str, *, active_only: bool = False) -> Sequence[Spot]:
    """The value at `path` in every segment of its name and every repetition of its field, at most 20 of each.

    A path that numbers its segment (`AIS[2]-4`) or repetition means only that one.

    Args:
        active_only: leave out resource segments (AIS, AIG, AIL, AIP) whose action code, field 2, is D.
    """
    place = Place.of(path)
    segments = message.segments(place.segment)
    if not segments:
        return ()
    spots: list[Spot] = []
    one_segment, one_repetition = _numbered(path)
    if one_segment:
        segments = segments[place.occurrence - 1 : place.occurrence]
    separator = message.delimiters.repetition
    for at, segment in enumerate(segments[:MAX_REPETITIONS], place.occurrence):
        if active_only and segment.name in _RESOURCES and segment.field(2).strip().upper() == "D":
            continue
        raw = segment.field(place.field)
        if not raw:
            continue
        if separator not in raw and place.repetition == 1:  # the usual case
            label = path if at == place.occurrence else _label(path, at, 1)
            spots.append(Spot(label, segment.value(place.field, place.component, place.subcomponent)))
            continue
        repetitions = segment.repetitions(place.field)
        if one_repetition:
            repetitions = repetitions[place.repetition - 1 : place.repetition]
        for nth, repetition in enumerate(repetitions, place.repetition):
            first = at == place.occurrence and nth == place.repetition
            label = path if first else _label(path, at, nth)
            spots.append(Spot(label, repetition.value(place.component, place.subcomponent)))
    return spots


@lru_cache(maxsize=1024)
def _numbered(path: str) -> tuple[bool, bool]:
    segment, _, field = path.partition("-")
    return "[" in segment, "[" in field


@lru_cache(maxsize=4096)
def _label(path: str, segment: int, repetition: int) -> str:
    place = Place.of(path)
    components = path.partition("-")[2].partition(".")[2]
    return (
        place.segment
        + (f"[{segment}]" if segment != 1 else "")
        + f"-{place.field}"
        + (f"[{repetition}]" if repetition != 1 else "")
        + (f".{components}" if components else "")
    )
