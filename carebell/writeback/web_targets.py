"""The EHR's web services as ways to it: its FHIR server, and a connection status' service. In threads."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

from carebell.writeback.lines import TargetUnusable, outgoing_event
from config.fhir_map import FhirMap
from config.load import Loaded
from config.model import WritebackEpicStatus, WritebackFhir
from config.status_map import ConnectionStatusMap
from ehr.connection_status import StatusService
from ehr.delivery import Delivery
from ehr.fhir import FhirServer
from ehr.fhir_plan import fhir_plan, status_plan
from oauth.backend_services import BackendTokens
from oauth.client_keys import ClientKey, ClientKeyError, published, read_client_key
from oauth.faults import SsoExtraMissing
from oauth.fetcher import Fetcher, FetchPolicy
from scheduler.writeback import WritebackChannel
from store.writeback_rows import VisitNames, WritebackRow

_AT_ONCE: Final = 4
_MOST_REQUESTS: Final = 20
"""Of one attempt: two for a token, and each with a second token, for reading and three times changing and reading again."""
_MARGIN: Final = timedelta(seconds=30)
_LEASE_LOST: Final = "LEASE"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebTarget(ABC):
    """What the web services have in common: no patient's id, no strict order, and some requests at once.

    Attributes:
        hold: nothing is sent. zone: the clinic's.
        loopback: a simulator on this machine may take its place; never in production.
    """

    environment: str
    zone: tzinfo
    hold: bool
    loopback: bool
    now: Callable[[], datetime] = field(repr=False)

    @property
    @abstractmethod
    def channel(self) -> WritebackChannel: ...

    @property
    def name(self) -> str:
        return f"writeback {self.environment} {self.channel.value}"

    @property
    def wants_patient_id(self) -> bool:
        return False

    @property
    def strict(self) -> bool:
        return False

    @property
    def limit(self) -> int:
        return _AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirTarget(WebTarget):
    """One environment's FHIR server. `events`: those that go this way."""

    base_url: str
    fhir: WritebackFhir
    fhir_map: FhirMap = field(repr=False)
    events: frozenset[str]

    @property
    def channel(self) -> WritebackChannel:
        return WritebackChannel.FHIR

    @property
    def lease(self) -> timedelta:
        return self.fhir.timeout * _MOST_REQUESTS + _MARGIN

    def content(self, row: WritebackRow, visit: VisitNames | None) -> bytes:
        """A row's plan. Unrenderable: there can be none."""
        return fhir_plan(self.fhir_map, outgoing_event(row, visit), self.zone)

    def opened(self, now: datetime) -> FhirLine:
        """TargetUnusable: the client's key cannot be used."""
        auth, fetcher = self.fhir.auth, _fetcher(self.fhir.timeout, loopback=self.loopback)
        tokens = BackendTokens(
            fetcher=fetcher,
            base_url=self.base_url,
            client_id=auth.client_id,
            key=client_key(self.fhir, auth.key_file),
            scopes=self.fhir_map.scopes(set(self.events)),
        )
        ended = threading.Event()
        server = FhirServer(fetcher=fetcher, base_url=self.base_url, tokens=tokens, now=self.now, is_ended=ended.is_set)
        return FhirLine(target=self, server=server, ended=ended)


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirLine:
    """Attributes:
    ended: no request begins any more.
    """

    target: FhirTarget
    server: FhirServer
    ended: threading.Event

    def content(self, row: WritebackRow, visit: VisitNames | None) -> bytes:
        return self.target.content(row, visit)

    async def deliver(self, row: WritebackRow, content: bytes, sent: Callable[[], None]) -> Delivery:
        """An attempt whose predecessor ended without a report may have been done already."""
        sent()
        maybe_done = row.code == _LEASE_LOST
        return await asyncio.to_thread(self.server.deliver, content, row.id, maybe_done=maybe_done)

    def close(self) -> None:
        self.ended.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class EpicStatusTarget(WebTarget):
    """One environment's connection status' service."""

    settings: WritebackEpicStatus
    status_map: ConnectionStatusMap = field(repr=False)

    @property
    def channel(self) -> WritebackChannel:
        return WritebackChannel.EPIC_STATUS

    @property
    def lease(self) -> timedelta:
        return self.settings.timeout + _MARGIN

    def content(self, row: WritebackRow, visit: VisitNames | None) -> bytes:
        """A row's plan. Unrenderable: there can be none."""
        return status_plan(self.status_map, outgoing_event(row, visit), self.zone)

    def opened(self, now: datetime) -> EpicStatusLine:
        """TargetUnusable: the client id cannot be read."""
        try:
            client_id = self.settings.client_id_file.read_text("ascii").strip()
        except (OSError, ValueError):
            client_id = ""
        if not client_id or not client_id.isprintable() or len(client_id) > 200:
            raise TargetUnusable("CLIENT_ID", f"{self.settings.client_id_file.name} holds no client id on one line")
        service = StatusService(
            fetcher=_fetcher(self.settings.timeout, loopback=self.loopback),
            url=self.settings.url,
            header=self.status_map.client_id_header,
            client_id=client_id,
            now=self.now,
        )
        return EpicStatusLine(target=self, service=service)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpicStatusLine:
    """It keeps nothing open."""

    target: EpicStatusTarget
    service: StatusService

    def content(self, row: WritebackRow, visit: VisitNames | None) -> bytes:
        return self.target.content(row, visit)

    async def deliver(self, row: WritebackRow, content: bytes, sent: Callable[[], None]) -> Delivery:
        sent()
        return await asyncio.to_thread(self.service.deliver, content)

    def close(self) -> None:
        """A request under way ends within its time."""


def client_key(fhir: WritebackFhir, file: Path) -> ClientKey:
    """A key of `writeback.fhir.auth`. TargetUnusable: CLIENT_KEY or SSO_MISSING."""
    try:
        return read_client_key(file.read_bytes(), fhir.auth.algorithm)
    except OSError:
        raise TargetUnusable("CLIENT_KEY", f"{file.name} cannot be read by this account") from None
    except ClientKeyError as error:
        raise TargetUnusable("CLIENT_KEY", f"{file.name} {error}") from None
    except SsoExtraMissing as error:
        raise TargetUnusable("SSO_MISSING", error.sentence) from None


def published_keys(loaded: Loaded) -> dict[str, Any]:
    """The public halves of all keys of `writeback.fhir.auth`, as a JWK set: in use, to follow, or used before.

    A key that cannot be used is left out; the sender names it. Reads files.
    """
    keys: list[ClientKey] = []
    for environment in loaded.configuration.environments.values():
        fhir = environment.writeback.fhir
        for file in () if fhir is None else (fhir.auth.key_file, fhir.auth.other_key_file):
            if fhir is not None and file is not None:
                with suppress(TargetUnusable):
                    keys.append(client_key(fhir, file))
    return published(keys)


def fhir_target(loaded: Loaded, name: str, now: Callable[[], datetime]) -> FhirTarget | None:
    """An environment's FHIR server; None: it is told nothing."""
    environment = loaded.configuration.environments[name]
    fhir, fhir_map, base_url = environment.writeback.fhir, loaded.fhir_maps.get(name), environment.fhir_base_url
    if fhir is None or fhir_map is None or base_url is None:
        return None
    return FhirTarget(
        environment=name,
        base_url=base_url,
        fhir=fhir,
        fhir_map=fhir_map,
        events=frozenset(environment.writeback.events_of("fhir")),
        zone=environment.zone,
        hold=environment.writeback.hold,
        loopback=environment.kind == "test",
        now=now,
    )


def epic_status_target(loaded: Loaded, name: str, now: Callable[[], datetime]) -> EpicStatusTarget | None:
    """An environment's connection status' service; None: it is told nothing."""
    environment = loaded.configuration.environments[name]
    settings, status_map = environment.writeback.epic_status, loaded.status_maps.get(name)
    if settings is None or status_map is None:
        return None
    return EpicStatusTarget(
        environment=name,
        settings=settings,
        status_map=status_map,
        zone=environment.zone,
        hold=environment.writeback.hold,
        loopback=environment.kind == "test",
        now=now,
    )


def _fetcher(timeout: timedelta, *, loopback: bool) -> Fetcher:
    return Fetcher(FetchPolicy(deadline_seconds=timeout.total_seconds(), loopback=loopback))
