"""The service's pieces without sockets: signed bytes in at one end, the simulated Twilio's ledger at the other, time in our hand.

Everything between is the service's own: validator, processor, SQLite, dispatcher, webhooks, reconciliation, retention.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from carebell.bootstrap import components
from carebell.environment_policy import RuntimeConfig, runtime_config
from carebell.ids import ControlIds, RandomIds
from carebell.inbound import trust
from carebell.inbound.process import MessageProcessor, ProcessingResult
from carebell.inbound.validate import MessageValidator, ValidatedMessage
from carebell.maintenance.retention import Retention
from carebell.outbound.delivery import DeliveryRecorder
from carebell.outbound.dispatcher import Dispatcher
from carebell.outbound.in_flight import InFlight
from carebell.outbound.invalid_numbers import InvalidNumbers
from carebell.outbound.patient_replies import PatientReplies
from carebell.outbound.recipient import recipient_of
from carebell.outbound.reconciliation import Reconciliation
from carebell.outbound.replan import ReminderReplanner
from carebell.outbound.text_outcomes import TextOutcomes
from carebell.outbound.webhooks import Webhooks
from carebell.outbound.worker_threads import WorkerThreads
from certs.algorithms import PrivateKey
from certs.cer import inspect
from certs.certificate import SigningCertificate
from certs.sign import sign
from config.load import Loaded
from journal.logs import Journal, setup
from journal.metrics import Metrics
from journal.repeats import RepeatLimiter
from notifier.gateway import Gateway
from scheduler.clock import SteppingClock
from scheduler.sms import SmsState
from simulator.ehr import SenderIdentity, make_identity
from store import outbox, schema
from store.engine import Store, open_store
from store.outbox_row import OutboxRow
from store.vault import Vault
from tests.story import folder as clinic_folder
from tests.story.folder import Changes

BORN: Final = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
"""When the throwaway signing key was made; it is valid for a year from the day before."""

RESOLVED: Final = timedelta(minutes=5)
"""By then the gateway's list was asked more than once."""

AT_ONCE = 50
"""Worker threads, as the service has them."""


@cache
def identity() -> SenderIdentity:
    return make_identity(now=BORN, bits=2048)


@dataclass(slots=True, kw_only=True)
class Pieces:
    """Attributes: refused: answers of messages that were not stored."""

    clock: SteppingClock
    runtime_config: RuntimeConfig
    validator: MessageValidator
    registry: MessageProcessor
    store: Store
    vault: Vault
    gateway: Gateway
    delivery: DeliveryRecorder
    dispatcher: Dispatcher
    reconciliation: Reconciliation
    retention: Retention
    webhooks: Webhooks
    metrics: Metrics
    log: Path
    refused: list[str] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    # In

    def hear(self, *contents: bytes) -> list[ValidatedMessage]:
        """Take unsigned messages in, one transaction each, signed by the hospital."""
        validated = [self.validator.validate(signed(content), self.now) for content in contents]
        for message in validated:
            self.commit(message)
        return validated

    def commit(self, message: ValidatedMessage) -> ProcessingResult | None:
        if message.event is None:
            assert message.refused is not None
            self.refused.append(message.refused.text)
            return None
        with self.store.write() as conn:
            return self.registry.commit_group(conn, [message])[0]

    # Time

    def step(self, by: timedelta | None = None, *, to: datetime | None = None) -> None:
        self.clock.move_to(to or self.now + (by or timedelta()))

    def tick(self) -> int:
        """One round of the dispatcher; how many texts the gateway took."""
        return asyncio.run(self.dispatcher.tick())

    def next_due(self) -> datetime | None:
        with self.store.read() as conn:
            return outbox.next_due(conn)

    # What is stored

    def rows(self, reference: str | None = None) -> list[OutboxRow]:
        with self.store.read() as conn:
            return list(outbox.rows(conn, appointment=reference))

    def texts(self, reference: str | None = None) -> list[tuple[str, str, str]]:
        """(kind, state, reason) by due; texts that wait have the reason why they go."""
        return [(row.kind.value, row.state.value, row.reason.value) for row in self.rows(reference)]

    def count(self, state: SmsState) -> int:
        return sum(row.state is state for row in self.rows())

    def count_open(self) -> int:
        """Texts whose fate is unknown and may still be found out."""
        with self.store.read() as conn:
            return sum(
                self.now - row.claimed_at < RESOLVED
                for row in outbox.rows(conn, state=SmsState.UNKNOWN)
                if row.claimed_at
            )

    def events(self, name: str, **fields: str) -> int:
        """How many lines the journal has of an event with these fields."""
        lines = [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]
        return sum(line["event"] == name and line.items() >= fields.items() for line in lines)


def signed(content: bytes) -> bytes:
    certificate, key = _signer()
    return sign(content, key=key, certificate=certificate)


@cache
def _signer() -> tuple[SigningCertificate, PrivateKey]:
    certificate = inspect(identity().certificate, BORN).certificate
    key = load_pem_private_key(identity().key, None)
    assert certificate is not None
    assert isinstance(key, RSAPrivateKey)
    return certificate, key


@cache
def _migrated() -> bytes:
    """A database file as the migrations leave it: a test copies it, as `tests/store` does."""
    with tempfile.TemporaryDirectory(prefix="carebell-") as folder:
        file = Path(folder) / "carebell.db"
        store = open_store(f"sqlite:///{file}")
        schema.upgrade(store)
        store.close()
        return file.read_bytes()


@contextmanager
def pieces(
    folder: Path,
    *,
    at: datetime,
    gateway: Gateway,
    sms: Changes | None = None,
    changes: Changes | None = None,
    clock: SteppingClock | None = None,
    threads: int = AT_ONCE,
) -> Iterator[Pieces]:
    """The pieces over a database in `folder`, which may be used again after a crash.

    Args:
        sms: over production's shipped section. changes: over the whole configuration.
        threads: that post; fewer than AT_ONCE: claimed texts wait for one.
    """
    production: dict[str, Any] = {"certificates": ["certs/hospital.cer"], "sms": dict(sms or {})}
    fast = {"segments_per_second": {"+14255550100": 1000}}
    path = clinic_folder.make(folder, {"environments": {"production": production}, "gateway": fast})
    if changes:
        clinic_folder.change(path, changes)
    (folder / "certs" / "hospital.cer").write_bytes(identity().certificate)
    loaded = clinic_folder.load(path)
    url = loaded.configuration.storage.url
    database = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:") and not database.exists():
        database.parent.mkdir(exist_ok=True)
        database.write_bytes(_migrated())
    clock, log = clock or SteppingClock(at), folder / "pieces.log"
    policies, vault, store = (
        runtime_config(loaded),
        components.open_vault(loaded),
        components.open_database(loaded, upgrade=True),
    )
    with setup(now=clock.now, file=log, terminal=StringIO()) as journal:
        worker_threads = WorkerThreads(threads)
        yield _put_together(folder, clock, log, policies, vault, store, gateway, journal, worker_threads, loaded)
        worker_threads.end()
        store.close()
        assert journal.dropped == {}


def _put_together(
    folder: Path,
    clock: SteppingClock,
    log: Path,
    policies: RuntimeConfig,
    vault: Vault,
    store: Store,
    gateway: Gateway,
    journal: Journal,
    threads: WorkerThreads,
    loaded: Loaded,
) -> Pieces:
    metrics = Metrics()
    delivery = DeliveryRecorder(
        journal,
        metrics,
        InvalidNumbers(vault=vault, runtime_config=lambda: policies),
        ReminderReplanner(vault=vault, runtime_config=lambda: policies),
        TextOutcomes(runtime_config=lambda: policies),
    )
    made: list[Pieces] = []

    def in_force() -> RuntimeConfig:
        """Of the pieces: a test may put another one in force for the dispatcher."""
        return made[0].runtime_config if made else policies

    together = Pieces(
        clock=clock,
        runtime_config=policies,
        validator=trust.message_validator(loaded, ("production",), clock.now()),
        registry=MessageProcessor(vault, lambda: policies.policies, lambda: secrets.token_hex(16)),
        store=store,
        vault=vault,
        gateway=gateway,
        delivery=delivery,
        dispatcher=Dispatcher(
            store=store,
            vault=vault,
            runtime_config=in_force,
            gateway=gateway,
            delivery=delivery,
            clock=clock,
            node="n1",
            threads=threads,
            at_once=AT_ONCE,
            in_flight=InFlight(),
            journal=journal,
            metrics=metrics,
            seconds=lambda: 0.0,
        ),
        reconciliation=Reconciliation(
            store=store,
            vault=vault,
            runtime_config=lambda: policies,
            gateway=gateway,
            delivery=delivery,
            clock=clock,
            journal=journal,
            recipient=recipient_of,
        ),
        retention=Retention(
            keep_audit=lambda: timedelta(days=2192),
            store=store,
            vault=vault,
            clock=clock,
            node="n1",
            marker=folder / ".pulse",
            journal=journal,
            certificates=lambda _: None,
        ),
        webhooks=Webhooks(
            store=store,
            vault=vault,
            delivery=delivery,
            clock=clock,
            journal=journal,
            repeats=RepeatLimiter(journal),
            metrics=metrics,
            patient_replies=PatientReplies(
                vault=vault, runtime_config=in_force, ids=RandomIds(), message_ids=ControlIds()
            ),
        ),
        metrics=metrics,
        log=log,
    )
    made.append(together)
    return together
