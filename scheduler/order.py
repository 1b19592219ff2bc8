"""When a message was sent, as far as its MSH-7 says it, and which of two messages is certainly the older one; pure.

MSH-7 (HL7 v2.9 chapter 2, 2.13.10.7) is an order only where it is exact. It is given to the minute, the second or a fraction
of one, and on the clinic's wall clock an hour a year stands for two. So a message was sent within a period, and only a period
that ends before another one begins comes certainly before it. In doubt the order of arrival decides (docs/explanation/planning.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPeriod:
    """The period in which a message was sent, UTC.

    Attributes:
        earliest: its first instant.
        until: the first instant after it.
    """

    earliest: datetime
    until: datetime

    def precedes(self, other: SentPeriod) -> bool:
        """Whether this message is certainly older than the other one."""
        return self.until <= other.earliest

    def in_doubt_with(self, other: SentPeriod) -> bool:
        """Whether nobody can say which of the two messages is older."""
        return not self.precedes(other) and not other.precedes(self)

    def taken_after(self, other: SentPeriod) -> SentPeriod:
        """This period, with the decision that it comes after the other one: it begins no earlier than that.

        Without this a message that is certainly older than the other one could override both.
        """
        return SentPeriod(earliest=max(self.earliest, other.earliest), until=self.until)


NEVER: Final = SentPeriod(earliest=datetime(1970, 1, 1, tzinfo=UTC), until=datetime(1970, 1, 1, tzinfo=UTC))
"""Of a value that no message really gave (a status not spoken of, a junk telephone): every given value is newer."""
