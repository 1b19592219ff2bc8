"""When a message was sent, as far as MSH-7 says, and which of two messages is certainly the older one; pure.

MSH-7 (HL7 v2.9 chapter 2, 2.13.10.7) gives an order only if it is exact. Its precision is a minute, a second or a fraction of a
second, and without an offset one hour of the year exists twice on the clinic's clock. So MSH-7 names a period. One message is
certainly older than another only if its period ends before the other period begins. Otherwise the order of arrival decides
(docs/explanation/planning.md).
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
        """Whether it is not certain which of the two messages is older."""
        return not self.precedes(other) and not other.precedes(self)

    def taken_after(self, other: SentPeriod) -> SentPeriod:
        """This period after the decision that it is newer than the other one: it begins no earlier than the other one.

        Without this, a message that is certainly older than the other one could override both.
        """
        return SentPeriod(earliest=max(self.earliest, other.earliest), until=self.until)


NEVER: Final = SentPeriod(earliest=datetime(1970, 1, 1, tzinfo=UTC), until=datetime(1970, 1, 1, tzinfo=UTC))
"""The period of a value that no message gave (a status that was not sent, a junk telephone): every given value is newer."""
