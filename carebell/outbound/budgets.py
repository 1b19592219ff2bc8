"""What the senders may spend, in SMS segments: the token buckets that all nodes share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta

from carebell.environment_policy import RuntimeConfig
from carebell.outbound.send_policy import Budgets
from notifier.rates import default_rate
from store import rates
from store.engine import Transaction


class SenderBudgets(Budgets):
    """What each sender may spend in this round: its share of the bucket that all nodes and environments charge."""

    def __init__(
        self, conn: Transaction, runtime_config: RuntimeConfig, senders: Collection[str], now: datetime
    ) -> None:
        self._conn = conn
        self._rates = {sender: runtime_config.rates.get(sender, default_rate(sender)) for sender in senders}
        self._left: dict[str, rates.Allowance] = {
            sender: rates.allowance(conn, sender, rates.Rate(per_second=rate, burst=max(rate, 1.0)), now=now)
            for sender, rate in sorted(self._rates.items())
        }
        self._spent: Counter[str] = Counter()
        self._queued: Counter[str] = Counter()

    def spend(self, sender: str, segments: int) -> datetime | None:
        left = self._left[sender]
        # A text with more segments than the bucket holds is sent when the bucket is full, and leaves a negative balance.
        if self._queued[sender] == 0 and self._spent[sender] < left.segments:
            self._spent[sender] += segments
            return None
        self._queued[sender] += segments
        debt = self._spent[sender] - left.segments + self._queued[sender]
        return left.ready_at + timedelta(seconds=max(debt, 0) / self._rates[sender])

    def charge(self) -> None:
        """Write the charges, within the transaction."""
        for sender, segments in self._spent.items():
            rates.charge(self._conn, sender, segments)
