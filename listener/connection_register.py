"""Connections counted by where they come from, with a bound in all and for each source, and who makes room when it is reached.

A source is what one party can be taken for: an IPv4 address, or the /64 network of an IPv6 address, whose last 64 bits a host
chooses as it likes. Several addresses of one party are several sources all the same, so a full register is shared out fairly:
a newcomer takes the place of the quietest connection of whichever network holds most, unless its own holds about as many. A
network is an IPv4 address or the /48 of an IPv6 address, which is what one site is given.

A source that has sent a message whose sender is known (`KnownSources`) gives no place to one that has not, and takes one from it
whenever it needs one: a crowd of strangers cannot take a hospital's connections, however many addresses it has.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Generic, Protocol, TypeVar

_KNOWN_SOURCES: Final = 10_000
"""More than any hospital has senders; only a sender whose message was accepted can fill it."""


@lru_cache(maxsize=4096)
def source_of(address: str) -> str:
    """The source of an IP address. Text that is not an address is a source of its own."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


@lru_cache(maxsize=4096)
def _network_of(source: str) -> str:
    """What one site can be taken for: the /48 of an IPv6 network, else the source itself."""
    try:
        parsed = ipaddress.IPv6Network(source)
    except ValueError:
        return source
    return str(parsed.supernet(new_prefix=48))


class KnownSources:
    """The sources from which a message of a known sender came, the ones heard of last."""

    def __init__(self, limit: int = _KNOWN_SOURCES) -> None:
        self._limit = limit
        self._sources: dict[str, None] = {}

    def __contains__(self, source: str) -> bool:
        return source in self._sources

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._sources))

    def add(self, source: str) -> None:
        self._sources.pop(source, None)
        self._sources[source] = None
        if len(self._sources) > self._limit:
            del self._sources[next(iter(self._sources))]


class Evictable(Protocol):
    """A connection as the register uses it."""

    @property
    def quiet_since(self) -> tuple[bool, float] | None:
        """(whether a message has begun, monotonic seconds of the last complete one); None: an answer is pending, so it must
        stay."""


Member = TypeVar("Member", bound=Evictable)


@dataclass(slots=True, kw_only=True)
class ConnectionRegister(Generic[Member]):
    """Attributes:
    limit: connections in all. limit_per_source: of one source.
    known: which sources are not strangers.
    """

    limit: int
    limit_per_source: int
    known: KnownSources = field(default_factory=KnownSources)
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
        """Remove a connection. It does nothing if the connection is not registered."""
        members = self._members.get(source)
        if members is None or member not in members:
            return
        members.remove(member)
        self._count -= 1
        if not members:
            del self._members[source]

    def makes_room_for(self, source: str) -> Member | None:
        """Whose place a newcomer of this source may take; None: nobody's. Linear in the sources, and only asked when full."""
        strangers = [name for name in self._members if name not in self.known]
        if source in self.known:
            return self._quietest(strangers, more_than=0) or self._quietest(self._members, more_than=self._near(source))
        return self._quietest(strangers, more_than=self._near(source))

    def _near(self, source: str) -> int:
        """As many connections as the source's network will hold with one more."""
        network = _network_of(source)
        return 1 + sum(len(members) for name, members in self._members.items() if _network_of(name) == network)

    def _quietest(self, sources: Iterable[str], *, more_than: int) -> Member | None:
        """Of the network that holds most of these sources' connections; None: it holds no more than that, or all are busy."""
        networks: defaultdict[str, list[Member]] = defaultdict(list)
        for name in sources:
            networks[_network_of(name)] += self._members[name]
        largest = max(networks.values(), key=len, default=[])
        if len(largest) <= more_than:
            return None
        quiet = [(since, member) for member in largest if (since := member.quiet_since) is not None]
        return min(quiet, key=lambda pair: pair[0])[1] if quiet else None
