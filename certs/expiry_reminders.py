"""When to remind people of a certificate (signing profile, section 6). Pure; the caller remembers what was said already.

An administrator is warned 60, 30, 14, 7 and 1 days before an active certificate expires, once each, whatever the service's
restarts; and when an active one goes unused, which during a rotation says that the sender has not switched, or that the old
one can be retired.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

WARN_DAYS: Final = (60, 30, 14, 7, 1)
UNUSED_AFTER: Final = timedelta(days=14)


def expiry_warnings(not_after: datetime, *, since: datetime | None, now: datetime) -> tuple[int, ...]:
    """The days of `WARN_DAYS` that were reached after `since` and not after `now`, the most urgent last.

    Empty once the certificate has expired: then SIG06 reports it with every message.

    Args:
        since: when this was last called for the certificate; None: never, so all days reached so far are due.
    """
    if now > not_after:
        return ()
    moments = [(days, not_after - timedelta(days=days)) for days in WARN_DAYS]
    return tuple(days for days, moment in moments if moment <= now and (since is None or since < moment))


def unused_for(
    last_used: datetime | None, *, active_since: datetime, now: datetime, limit: timedelta = UNUSED_AFTER
) -> timedelta | None:
    """How long an active certificate has signed nothing, if that is at least `limit`; otherwise None.

    Args:
        last_used: `received_at` of the newest message it signed; None: it never signed one.
        active_since: when it became active here; the time before does not count.
    """
    idle = now - max(active_since, last_used or active_since)
    return idle if idle >= limit else None
