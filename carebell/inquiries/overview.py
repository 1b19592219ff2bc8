"""How each environment is doing: receiving, certificates, sending, the gateway, and what needs a person."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Final

from carebell.inbound.trust import days_left
from carebell.inquiries.messages import REFUSALS, RefusedMessage, refusals
from carebell.inquiries.source import Source
from carebell.inquiries.waiting_replies import count_waiting
from carebell.maintenance.standing_alarms import StandingAlarm, standing_alarms
from certs.cer import read_upload
from config.model import Environment
from scheduler.sms import SmsState
from store import gateway_contact, holds, leases, outbox, sms_pages
from store.gateway_contact import GatewayContact
from store.holds import Breaker, Hold, scopes_of
from store.leases import Node
from store.outbox import WaitingCount
from store.outbox_row import FINAL
from store.sms_pages import SmsSum

KEPT: Final = timedelta(seconds=10)
_DAY: Final = timedelta(days=1)
_EVER: Final = datetime.min.replace(tzinfo=UTC)
_SIGNATURE: Final = "SIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFact:
    """One of an environment's certificates.

    Attributes:
        file: its name. problem: why it cannot be used; empty: it can.
        not_after, days_left: None: the file holds no certificate.
    """

    file: str
    problem: str
    not_after: datetime | None
    days_left: int | None
    thumbprint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFact:
    """Attributes:
    last_message: when the newest verified message came; None: none in the freshness window.
    refused_today: since midnight at the clinic, by this machine's log. refused_at_least: there were more than are counted.
    refused_in_a_row: those of the last day for their signature since `last_message`, by this machine's log; the newest first.
    waiting, late: texts that wait; of those, texts that should have left by now.
    settled, delivered: texts of the last 24 hours whose fate is known, and of those the ones that arrived.
    replies: patients who answered a text and wait for a person.
    holds, breakers: those that keep its texts back.
    alarms: those about it alone.
    """

    name: str
    environment: Environment
    last_message: datetime | None
    refused_today: int
    refused_at_least: bool
    refused_in_a_row: Sequence[RefusedMessage]
    certificates: Sequence[CertificateFact]
    waiting: int
    late: int
    settled: int
    delivered: int
    replies: int
    holds: Sequence[Hold]
    breakers: Sequence[Breaker]
    alarms: Sequence[StandingAlarm]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """Attributes:
    at: when it was read, UTC.
    configuration: the version in force on this node; `nodes` with another one have drifted.
    alarms: all, critical ones first.
    """

    at: datetime
    organization: str
    environments: Sequence[EnvironmentFact]
    gateway_kind: str
    gateway_is_live: bool
    gateway: GatewayContact
    configuration: str
    nodes: Sequence[Node]
    alarms: Sequence[StandingAlarm]

    @property
    def drifted(self) -> list[Node]:
        """Nodes that run on another configuration."""
        return [node for node in self.nodes if node.configuration not in (None, self.configuration)]


class OverviewReader:
    """Reads the overview, and keeps it for some seconds: it counts every text that waits.

    May be asked by several threads; one of them reads.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = Lock()
        self._kept: ServiceFacts | None = None

    def read(self) -> ServiceFacts:
        """At most `KEPT` old."""
        with self._lock:
            now = self._source.now()
            if (
                self._kept is None
                or not timedelta() <= now - self._kept.at < KEPT
                or self._kept.configuration != self._source.loaded.version
            ):
                self._kept = overview(self._source)
            return self._kept


def overview(source: Source) -> ServiceFacts:
    """Read it now."""
    now, loaded = source.now(), source.loaded
    configuration = loaded.configuration
    refused = refusals(source.log_file, None)
    with source.store.read() as conn:
        waiting = outbox.waiting_by_environment(conn, now)
        last_day = sms_pages.sums(conn, now - timedelta(days=1), now, now)
        held, breakers = holds.held(conn), holds.open_breakers(conn)
        alarms = standing_alarms(conn, loaded, now, host=os.uname().nodename, alive=now - leases.ALIVE)
        contact, nodes = gateway_contact.contact(conn), leases.seen(conn, since=now - leases.ALIVE)
        replies = count_waiting(conn)
        last_messages = {name: outbox.last_received(conn, name) for name in configuration.environments}
    facts = []
    for name, environment in configuration.environments.items():
        midnight = now.astimezone(environment.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        today = [refusal for refusal in refused if refusal.at >= midnight]
        settled, delivered = _outcomes(last_day, name)
        counts = waiting.get(name, WaitingCount(waiting=0, late=0))
        facts.append(
            EnvironmentFact(
                name=name,
                environment=environment,
                last_message=last_messages[name],
                refused_today=sum(refusal.environment == name for refusal in today),
                refused_at_least=bool(today) and len(today) == len(refused) >= REFUSALS,
                refused_in_a_row=_in_a_row(refused, name, max(last_messages[name] or _EVER, now - _DAY)),
                certificates=[_certificate(path, now) for path in environment.certificates],
                waiting=counts.waiting,
                late=counts.late,
                settled=settled,
                delivered=delivered,
                replies=replies.get(name, 0),
                holds=[hold for hold in held if _stops(hold, name, environment)],
                breakers=[breaker for breaker in breakers if _stops(breaker, name, environment)],
                alarms=[alarm for alarm in alarms if alarm.environment == name],
            )
        )
    return ServiceFacts(
        at=now,
        organization=configuration.organization.name,
        environments=facts,
        gateway_kind=configuration.gateway.kind,
        gateway_is_live=configuration.gateway.is_live,
        gateway=contact,
        configuration=loaded.version,
        nodes=nodes,
        alarms=alarms,
    )


def _in_a_row(refused: Sequence[RefusedMessage], environment: str, since: datetime) -> list[RefusedMessage]:
    return [
        refusal
        for refusal in refused
        if refusal.environment == environment and refusal.code.startswith(_SIGNATURE) and refusal.at > since
    ]


def _outcomes(counted: Sequence[SmsSum], environment: str) -> tuple[int, int]:
    """How many of its texts reached their end, and how many of those arrived."""
    its = [group for group in counted if group.environment == environment]
    delivered = sum(group.texts for group in its if group.state is SmsState.DELIVERED)
    return sum(group.texts for group in its if group.state in FINAL), delivered


def _certificate(path: Path, now: datetime) -> CertificateFact:
    report = read_upload(path, now)
    return CertificateFact(
        file=path.name,
        problem="" if report.verdict == "accept" else str(report.reason or report.verdict),
        not_after=report.not_after,
        days_left=None if report.not_after is None else days_left(report.not_after, now),
        thumbprint=report.thumbprint,
    )


def _stops(stop: Hold | Breaker, name: str, environment: Environment) -> bool:
    return (stop.scope, stop.name) in scopes_of(name, environment.sms.sender)
