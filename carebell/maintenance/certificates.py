"""The senders' certificates over time: loaded, rotated, expiring, expired, unused (signing.md, section 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from carebell.inbound.trust import days_left, read_signer
from certs.certificate import SigningCertificate
from certs.expiry_reminders import expiry_warnings, unused_for
from config.load import Loaded
from journal.events.certificates import (
    CertificateExpired,
    CertificateExpiring,
    CertificateLoaded,
    CertificateRotated,
    CertificateUnused,
)
from journal.events.shared import CertificateFacts
from journal.logs import Journal
from journal.metrics import Metrics
from store import usage
from store.engine import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A certificate in an enabled environment."""

    environment: str
    file: Path
    certificate: SigningCertificate


def registered(loaded: Loaded, now: datetime) -> Iterator[Registered]:
    """Every usable certificate of every enabled environment."""
    for name, environment in loaded.configuration.environments.items():
        for path in environment.certificates if environment.enabled else ():
            _, certificate = read_signer(path, now)
            if certificate is not None:
                yield Registered(environment=name, file=path, certificate=certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateMonitor:
    """Logs events and warnings about certificates.

    Attributes:
        loaded: the configuration in force.
        known: (environment, thumbprint) of the certificates said to be in use: a file may change its content in place.
    """

    store: Store
    loaded: Callable[[], Loaded]
    journal: Journal
    metrics: Metrics
    known: set[tuple[str, str]] = field(default_factory=set)

    def started(self, now: datetime) -> None:
        """At the start: log which certificates are in use."""
        for entry in registered(self.loaded(), now):
            self.known.add((entry.environment, entry.certificate.thumbprint))
            self.journal.emit(CertificateLoaded(facts=_facts(entry, now)))

    def changed(self, now: datetime) -> None:
        """After a reload: log the new certificates. If the environment had none before, the event is loaded, not rotated."""
        present = list(registered(self.loaded(), now))
        old = set(self.known)
        environments = {environment for environment, _ in old}
        self.known.clear()
        self.known.update((entry.environment, entry.certificate.thumbprint) for entry in present)
        for entry in present:
            if (entry.environment, entry.certificate.thumbprint) in old:
                continue
            if entry.environment not in environments:
                self.journal.emit(CertificateLoaded(facts=_facts(entry, now)))
                continue
            active = [other.certificate.thumbprint[:8] for other in present if other.environment == entry.environment]
            self.journal.emit(
                CertificateRotated(
                    environment=entry.environment,
                    active=",".join(active),
                    thumbprint=entry.certificate.thumbprint[:8],
                    file=entry.file.name,
                )
            )

    def look(self, now: datetime) -> None:
        """Once a day: warnings at 60, 30, 14, 7 and 1 days, expired and unused certificates. Blocking."""
        measure_certificates(self.loaded(), self.metrics, now)
        for entry in registered(self.loaded(), now):
            certificate, facts = entry.certificate, _facts(entry, now)
            with self.store.write() as conn:
                since = usage.asked_at(conn, entry.environment, certificate.thumbprint, now)
                active_since = usage.active_since(conn, entry.environment, certificate.thumbprint, now)
                last_used = usage.last_used(conn, entry.environment, certificate.thumbprint)
            if now > certificate.not_after:
                self.journal.emit(CertificateExpired(facts=facts))
            elif expiry_warnings(certificate.not_after, since=since, now=now):
                self.journal.emit(CertificateExpiring(facts=facts))
            limit = self.loaded().configuration.alarms.certificate_unused
            if limit and unused_for(last_used, active_since=active_since, now=now, limit=limit) is not None:
                self.journal.emit(
                    CertificateUnused(
                        environment=facts.environment,
                        thumbprint=facts.thumbprint,
                        file=facts.file,
                        days_left=facts.days_left,
                    )
                )


def measure_certificates(loaded: Loaded, metrics: Metrics, now: datetime) -> None:
    """Set the metric of the days left, for the certificates that are in use now and no others. Blocking: reads the files."""
    metrics.certificate_days_left.clear()
    metrics.certificate_expiry_timestamp_seconds.clear()
    for entry in registered(loaded, now):
        days = days_left(entry.certificate.not_after, now)
        labels = (entry.environment, entry.certificate.thumbprint[:8])
        metrics.certificate_days_left.labels(*labels).set(days)
        metrics.certificate_expiry_timestamp_seconds.labels(*labels).set(entry.certificate.not_after.timestamp())


def _facts(entry: Registered, now: datetime) -> CertificateFacts:
    certificate = entry.certificate
    return CertificateFacts(
        environment=entry.environment,
        thumbprint=certificate.thumbprint[:8],
        file=entry.file.name,
        not_after=certificate.not_after,
        days_left=days_left(certificate.not_after, now),
    )
