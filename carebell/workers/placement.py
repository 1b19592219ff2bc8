"""Which worker gets a new connection: each address's connections are spread evenly, and so are all of them.

Limits of connections are divided among the workers (`listener.limits.Share`). As an address's connections at a port are spread
evenly, an address reaches its limit with one worker only when it reaches it with all of them, and so the whole service does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from listener.limits import Share


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionCounts:
    """The open connections of one worker.

    Attributes:
        share: its part of the limits.
        ports: port key -> connections. sources: (port key, source) -> connections.
    """

    share: Share
    ports: Counter[str] = field(default_factory=Counter)
    sources: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.ports.total()

    def add(self, port: str, source: str) -> None:
        self.ports[port] += 1
        self.sources[port, source] += 1

    def remove(self, port: str, source: str) -> None:
        self.ports[port] -= 1
        self.sources[port, source] -= 1
        if self.sources[port, source] <= 0:
            del self.sources[port, source]


def place(counts: Sequence[ConnectionCounts], port: str, source: str, *, limit: int, limit_per_source: int) -> int:
    """The index of the worker for a new connection. At least one worker must be given.

    If no worker has room, it is one whose part of the limit is largest: it then refuses the connection, or makes room for it.

    Args:
        limit, limit_per_source: of this port, for the whole service.
    """

    def cost(index: int) -> tuple[bool, int, int, int]:
        own = counts[index]
        held, part, part_per_source = own.sources[port, source], own.share.of(limit), own.share.of(limit_per_source)
        is_full = own.ports[port] >= part or held >= part_per_source
        return is_full, -min(part, part_per_source) if is_full else held, own.total, index

    return min(range(len(counts)), key=cost)
