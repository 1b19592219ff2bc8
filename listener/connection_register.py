"""Connections counted by where they come from, with a bound in all and for each source, and who makes room when it is reached.

A source is what one party can be taken for: an IPv4 address, or the /64 network of an IPv6 address, whose last 64 bits a host
chooses as it likes. Several addresses of one party are several sources all the same, so a full register is shared out fairly:
a newcomer takes the place of the quietest connection of whichever source holds most, unless its own holds about as many.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, Protocol, TypeVar


@lru_cache(maxsize=4096)
def source_of(address: str) -> str:
    """The source that an IP address belongs to; text that is no address is a source of its own."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class Evictable(Protocol):
    """A connection as the register sees it."""

    @property
    def quiet_since(self) -> tuple[bool, float] | None:
        """(whether a message has begun, monotonic seconds of the last whole one); None: an answer is owed, it must stay."""


Member = TypeVar("Member", bound=Evictable)


@dataclass(slots=True, kw_only=True)
class ConnectionRegister(Generic[Member]):
    """Attributes:
    limit: connections in all. limit_per_source: of one source.
    """

    limit: int
    limit_per_source: int
    _members: dict[str, set[Member]] = field(default_factory=dict, init=False)
    _count: int = field(default=0, init=False)

    def __len__(self) -> int:
        return self._count

    def held_by(self, source: str) -> int:
        """Connections of one source."""
        return len(self._members.get(source, ()))

    @property
    def full(self) -> bool:
        return self._count >= self.limit

    def source_is_full(self, source: str) -> bool:
        return self.held_by(source) >= self.limit_per_source

    def add(self, source: str, member: Member) -> None:
        self._members.setdefault(source, set()).add(member)
        self._count += 1

    def remove(self, source: str, member: Member) -> None:
        """Nothing happens where it is not registered."""
        members = self._members.get(source)
        if members is None or member not in members:
            return
        members.remove(member)
        self._count -= 1
        if not members:
            del self._members[source]

    def makes_room_for(self, source: str) -> Member | None:
        """Whose place a newcomer of this source may take; None: nobody's. Linear in the sources, and only asked when full."""
        largest = max(self._members.values(), key=len, default=None)
        if largest is None or len(largest) <= self.held_by(source) + 1:
            return None
        quiet = [(since, member) for member in largest if (since := member.quiet_since) is not None]
        return min(quiet, key=lambda pair: pair[0])[1] if quiet else None
