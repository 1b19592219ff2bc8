"""What messages say again and again with the same fields: decided once, and remembered by those fields as they were sent.

A clinic has a few statuses, rooms, providers and languages, and its messages repeat them all day. A decision that depends on
nothing but some fields (and the rules, to which a `Recurring` belongs) is looked up by the raw text of all of these fields, in
every segment of their names. So it is the same decision, whatever the fields hold. `explain` never looks anything up.

No field made for a patient's id, name, telephone or address, or for a visit's id or time, is among these fields. But each counts as
a whole, as it was sent, and three of them may still say something of one patient: a reason (SCH-6; SCH-7 if the visit's mode is
read there) can hold text that a person typed, the date of death (PID-29) is a time, and a sender may use any field wrongly. Such a
text stays in memory, tied to no visit, until `_MOST` combinations are known, the rules are replaced (a reload) or the process ends.
It is written nowhere. Fields longer than `_MOST_CHARACTERS` together are not remembered. `config.fieldmap.folded`
keeps single texts likewise. docs/explanation/forgetting.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from parser.er7 import Message, Place

Meaning = TypeVar("Meaning")

_MOST: Final = 4096
"""Combinations of fields; some 2 MB. A hospital of 500 providers, each in two places, has a thousand."""
_MOST_PARTS: Final = 60
_MOST_CHARACTERS: Final = 600
_NEXT: Final = "\r"
"""Follows the fields of a segment in what is looked up: no field can hold it."""
_ACTION_CODE: Final = 2
_RESOURCES: Final = ("AIS", "AIG", "AIL", "AIP")


class Recurring(Generic[Meaning]):
    """Remembers what some fields mean.

    Args:
        paths: of everything that the decision reads; of each the whole field counts, in all its segments and repetitions.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        fields: dict[str, set[int]] = {}
        for place in map(Place.of, paths):
            fields.setdefault(place.segment, set()).add(place.field)
        for segment in fields.keys() & set(_RESOURCES):  # one whose action code is D does not count
            fields[segment].add(_ACTION_CODE)
        self._fields: Final = tuple((segment, tuple(sorted(numbers))) for segment, numbers in sorted(fields.items()))
        self._known: Final[dict[tuple[str, ...], Meaning]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def meaning(self, message: Message, decide: Callable[[], Meaning], also: str = "") -> Meaning:
        """What `decide` says of the message, or said of the same fields before.

        Args:
            also: what the decision depends on besides.
        """
        delimiters = message.delimiters
        if not delimiters.usual:
            return decide()
        parts = [also, delimiters.codec]  # which decodes escapes
        for name, numbers in self._fields:
            for segment in message.segments(name):
                parts += segment.raw(numbers)
                parts.append(_NEXT)
            parts.append(_NEXT)
        said = tuple(parts)
        known = self._known.get(said)
        if known is not None:
            return known
        meaning = decide()
        if len(said) <= _MOST_PARTS and sum(map(len, said)) <= _MOST_CHARACTERS:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[said] = meaning
        return meaning
