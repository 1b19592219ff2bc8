"""How two texts, or a text and two changes of it, differ by lines: values for whoever shows them. Pure.

Whoever shows them removes secrets before (`config.redaction`): here a line is a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Final

AROUND: Final = 3
"""Unchanged lines that are shown before and after a change."""


class Side(StrEnum):
    """Where a line stands. `BASE`: in what was there before, and no more in what is compared with it."""

    ALL = "all"
    BASE = "base"
    YOURS = "yours"
    THEIRS = "theirs"
    BOTH = "both"


class Origin(StrEnum):
    """Who changed a region of the base: nobody, one of the two, both in the same way, or both in different ways."""

    NOBODY = "nobody"
    YOURS = "yours"
    THEIRS = "theirs"
    BOTH = "both"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Lines that belong together, as each of the three texts has them.

    Attributes:
        line: the number of the first line in the base, from 1; where the base has none, of the line that would follow.
    """

    origin: Origin
    line: int
    base: tuple[str, ...]
    yours: tuple[str, ...]
    theirs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLine:
    """One line to show.

    Attributes:
        number: in the base, for `ALL` and `BASE`; None for lines that the base does not have.
        text: without its line end; None: so many unchanged lines are left out here.
        left_out: how many; 0 for a line with a text.
        is_conflict: both changed this place, and not in the same way.
    """

    side: Side
    number: int | None
    text: str | None
    left_out: int = 0
    is_conflict: bool = False


def three_way(base: str, yours: str, theirs: str) -> list[Region]:
    """The regions of a base and two changes of it, in order. Joined, each of the three texts comes out again, line by line."""
    return _regions(base.splitlines(), yours.splitlines(), theirs.splitlines())


def _regions(lines: Sequence[str], own: Sequence[str], other: Sequence[str]) -> list[Region]:
    in_own, in_other = _places(lines, own), _places(lines, other)
    regions: list[Region] = []
    begin = own_begin = other_begin = 0
    for place in range(len(lines) + 1):
        if place < len(lines) and (place not in in_own or place not in in_other):
            continue
        own_end, other_end = in_own.get(place, len(own)), in_other.get(place, len(other))
        changed = _region(begin, lines[begin:place], own[own_begin:own_end], other[other_begin:other_end])
        _add(regions, changed)
        if place < len(lines):
            line = (lines[place],)
            _add(regions, Region(origin=Origin.NOBODY, line=place + 1, base=line, yours=line, theirs=line))
        begin, own_begin, other_begin = place + 1, own_end + 1, other_end + 1
    return regions


def merged(base: str, yours: str, theirs: str) -> str | None:
    """Both changes together, with every line end as it was; None: they changed the same lines, and not in the same way."""
    lines: list[str] = []
    for region in _regions(base.split("\n"), yours.split("\n"), theirs.split("\n")):
        if region.origin is Origin.CONFLICT:
            return None
        lines += region.theirs if region.origin is Origin.THEIRS else region.yours
    return "\n".join(lines)


def two_way(before: str, after: str) -> list[Region]:
    """How a text became another: `YOURS` and `THEIRS` are both the text after."""
    return three_way(before, after, after)


def shown(regions: Sequence[Region], around: int = AROUND) -> Iterator[DiffLine]:
    """What changed, with some unchanged lines before and after it; nothing if nothing changed."""
    if all(region.origin is Origin.NOBODY for region in regions):
        return
    for position, region in enumerate(regions):
        if region.origin is Origin.NOBODY:
            yield from _unchanged(region, around if position else 0, around if position < len(regions) - 1 else 0)
        else:
            yield from _changed(region)


def _unchanged(region: Region, before: int, after: int) -> Iterator[DiffLine]:
    """The beginning and the end of an unchanged region."""
    count = len(region.base)
    left_out = count - before - after
    for offset, text in enumerate(region.base):
        if left_out <= 1 or offset < before or offset >= count - after:  # one line is not worth a gap
            yield DiffLine(side=Side.ALL, number=region.line + offset, text=text)
        elif offset == before:
            yield DiffLine(side=Side.ALL, number=None, text=None, left_out=left_out)


def _changed(region: Region) -> Iterator[DiffLine]:
    is_conflict = region.origin is Origin.CONFLICT
    for offset, text in enumerate(region.base):
        yield DiffLine(side=Side.BASE, number=region.line + offset, text=text, is_conflict=is_conflict)
    if region.origin is Origin.BOTH:
        yield from (DiffLine(side=Side.BOTH, number=None, text=text) for text in region.yours)
        return
    if region.origin is not Origin.THEIRS:
        yield from (DiffLine(side=Side.YOURS, number=None, text=text, is_conflict=is_conflict) for text in region.yours)
    if region.origin is not Origin.YOURS:
        yield from (
            DiffLine(side=Side.THEIRS, number=None, text=text, is_conflict=is_conflict) for text in region.theirs
        )


def _places(base: Sequence[str], changed: Sequence[str]) -> dict[int, int]:
    """Base line -> the same line in the changed text, for those that stayed; both count from 0 and only rise."""
    blocks = SequenceMatcher(None, base, changed, autojunk=False).get_matching_blocks()
    return {block.a + offset: block.b + offset for block in blocks for offset in range(block.size)}


def _region(begin: int, base: Sequence[str], yours: Sequence[str], theirs: Sequence[str]) -> Region | None:
    if not (base or yours or theirs):
        return None
    if yours == theirs:
        origin = Origin.NOBODY if yours == base else Origin.BOTH
    elif theirs == base:
        origin = Origin.YOURS
    else:
        origin = Origin.THEIRS if yours == base else Origin.CONFLICT
    return Region(origin=origin, line=begin + 1, base=tuple(base), yours=tuple(yours), theirs=tuple(theirs))


def _add(regions: list[Region], region: Region | None) -> None:
    """Add it, joined with the one before if nobody changed either."""
    if region is None:
        return
    last = regions[-1] if regions else None
    if last is not None and last.origin is region.origin is Origin.NOBODY:
        lines = last.base + region.base
        regions[-1] = Region(origin=Origin.NOBODY, line=last.line, base=lines, yours=lines, theirs=lines)
    else:
        regions.append(region)
