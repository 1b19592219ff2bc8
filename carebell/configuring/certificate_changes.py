"""Which certificates a configuration adds and takes away, and what that means for the messages that they sign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from certs.cer import Report, read_upload
from config.load import Loaded
from config.model import Environment
from store import usage
from store.engine import Transaction

_UNITS: Final = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateChange:
    """A certificate of an environment's sender that comes into use, or is used no more.

    Attributes:
        thumbprint: x5t#S256, 43 characters. subject: RFC 4514.
        not_after: the last valid second.
        last_used: when it last signed a message that was taken, to some seconds; None: never here.
        at: when this was foreseen. zone: the clinic's.
    """

    environment: str
    change: Literal["added", "removed"]
    thumbprint: str
    subject: str
    not_after: datetime
    last_used: datetime | None
    authentication: Literal["signature", "mutual-tls"]
    at: datetime
    zone: str

    @property
    def sentence(self) -> str:
        """What it means, as people read it."""
        proof = "signed with" if self.authentication == "signature" else "sent with the TLS certificate"
        about = f"thumbprint {self.thumbprint}, valid until {self.not_after.astimezone(ZoneInfo(self.zone)):%Y-%m-%d}"
        messages = f"messages to {self.environment} {proof} {self.subject} ({about})"
        if self.change == "added":
            return f"{messages} will be taken"
        if self.last_used is None:
            return f"{messages} will be refused with SIG05; none came until now"
        clock = f"{self.last_used.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M:%S}"
        return (
            f"{messages} will be refused with SIG05, and the sender must send them again; "
            f"the last one came {_span(self.at - self.last_used)} ago, at {clock}"
        )


def certificate_changes(
    conn: Transaction, present: Loaded, trial: Loaded, at: datetime
) -> tuple[CertificateChange, ...]:
    """Of the environments of `trial` that are switched on. Blocking: reads the certificates' files.

    Args:
        present: in force.
    """
    return tuple(
        change
        for name, environment in trial.configuration.environments.items()
        if environment.enabled
        for change in _changes(conn, name, present.configuration.environments.get(name), environment, at)
    )


def _changes(
    conn: Transaction, name: str, before: Environment | None, after: Environment, at: datetime
) -> Iterator[CertificateChange]:
    old = _by_thumbprint(before.certificates, at) if before is not None and before.enabled else {}
    new = _by_thumbprint(after.certificates, at)
    sides: tuple[tuple[Literal["added", "removed"], Mapping[str, Report], Mapping[str, Report]], ...] = (
        ("added", new, old),
        ("removed", old, new),
    )
    for change, those, others in sides:
        for thumbprint, report in those.items():
            if thumbprint in others or report.not_after is None:
                continue
            yield CertificateChange(
                environment=name,
                change=change,
                thumbprint=thumbprint,
                subject=report.subject or "a certificate without a subject",
                not_after=report.not_after,
                last_used=usage.last_used(conn, name, thumbprint),
                authentication=after.authentication,
                at=at,
                zone=after.time_zone,
            )


def _by_thumbprint(paths: list[Path], at: datetime) -> dict[str, Report]:
    reports = [read_upload(path, at) for path in paths]
    return {report.thumbprint: report for report in reports if report.thumbprint is not None}


def _span(time: timedelta) -> str:
    """`5 s`, `3 min`, `2 h`, `4 d`: whole units."""
    for size, unit in _UNITS:
        if time >= size:
            return f"{time // size} {unit}"
    return f"{max(time, timedelta()) // timedelta(seconds=1)} s"
