"""The door that faces the internet: the gateway's webhooks, `/health`, `/metrics`, and the public keys for EHRs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal

from carebell.bootstrap import components
from carebell.bootstrap.doors import Address
from carebell.bootstrap.meeting_webhooks import meeting_webhooks
from carebell.bootstrap.receiving import Receiving
from carebell.bootstrap.running_service import RunningService
from carebell.ids import ControlIds, RandomIds
from carebell.maintenance.health import NodeHealth
from carebell.maintenance.overdue import senders_of
from carebell.maintenance.periodic import PeriodicTasks
from carebell.outbound.delivery import DeliveryRecorder
from carebell.outbound.patient_replies import PatientReplies
from carebell.outbound.webhooks import Webhooks
from carebell.writeback.web_targets import published_keys
from portal.app import build
from portal.http_limits import HttpLimits
from portal.server import serve

_NAME: Final = "http"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpDoor:
    """Attributes:
    delivery: records what the gateway says of texts.
    """

    delivery: DeliveryRecorder
    health: NodeHealth

    @property
    def name(self) -> Literal["http"]:
        return _NAME

    @asynccontextmanager
    async def serve(self, running: RunningService) -> AsyncIterator[Address]:
        loaded = running.loaded()
        webhooks = Webhooks(
            store=running.store,
            vault=running.vault,
            delivery=self.delivery,
            clock=running.clock,
            journal=running.journal,
            repeats=running.repeats,
            metrics=running.metrics,
            patient_replies=PatientReplies(
                vault=running.vault,
                runtime_config=running.runtime_config,
                ids=RandomIds(),
                message_ids=ControlIds(),
            ),
        )
        app = build(
            webhooks=components.open_webhooks(loaded),
            on_status=webhooks.on_status,
            on_inbound=webhooks.on_inbound,
            health=self.health.health,
            metrics=self.health.render,
            report=webhooks.report,
            meetings=meeting_webhooks(running, webhooks.report),
            public_keys=lambda: published_keys(running.loaded()),
        )
        section = loaded.configuration.http
        async with serve(
            app,
            section.host,
            section.port,
            webhooks.closed,
            HttpLimits(connections=running.http_connections),
            spawn=lambda work, is_over: running.supervisor.start(_NAME, work, is_over=is_over),
        ) as address:
            yield address


def node_health(
    running: RunningService, receiving: Receiving, periodic: PeriodicTasks, silent: Callable[[], Mapping[str, int]]
) -> NodeHealth:
    """Args:
    silent: EHRs that do not answer what goes back: environment -> attempts in a row.
    """
    return NodeHealth(
        store=running.store,
        clock=running.clock,
        metrics=running.metrics,
        supervisor=running.supervisor,
        periodic=periodic,
        connections=receiving.listeners.connections,
        listens=receiving.listens,
        workers=receiving.running_workers,
        silent=silent,
        overdue_after=lambda: running.loaded().configuration.alarms.overdue_after,
        senders=lambda: senders_of(running.loaded().configuration),
    )
