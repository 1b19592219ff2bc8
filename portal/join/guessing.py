"""How many unknown links somebody may open: an allowance for each address, which fills again. In memory; nobody else is counted."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from listener.connection_register import source_of

PER_MINUTE: Final = 20
"""Unknown links from one address."""
_MOST: Final = 50_000
"""Addresses that are remembered; of more, the one that was quiet for longest is forgotten."""


@dataclass(slots=True, kw_only=True)
class Guesses:
    """Counts unknown links. Links that lead somewhere are never limited: patients may share an address with whoever guesses.

    Attributes:
        per_minute: from one address, or one /64 network of IPv6.
    """

    per_minute: int = PER_MINUTE
    _allowances: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict, repr=False)

    def over_limit(self, address: str | None, seconds: float) -> bool:
        """Count one more; whether it is more than the address may.

        Args:
            seconds: a monotonic counter.
        """
        source = source_of(address or "")
        tokens, counted = self._allowances.pop(source, (float(self.per_minute), seconds))
        tokens = min(float(self.per_minute), tokens + (seconds - counted) * self.per_minute / 60)
        over = tokens < 1
        self._allowances[source] = (tokens if over else tokens - 1, seconds)
        if len(self._allowances) > _MOST:
            self._allowances.popitem(last=False)
        return over
