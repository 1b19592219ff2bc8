"""What is an alarm now: of the whole service (read from the database), and of this machine (its disks). Nothing is written here.

`carebell.maintenance.alarm_watch` raises and clears alarms by these conditions; `carebell status` and `carebell doctor` show them
without a running service. `journal.alarms` is the table of alarms.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from carebell.inbound.trust import days_left
from carebell.maintenance.certificates import Registered, registered
from carebell.maintenance.overdue import read_outbox_state, senders_of
from certs.expiry_reminders import unused_for
from config.load import Loaded
from journal.alarms import AlarmName, Severity
from scheduler.expected_hours import expected_time
from scheduler.sms import HoldScope
from scheduler.writeback import WritebackChannel
from store import alarms, forgetting, holds, outbox, usage, writeback_rows
from store.engine import Transaction

LAST_WEEK: Final = timedelta(days=7)
"""A certificate without a successor is critical for this long before it expires."""
FORGETTING_LATE: Final = timedelta(minutes=20)
"""The promise is 15 minutes; a doubted clock may use ten of them, and a round takes its time."""
BLOCKED_AFTER: Final = timedelta(minutes=5)
"""So long the first of what goes back in strict order may stop the others."""
_UNKNOWN_SINCE: Final = timedelta(days=1)
_CRITICAL_PART: Final = 4
_MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """An alarm that is due.

    Attributes:
        node: the node or host that it is about; empty: the whole service.
        subject: what it is about; empty: nothing in particular.
        environment: empty: none.
        value, limit: measured, and as configured, in the same unit: seconds, days, megabytes or a count.
        problem: one sentence, without patient data.
    """

    alarm: AlarmName
    severity: Severity
    problem: str
    node: str = ""
    subject: str = ""
    environment: str = ""
    value: float | None = None
    limit: float | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.alarm, self.node, self.subject


def of_service(conn: Transaction, loaded: Loaded, now: datetime) -> Iterator[Condition]:
    """The alarms that the database and the configuration show, whether or not a service runs. Blocking."""
    yield from _late_texts(conn, loaded, now)
    yield from _stopped(conn)
    yield from _unknown(conn, loaded, now)
    if forgetting.anything_kept_too_long(conn, now, by=FORGETTING_LATE):
        minutes = FORGETTING_LATE // timedelta(minutes=1)
        yield Condition(
            alarm="forgetting_late",
            severity="critical",
            problem=f"a number that should be gone for {minutes} minutes is still stored",
            limit=minutes * 60,
        )
    yield from _silent_feeds(conn, loaded, now)
    yield from blocked_writebacks(conn, loaded, now)
    yield from of_certificates(conn, loaded, now)


def _late_texts(conn: Transaction, loaded: Loaded, now: datetime) -> Iterator[Condition]:
    limit, state = loaded.configuration.alarms.overdue_after, read_outbox_state(conn, now)
    senders = senders_of(loaded.configuration)
    if state.is_late(limit, senders):
        late = state.free(senders)
        yield Condition(
            alarm="overdue",
            severity="critical",
            problem=f"{late.count} texts are overdue; see the gateway's last answer in `carebell status`",
            value=round(late.lag.total_seconds(), 1),
            limit=limit.total_seconds(),
        )


def _stopped(conn: Transaction) -> Iterator[Condition]:
    for breaker in holds.open_breakers(conn):
        yield Condition(
            alarm="breaker_open",
            severity="critical",
            subject=f"{breaker.scope} {breaker.name}",
            environment=breaker.name if breaker.scope == "environment" else "",
            problem=f"the gateway refuses {breaker.scope} {breaker.name} with code {breaker.code}: texts wait",
        )
    for hold in holds.held(conn):
        subject = f"{hold.scope} {hold.name}".strip()
        yield Condition(
            alarm="held",
            severity="warning",
            subject=subject,
            environment=hold.name if hold.scope in (HoldScope.ENVIRONMENT, HoldScope.APPROVAL) else "",
            problem=(
                f"texts of {hold.name} wait: {hold.reason}"
                if hold.scope is HoldScope.APPROVAL
                else f"texts are held ({subject}): {hold.reason}"
            ),
        )


def _unknown(conn: Transaction, loaded: Loaded, now: datetime) -> Iterator[Condition]:
    limit = loaded.configuration.alarms.unknown_after
    if limit is None:
        return
    count = outbox.count_unknown(conn, since=now - _UNKNOWN_SINCE - limit, until=now - limit)
    if count:
        yield Condition(
            alarm="unknown_texts",
            severity="warning",
            problem=f"it is not known whether the gateway took {count} text{'s' if count > 1 else ''} of the last day",
            value=count,
        )


def _silent_feeds(conn: Transaction, loaded: Loaded, now: datetime) -> Iterator[Condition]:
    for name, environment in loaded.configuration.environments.items():
        if not environment.enabled or environment.expect_every is None:
            continue
        known = [alarms.watched_since(conn, feed(name)), outbox.last_received(conn, name)]
        since = max((instant for instant in known if instant is not None), default=now)
        silence = expected_time(since, now, environment.expect_during, environment.zone)
        if silence > environment.expect_every:
            yield Condition(
                alarm="feed_silent",
                severity="warning",
                subject=name,
                environment=name,
                problem=f"no message of {name} was accepted for {_words(silence)} of the time when messages are expected",
                value=round(silence.total_seconds()),
                limit=environment.expect_every.total_seconds(),
            )


def blocked_writebacks(conn: Transaction, loaded: Loaded, now: datetime) -> Iterator[Condition]:
    """Environments with a strict order whose first write-back stops the others for too long."""
    for name, environment in loaded.configuration.environments.items():
        hl7 = environment.writeback.hl7
        if hl7 is None or hl7.ordering != "strict" or environment.writeback.hold or not environment.enabled:
            continue
        first = writeback_rows.head(conn, name, WritebackChannel.HL7, now)
        if first is None or not first.attempts or now - first.created_at < BLOCKED_AFTER:
            continue
        yield Condition(
            alarm="writeback_blocked",
            severity="warning",
            subject=name,
            environment=name,
            problem=f"{first.id} ({first.event}) stops what goes back to the EHR of {name}: {first.code or first.state}",
            value=round((now - first.created_at).total_seconds()),
            limit=BLOCKED_AFTER.total_seconds(),
        )


def feed(environment: str) -> str:
    """The name under which the store remembers since when an environment's feed is watched."""
    return f"feed {environment}"


def watched_feeds(loaded: Loaded) -> list[str]:
    """The names of all feeds whose silence is an alarm."""
    environments = loaded.configuration.environments.items()
    return [feed(name) for name, environment in environments if environment.enabled and environment.expect_every]


def of_certificates(conn: Transaction, loaded: Loaded, now: datetime) -> Iterator[Condition]:
    """Certificates that expire soon, have expired, or are not used."""
    limits = loaded.configuration.alarms
    entries = list(registered(loaded, now))
    for entry in entries:
        if limits.certificate_expires is not None:
            yield from _expiring(entry, entries, limits.certificate_expires, now)
        if limits.certificate_unused is not None:
            yield from _unused(conn, loaded, entry, limits.certificate_unused, now)


def _expiring(entry: Registered, entries: Iterable[Registered], limit: timedelta, now: datetime) -> Iterator[Condition]:
    left = entry.certificate.not_after - now
    if left >= limit:
        return
    has_successor = any(
        other.environment == entry.environment and other.certificate.not_after - now > max(left, LAST_WEEK)
        for other in entries
    )
    days = days_left(entry.certificate.not_after, now)
    when = "has expired" if left <= timedelta() else f"expires in {days} days"
    yield Condition(
        alarm="certificate_expiring",
        severity="critical" if left <= LAST_WEEK and not has_successor else "warning",
        subject=_certificate(entry),
        environment=entry.environment,
        problem=f"the certificate {entry.file.name} of {entry.environment} {when}",
        value=days,
        limit=limit // timedelta(days=1),
    )


def _unused(
    conn: Transaction, loaded: Loaded, entry: Registered, limit: timedelta, now: datetime
) -> Iterator[Condition]:
    if loaded.configuration.environments[entry.environment].kind != "production":
        return
    active_since = usage.known_since(conn, entry.environment, entry.certificate.thumbprint)
    last_used = usage.last_used(conn, entry.environment, entry.certificate.thumbprint)
    idle = unused_for(last_used, active_since=active_since or now, now=now, limit=limit)
    if idle is not None:
        yield Condition(
            alarm="certificate_unused",
            severity="warning",
            subject=_certificate(entry),
            environment=entry.environment,
            problem=f"no message of {entry.environment} was verified with {entry.file.name} for {_words(idle)}",
            value=idle // timedelta(days=1),
            limit=limit // timedelta(days=1),
        )


def _certificate(entry: Registered) -> str:
    return f"{entry.environment} {entry.certificate.thumbprint[:8]}"


Free = Callable[[Path], int]


def free_bytes(folder: Path) -> int:
    """What this account may still write there."""
    return shutil.disk_usage(folder).free


def of_host(loaded: Loaded, host: str, free: Free = free_bytes) -> Iterator[Condition]:
    """Disks of this machine on which little is free. A folder that cannot be looked at is left out: its own fault is reported."""
    limit = loaded.configuration.alarms.disk_free_mb
    if limit is None:
        return
    seen: set[int] = set()
    for folder in _folders(loaded):
        try:
            device = folder.stat().st_dev
            megabytes = free(folder) // _MEGABYTE
        except OSError:
            continue
        if device in seen:
            continue
        seen.add(device)
        if megabytes < limit:
            yield Condition(
                alarm="disk_nearly_full",
                severity="critical" if megabytes < limit / _CRITICAL_PART else "warning",
                node=host,
                subject=str(folder),
                problem=f"{megabytes} MB are free where {folder} is",
                value=megabytes,
                limit=limit,
            )


def _folders(loaded: Loaded) -> Iterator[Path]:
    url, log_file = loaded.configuration.storage.url, loaded.configuration.log.file
    if url.startswith("sqlite:///"):
        yield Path(url.removeprefix("sqlite:///")).absolute().parent
    if log_file is not None:
        yield log_file.absolute().parent


def _words(span: timedelta) -> str:
    """`3 days`, `5 hours`, `12 minutes`."""
    for word, unit in (("days", timedelta(days=1)), ("hours", timedelta(hours=1))):
        if span >= 2 * unit:
            return f"{span // unit} {word}"
    return f"{span // timedelta(minutes=1)} minutes"
